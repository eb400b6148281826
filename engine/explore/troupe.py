"""All tasks and timers of one run, on one deterministic loop.

Tasks that the code under test creates are puppets with lanes of their own ("A.1"), and so are its
timers ("A@1"). Wherever asyncio hands over to the next callback it does so first in, first out;
everything else is a move.
"""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import Any

from engine.errors import UsageError, WalletraceError
from engine.explore.awaiting import awaiting, place_of
from engine.explore.loop import Loop, Timer
from engine.explore.puppet import OWN, TIMER, WAIT, YIELD, Puppet
from engine.explore.stage import Lane, Stage
from engine.explore.steps import Step

# A task that goes on after so many cancellations is a bug in the code under test.
CANCELS_MAX = 100
# How often one lane that only polls is let go while nobody else can move.
POLLS_MAX = 100

_LANE: ContextVar[Lane] = ContextVar("walletrace_lane_of_a_task")


class Troupe:
    """All puppets of one run.

    `adopt` is told of each that the code under test made, `changed` of each whose step changed in
    another's move; `kinds` gathers the primitives of asyncio's that somebody waited for.
    """

    def __init__(
        self,
        stage: Callable[[], Stage],
        adopt: Callable[[Puppet], None],
        changed: Callable[[Puppet], None],
        kinds: set[str],
    ) -> None:
        self.loop = Loop(self._create_task)  # type: ignore[abstract]
        self.progress = 0
        self._kinds = kinds
        self._stage = stage
        self._adopt = adopt
        self._changed = changed
        self.puppets: dict[Lane, Puppet] = {}
        self._of_task: dict[asyncio.Task[Any], Puppet] = {}
        self._of_timer: dict[Timer, Puppet] = {}
        self._hired: Lane | None = None

    def hire(self, lane: Lane, work: Coroutine[Any, Any, None]) -> Puppet:
        """A task for `lane`, which is on the stage already."""
        self._hired = lane
        self._create_task(work, lane.name, None)
        return self.puppets[lane]

    def current(self) -> Lane:
        """The lane whose code is running."""
        puppet = self._of_task.get(asyncio.current_task(self.loop))  # type: ignore[arg-type]
        return _LANE.get() if puppet is None else puppet.lane

    async def perform(self, step: Step) -> Any:
        """Park whoever asks for `step`."""
        return await self.puppets[self.current()].perform(step)

    def run(self, driven: Puppet) -> None:
        """Let everything run until it waits, and tell what changed."""
        self.loop.epoch = self._stage().moves
        self.loop.run_until_idle()
        for puppet in self.puppets.values():
            if isinstance(puppet.failure, UsageError):
                failure, puppet.failure = puppet.failure, None
                raise failure
        self._show_timers(driven)
        self._dismiss_idle()
        for puppet in list(self.puppets.values()):
            if puppet is not driven and puppet.shown is not puppet.now:
                self._changed(puppet)

    def passed(self, puppet: Puppet, step: Step) -> None:
        """`puppet` takes `step`: is that news for those who poll?"""
        if step.kind not in (YIELD, TIMER):
            self.progress += 1
        elif puppet.held_back_at == self.progress:
            self._owner(puppet).polls += 1

    def may_cancel(self, puppet: Puppet) -> bool:
        """Whether something but the controller may cancel the puppet's task: a parent, a timer."""
        own = any(timer.context.get(_LANE) is puppet.lane for timer in self._timers())
        return own or "." in puppet.lane.name

    def able(self, lane: Lane, ready: Callable[[Lane], bool]) -> bool:
        """Whether a step of a kind in OWN could be taken; `ready` answers for the others."""
        puppet = self.puppets[lane]
        if not self._is_due(puppet):
            return False
        if puppet.held_back_at != self.progress:
            return True
        # Who polls goes round again once somebody has done something, or if nobody else can.
        waiting = [self.puppets[lane] for lane in self._stage().waiting()]
        polling = [other for other in waiting if other.held_back_at == self.progress]
        if any(other not in polling and self._is_able(other, ready) for other in waiting):
            return False
        due = [p for p in polling if self._is_due(p) and self._owner(p).polls < POLLS_MAX]
        return bool(due) and puppet is min(due, key=lambda p: self._owner(p).polls)

    def close(self) -> None:
        """Cancel whatever still runs until it has ended."""
        self.loop.closing = True
        for puppet in self.puppets.values():
            puppet.lane.dead = True
        for _ in range(CANCELS_MAX):
            for timer in self._timers():
                timer.handle.cancel()
            going = [task for task in self._of_task if not task.done()]
            if not going:
                break
            for task in going:
                task.cancel()
            self.loop.run_until_idle()
        else:
            raise AssertionError(f"{going} go on after {CANCELS_MAX} cancellations")
        for task in self._of_task:
            if not task.cancelled():
                task.exception()  # looked at, so that nobody warns that it was not

    def _show_timers(self, driven: Puppet) -> None:
        """A lane for each timer that somebody's move has left behind."""
        for timer in self._timers():
            if timer in self._of_timer:
                continue
            owner = self.puppets[timer.context.get(_LANE, driven.lane)]
            owner.timers += 1
            name = f"{owner.lane.name}@{owner.timers}"
            lane = Lane(name, owner.lane.instance, background=True, dead=owner.lane.dead)
            self._stage().lanes.append(lane)
            puppet = self.puppets[lane] = self._of_timer[timer] = Puppet(self, lane, timer)
            puppet.step = Step(TIMER, (_title(timer),))
            if owner.now is not None and owner.now.kind == WAIT:
                self._note_place(puppet, owner, place_of(owner.work))
            self._adopt(puppet)

    def _dismiss_idle(self) -> None:
        """With every client gone, who waits for work that will never come is no deadlock."""
        going = [puppet for puppet in self.puppets.values() if puppet.now is not None]
        if any(not puppet.lane.background for puppet in going):
            return
        if all(self._idles(puppet) for puppet in going):
            for puppet in going:
                puppet.dismissed = True
            self._tell_failures()

    def _idles(self, puppet: Puppet) -> bool:
        now = puppet.now
        assert now is not None
        if now.kind == WAIT:
            return not now.args[0].lock
        return puppet.held_back_at == self.progress

    def _tell_failures(self) -> None:
        """What a task died of is its lane's fault if nobody has looked at it."""
        for puppet in self.puppets.values():
            lane, failure = puppet.lane, puppet.failure
            unseen = getattr(puppet.task, "_log_traceback", False)
            if unseen and failure is not None and not isinstance(failure, WalletraceError):
                lane.fault = f"{type(failure).__name__}: {failure}"
            if "bound to a different event loop" in lane.fault:
                raise UsageError(
                    f"{lane.name} uses an asyncio lock, event or queue that outlives its run",
                    "make it in __init__ and keep it on self, not in a module or class",
                )
        for context, accident in self.loop.accidents:
            context.get(_LANE, next(iter(self.puppets))).fault = accident

    def _timers(self) -> list[Timer]:
        return list(self.loop.timers.values())

    def _owner(self, puppet: Puppet) -> Puppet:
        """The task's puppet behind a timer's."""
        if puppet.timer is None:
            return puppet
        return self.puppets[puppet.timer.context.get(_LANE, puppet.lane)]

    def _is_due(self, puppet: Puppet) -> bool:
        now, timer = puppet.now, puppet.timer
        if timer is not None:
            return not any(other.comes_before(timer) for other in self._timers())
        return now is not None and now.kind != WAIT

    def _is_able(self, puppet: Puppet, ready: Callable[[Lane], bool]) -> bool:
        now = puppet.now
        if now is not None and now.kind in OWN:
            return self._is_due(puppet)
        return ready(puppet.lane)

    def _create_task(
        self, work: Coroutine[Any, Any, Any], name: str | None, context: Context | None
    ) -> asyncio.Task[Any]:
        lane, self._hired = self._hired, None
        born = lane is None
        if lane is None:
            parent = self.puppets[self.current()]
            parent.tasks += 1
            lane = Lane(f"{parent.lane.name}.{parent.tasks}", parent.lane.instance, background=True)
            lane.dead = parent.lane.dead
            self._stage().lanes.append(lane)
        if context is None:
            context = copy_context()
            context.run(_LANE.set, lane)
        puppet = self.puppets[lane] = Puppet(self, lane)
        puppet.work = work
        body = self._play(puppet, work)
        puppet.task = asyncio.Task(body, loop=self.loop, name=name, context=context)
        self._of_task[puppet.task] = puppet
        if born:
            self._adopt(puppet)
        return puppet.task

    async def _play(self, puppet: Puppet, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await self._watched(puppet, work)
        except Exception as error:
            puppet.failure = error
            raise

    @types.coroutine
    def _watched(self, puppet: Puppet, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Run `work`, and see what it waits for that is no step."""
        resume: Callable[[], Any] = lambda: work.send(None)  # noqa: E731
        while True:
            try:
                future = resume()
            except StopIteration as done:
                return done.value
            if future is None:
                future = self._yielded(puppet, work)
            elif puppet.permit is None:
                puppet.step = Step(WAIT, (awaiting(work, self._kinds),))
                puppet.held_back_at = None
            try:
                yield future
            except BaseException as error:
                resume = lambda error=error: work.throw(error)  # type: ignore[misc]  # noqa: E731
            else:
                resume = lambda: work.send(None)  # noqa: E731

    def _yielded(self, puppet: Puppet, work: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        """`sleep(0)`: others may go first, so it is a step; a poll if nothing happened since."""
        self._note_place(puppet, puppet, place_of(work))
        permit = puppet.permit = self.loop.create_future()
        puppet.step, puppet._effect_done = Step(YIELD), False
        permit.add_done_callback(lambda _: setattr(puppet, "permit", None))
        permit._asyncio_future_blocking = True
        return permit

    def _note_place(self, puppet: Puppet, owner: Puppet, place: object) -> None:
        seen_at = owner.seen_at.get(place)
        puppet.held_back_at = self.progress if seen_at == self.progress else None
        if puppet.held_back_at is None:
            owner.polls = 0
        owner.seen_at[place] = self.progress


def _title(timer: Timer) -> str:
    callback = getattr(timer.handle._callback, "__qualname__", "")  # type: ignore[attr-defined]
    known = {"_set_result_unless_cancelled": "sleep", "Timeout._on_timeout": "timeout"}
    return f"{known.get(callback, 'timer')} of {timer.delay_s:g} s"
