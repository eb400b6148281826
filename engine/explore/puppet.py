"""One task on the deterministic loop, seen from outside as a coroutine that yields its steps.

A world drives a `Puppet` with `send` and `throw`, as it would drive a coroutine by hand. Behind it
stands a real `asyncio.Task`, or one of the loop's timers: letting it run out is a move, too.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from engine.explore.faults import LOSES_ANSWER
from engine.explore.loop import Loop, Timer
from engine.explore.stage import Lane
from engine.explore.steps import Step

# Clean-up runs straight into its statement, so nothing can cancel it before that.
CLEAN_UP = frozenset({"give", "rollback"})
WAIT, ANSWER, YIELD, TIMER = "wait", "answer", "yield", "timer"
# The kinds of steps that a puppet adds to those of stores, runtimes and caches.
OWN = frozenset({WAIT, ANSWER, YIELD, TIMER})

_NOTHING = Step("nothing")


class Strings(Protocol):
    """What a puppet hangs on: the loop, and those who move with it."""

    loop: Loop

    def run(self, driven: "Puppet") -> None: ...

    def passed(self, puppet: "Puppet", step: Step) -> None: ...

    def may_cancel(self, puppet: "Puppet") -> bool: ...


class Puppet:
    """One task, or one timer. `now` is the step it waits to take, None once it has ended."""

    def __init__(self, troupe: Strings, lane: Lane, timer: Timer | None = None) -> None:
        self.lane = lane
        self.timer = timer
        self.task: asyncio.Task[Any] | None = None
        self.work: Coroutine[Any, Any, Any] | None = None
        self.step: Step | None = None
        self.permit: asyncio.Future[Any] | None = None
        self.held_back_at: int | None = None
        self.dismissed = False
        self.shown: Step | None = _NOTHING
        self.tasks = self.timers = self.polls = 0
        self.seen_at: dict[object, int] = {}
        self.failure: Exception | None = None
        self._troupe = troupe
        self._result: Any = None
        self._effect_done = False

    @property
    def unseen(self) -> bool:
        """Nobody has asked yet what it waits for."""
        return self.shown is _NOTHING

    @property
    def now(self) -> Step | None:
        if self.timer is not None:
            live = id(self.timer.handle) in self._troupe.loop.timers
            return self.step if live and not self.dismissed else None
        assert self.task is not None
        return None if self.task.done() or self.dismissed else self.step

    def send(self, value: Any) -> Step:
        """Give the step its result; the next step, or StopIteration."""
        if self.shown is self.now:
            self._go_on(value)
        return self._resumed()

    def throw(self, error: BaseException) -> Step:
        """Answer the step with `error`, or cancel the task; the next step, or StopIteration."""
        if self.shown is self.now:
            if not isinstance(error, asyncio.CancelledError):
                assert self.permit is not None
                self.permit.set_exception(error)
            elif self.timer is not None:
                self.timer.handle.cancel()
            elif self.task is not None:
                self.task.cancel()
        return self._resumed()

    def close(self) -> None:
        """Coroutines have it; the troupe ends its tasks itself."""

    async def perform(self, step: Step) -> Any:
        """Park before `step`; its result."""
        permit = self.permit = self._troupe.loop.create_future()
        self.step, self.held_back_at, self._effect_done = step, None, False
        try:
            if step.kind in CLEAN_UP:
                await self._wait_out(permit)
            return await permit
        finally:
            self.permit = None

    async def _wait_out(self, permit: "asyncio.Future[Any]") -> None:
        """A store lets a cancellation through only when the statement under way has ended."""
        cancelled: asyncio.CancelledError | None = None
        while not permit.done():
            try:
                await asyncio.shield(permit)
            except asyncio.CancelledError as error:
                if self.lane.dead:
                    raise
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def show(self) -> Step | None:
        """What it waits for now; whoever asks knows it from here on."""
        self.shown = self.now
        return self.shown

    def _go_on(self, value: Any) -> None:
        step = self.shown
        assert step is not None
        self._troupe.passed(self, step)
        if self.timer is not None:
            self._troupe.loop.fire(self.timer)
        elif self._effect_done:
            assert self.permit is not None
            self.permit.set_result(self._result)
        elif step.kind in LOSES_ANSWER and self._troupe.may_cancel(self):
            self._effect_done, self._result = True, value
            self.step = Step(ANSWER, (step.kind,))
        elif self.permit is not None:
            self.permit.set_result(value)

    def _resumed(self) -> Step:
        self._troupe.run(self)
        step = self.show()
        if step is None:
            raise StopIteration
        return step


def in_words(step: Step) -> str:
    """What a step of a kind in OWN does; "" for the others."""
    match step.kind:
        case "wait":
            return f"gets past {step.args[0].name}"
        case "answer":
            return f"hears that its {step.args[0]} is done"
        case "yield":
            return "lets others go first"
        case "timer":
            return f"lets its {step.args[0]} run out"
    return ""
