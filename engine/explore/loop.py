"""A deterministic event loop with virtual time, on which real asyncio code is explored.

Nothing here waits: callbacks run first in, first out until none is left, and time stands still
until somebody lets a timer run out. So one run of the code under test depends on nothing but the
order in which its steps and timers are let go.
"""

import asyncio
import inspect
import logging
import sys
import warnings
from asyncio import _get_running_loop, _set_running_loop, tasks
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from engine.errors import UsageError
from engine.explore.steps import Step

T = TypeVar("T")

# Callbacks run without anybody waiting for a step or a timer; more is a loop that never ends.
CALLBACKS_MAX = 10_000


class NeedsLoop(BaseException):
    """Code driven by hand wants an event loop: explore it again on one.

    No Exception, so that code under test does not catch it as one of its own.
    """


class _NoLoop:
    """Stands where code driven by hand looks for its loop, and notes that it did."""

    wanted = ""

    def create_task(self, work: Coroutine[Any, Any, Any], **options: Any) -> NoReturn:
        self.wanted = "create_task"
        work.close()
        raise NeedsLoop(self.wanted)

    def __getattr__(self, name: str) -> NoReturn:
        self.wanted = name
        raise NeedsLoop(name)

    def __hash__(self) -> int:
        self.wanted = "current_task"  # tasks are looked up by their loop
        return 0


@contextmanager
def no_loop() -> Iterator[_NoLoop]:
    """Meanwhile nobody finds an event loop: for coroutines driven by hand."""
    outer, nobody = _get_running_loop(), _NoLoop()
    # From Python 3.12 on, a log record asks for the task's name; that is not what code wants.
    named = getattr(logging, "logAsyncioTasks", True)
    _set_running_loop(nobody)  # type: ignore[arg-type]
    logging.logAsyncioTasks = False  # type: ignore[attr-defined]
    try:
        yield nobody
    finally:
        logging.logAsyncioTasks = named  # type: ignore[attr-defined]
        _set_running_loop(outer)


def by_hand(resume: Callable[..., Step], *given: Any) -> Step:
    """The step that a coroutine announces next, outside any loop. NeedsLoop if it looks for one,
    or wants anything but a step.

    Whoever resumes many, and awaits nothing in between, does so within `no_loop`: it is quicker.
    """
    nobody: Any = _get_running_loop()
    if type(nobody) is not _NoLoop:
        with no_loop():
            return by_hand(resume, *given)
    nobody.wanted = ""
    try:
        step = resume(*given)
    except BaseException as error:
        if nobody.wanted:
            with warnings.catch_warnings():
                # What was to become a task is dropped here, never awaited.
                warnings.simplefilter("ignore", RuntimeWarning)
                error.__traceback__ = None
                del error
            raise NeedsLoop(nobody.wanted) from None
        raise
    if nobody.wanted:
        raise NeedsLoop(nobody.wanted)
    if not isinstance(step, Step):
        raise NeedsLoop(repr(step))
    return step


@dataclass(frozen=True, slots=True, eq=False)
class Timer:
    """A callback for later. `epoch` counts the moves made when it was set."""

    handle: asyncio.TimerHandle
    context: Context
    delay_s: float
    epoch: int
    number: int

    def comes_before(self, other: "Timer") -> bool:
        """Whether this timer runs out before `other` however slow everything else is.

        Steps and code may take any time, so a short timer that was set after a long one may run
        out on either side of it. What was set earlier for no longer is always first, and timers
        set in one move are ordered by their deadlines.
        """
        if self.epoch == other.epoch:
            mine, its = self.handle.when(), other.handle.when()
            return (mine, self.number) < (its, other.number)
        return self.epoch < other.epoch and self.delay_s <= other.delay_s


MakeTask = Callable[[Coroutine[Any, Any, Any], str | None, Context | None], asyncio.Task[Any]]


class Loop(asyncio.AbstractEventLoop):
    """`make_task` builds every task. What asyncio offers and this loop cannot is a UsageError."""

    def __init__(self, make_task: MakeTask) -> None:
        self._make_task = make_task
        self._ready: deque[asyncio.Handle] = deque()
        self._now_s = 0.0
        self._numbered = 0
        self.epoch = 0
        self.closing = False
        self.timers: dict[int, Timer] = {}  # by the handle's id: equal ones are several
        self.refusal: UsageError | None = None
        self.accidents: list[tuple[Context, str]] = []

    def run_until_idle(self) -> None:
        """Run callbacks until there are none. UsageError if the code asked for the impossible."""
        with self._running():
            for _ in range(CALLBACKS_MAX):
                if not self._ready:
                    break
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
            if self._ready and not self.closing:
                raise UsageError(
                    f"the event loop is not idle after {CALLBACKS_MAX:,} callbacks",
                    "call_soon must not be called by its own callback for ever",
                )
        refusal, self.refusal = self.refusal, None
        if refusal is not None and not self.closing:
            raise refusal

    def fire(self, timer: Timer) -> None:
        """Time passes, until the timer's callback is the next to run."""
        del self.timers[id(timer.handle)]
        self._now_s = max(self._now_s, timer.handle.when())
        self._ready.append(timer.handle)

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Be the running loop, although the explorer itself runs inside another one."""
        outer, hooks = asyncio._get_running_loop(), sys.get_asyncgen_hooks()
        task = None if outer is None else asyncio.current_task(outer)
        if task is not None:
            tasks._leave_task(outer, task)  # type: ignore[arg-type]
        asyncio._set_running_loop(self)
        sys.set_asyncgen_hooks(firstiter=None, finalizer=self._finish)
        try:
            yield
        finally:
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(outer)
            if task is not None:
                tasks._enter_task(outer, task)  # type: ignore[arg-type]

    def _finish(self, generator: Any) -> None:
        """An async generator was left before its end; its clean-up is a task, as in asyncio."""
        if asyncio._get_running_loop() is self:
            self.create_task(generator.aclose())

    def time(self) -> float:
        return self._now_s

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        context = copy_context() if context is None else context
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if when <= self._now_s:
            self._ready.append(handle)
            return handle
        self._numbered += 1
        self.timers[id(handle)] = Timer(
            handle, context, when - self._now_s, self.epoch, self._numbered
        )
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self.timers.pop(id(handle), None)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
        **options: Any,
    ) -> asyncio.Task[T]:
        return self._make_task(coro, name, context)

    def get_task_factory(self) -> None:
        return None

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        return False

    def get_exception_handler(self) -> None:
        return None

    def default_exception_handler(self, context: Mapping[str, Any]) -> None:
        self.call_exception_handler(context)

    def call_exception_handler(self, context: Mapping[str, Any]) -> None:
        # Tasks are looked after elsewhere; a callback that raised has nobody else to tell.
        if "handle" in context:
            text = f"{context['message']}: {context.get('exception')!r}"
            self.accidents.append((context["handle"]._context, text))

    def refuse(self, name: str) -> NoReturn:
        """Note and raise that `name` is out of reach, even if the code under test catches it."""
        refusal = self.refusal = UsageError(
            f"loop.{name} is out of reach in an explored world: threads, sockets, processes and"
            " signals cannot be put in order",
            "keep them behind Store, Runtime or Cache",
        )
        raise refusal


def _refusing(name: str) -> Callable[..., NoReturn]:
    def refused(self: Loop, *args: Any, **options: Any) -> NoReturn:
        for work in filter(inspect.iscoroutine, args):
            work.close()
        self.refuse(name)

    return refused


for _name in dir(asyncio.AbstractEventLoop):
    if not _name.startswith("_") and _name not in vars(Loop):
        setattr(Loop, _name, _refusing(_name))
