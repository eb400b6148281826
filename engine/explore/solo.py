"""One client alone on the stage: its coroutine, resumed with answers and memory from outside.

What a coroutine does between two steps is a function of what it has been answered and of the
memory its instance had each time. So it needs nobody beside it: memory is put in place before each
resumption and taken out after it, and others' mutexes, wallets and steps are only names.
"""

import asyncio
import inspect
import types
from collections.abc import Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from engine.errors import WalletraceError
from engine.explore.client import Client, House
from engine.explore.frozen import MutexId, Unfit
from engine.explore.independence import Learned
from engine.explore.loop import by_hand
from engine.explore.model import THROWS_MAX
from engine.explore.recall import Item, Memory, NamedMutex, Recall, Recalled
from engine.explore.stage import Lane, Stage
from engine.explore.steps import Perform, Step, SteppedMutex, SteppedRuntime, SteppedStore
from engine.explore.unseen import changed, given_to, outline
from engine.explore.world import Setting, play
from engine.history import CallRecord, Outcome

NOT_THE_SAME = "the code under test does not do the same every time"
CANCELLED = asyncio.CancelledError()


# Not frozen as other values are: so many are made that it could be felt.
@dataclass(slots=True, eq=False)
class Resumed:
    """What a resumption did, beside announcing the next step.

    `looked` is what it found in memory, in the order in which it looked. `opened` and `closed` are
    the numbers of the client's calls that were invoked, and answered.
    """

    looked: Mapping[Item, Any]
    changed: Mapping[Item, Any]
    released: tuple[MutexId, ...]
    opened: Sequence[int]
    closed: Sequence[int]
    births: int


# A step as it was announced, and what its client was given then.
Answered = tuple[Step, Any, Memory]


@dataclass(slots=True, eq=False, kw_only=True)
class _Stage(Stage):
    """The stage of one client."""

    solo: "Solo"

    def make_runtime(self, number: int) -> SteppedRuntime:
        runtime = self.solo.runtimes[number] = Recalled(self, number, self.solo.recall)
        return runtime

    def shared_mutex(self, name: str) -> SteppedMutex:
        return self.solo.recall.mutex(MutexId(-1, name, 0))


class Solo:
    """The coroutine of one client, or of a piece of its background work."""

    def __init__(self, setting: Setting, number: int, learned: Learned) -> None:
        program = setting.scenario.programs[number]
        self.lane = Lane(program.name, after=program.after)
        self.runtimes: dict[int, Recalled] = {}
        self.watched: list[tuple[object, object]] = []
        self.births: list[tuple[Lane, Coroutine[Any, Any, None]]] = []
        self._left: list[tuple[Lane, Coroutine[Any, Any, None]]] = []
        self._given: list[list[Any]] = []
        self._ahead: list[Answered] = []
        self._current = self.lane
        perform = cast(Perform, self._perform)
        self.stage: Stage = _Stage(perform, lambda: self._current, self._launch, solo=self)
        self.stage.built = self._built
        self.recall = Recall(self.stage, learned)
        house = self._house = House(
            self.stage,
            setting.scenario,
            setting.topology,
            setting.parts,
            partial(SteppedStore, perform, setting.dialect),
        )
        client = Client(self.stage, house, self.lane, number)
        self._coroutine = play(program, client, self.lane)

    @property
    def calls(self) -> tuple[CallRecord, ...]:
        """The client's calls that have ended, without their times."""
        return tuple(self.stage.history)

    def resume(self, given: Any, memory: Memory) -> Resumed:
        """Go on to the next step, or to the end. An exception is raised, all else is an answer."""
        stage, recall = self.stage, self.recall
        opened, closed = stage.opened, len(stage.history)
        self.replay(given, memory)
        if stage.opened - len(stage.history) > 1:
            raise Unfit("one client makes several calls at once")
        recall.end()
        recall.check()
        if self.watched and changed(self.watched):
            raise Unfit("the code under test keeps memory outside Runtime.cell")
        ended = range(closed, len(stage.history))
        return Resumed(
            recall.looked,
            recall.changed,
            tuple(map(_id_of, stage.released)),
            range(opened, stage.opened),
            [n for n in ended if stage.history[n].outcome is not Outcome.UNKNOWN] if ended else (),
            len(self.births),
        )

    def replay(self, given: Any, memory: Memory, ahead: Sequence[Answered] = ()) -> None:
        """As `resume`, where what it does is known already. Unfit if it does something else.

        `ahead`, the last one first, are steps that are known to follow: they are answered at once,
        so that the coroutine is not suspended before it has got through all of them.
        """
        self._ahead[:] = ahead
        self._put(memory)
        lane = self.lane
        if lane.ended:
            raise Unfit(NOT_THE_SAME)
        lane.pending = None
        try:
            # NeedsLoop, if code under test looks for an event loop: it must not find ours.
            if isinstance(given, BaseException):
                # One error is thrown many times: without what it met on its way before.
                given.__traceback__ = given.__context__ = None
                lane.pending = by_hand(lane.context.run, self._coroutine.throw, given)
            else:
                lane.pending = by_hand(lane.context.run, self._coroutine.send, given)
        except (StopIteration, asyncio.CancelledError):
            lane.ended = True
        except BaseException:
            lane.ended = True
            raise
        if self._ahead:
            raise Unfit(NOT_THE_SAME)
        if self._given:
            self._watch_given()

    @types.coroutine
    def _perform(self, step: Step) -> Generator[Step, Any, Any]:
        """Suspend with the step that is about to be taken, unless its answer is known."""
        if not (self._ahead and same(step, self._ahead[-1][0])):
            return (yield step)
        _, given, memory = self._ahead.pop()
        if self._given:
            self._watch_given()
        self._put(memory)
        if isinstance(given, BaseException):
            given.__traceback__ = given.__context__ = None
            raise given
        return given

    def _watch_given(self) -> None:
        """What is handed to background work is shared with it, and neither sees the other's
        changes."""
        self.watched += [(handed, outline(handed)) for handed in self._given]
        self._given.clear()

    def _put(self, memory: Memory) -> None:
        self.recall.begin(memory, same_request=self.lane.instance is not None)
        self.stage.released.clear()
        if self.births:
            self._close_births()

    def sweep(self, number: int, memory: Memory) -> Mapping[Item, Any]:
        """The instance forgets its idle locks; what that changes in memory."""
        self._put(memory)
        with self.recall.aside():
            self._house.swept(number)
            self.recall.end()
        return self.recall.changed

    def become(self, birth: int) -> None:
        """From now on this is the background work that was the last resumption's `birth`-th."""
        self._left.append((self.lane, self._coroutine))
        self.lane, self._coroutine = self.births.pop(birth)
        self._current = self.lane
        self.stage.history.clear()
        self.stage.opened = 0

    def end(self) -> tuple[MutexId, ...]:
        """Throw cancellations until nothing runs any more; what it does meanwhile is not heard.

        The mutexes that it lets go are told: some are its client's and not its instance's.
        """
        self._close_births()
        self._ahead.clear()
        self.stage.released.clear()
        if self.lane.ended and not self._left:
            return ()
        for lane, coroutine in (*self._left, (self.lane, self._coroutine)):
            if lane.ended:
                continue
            lane.dead = True
            self._current = lane
            lane.context.run(_unwind, coroutine)
            self._close_births()
        self._left = []
        return tuple(map(_id_of, self.stage.released))

    def _built(self, number: int, parts: object) -> None:
        self.runtimes[number].building = False
        try:
            self.watched.append((parts, outline(parts)))
        except Unfit as why:  # raised amidst code under test, which may catch it
            raise self.recall.unfit(str(why)) from None

    def _launch(self, lane: Lane, work: Coroutine[Any, Any, None]) -> None:
        self.births.append((lane, work))
        self._given.append(given_to(work))

    def _close_births(self) -> None:
        for _, work in self.births:
            work.close()
        self.births.clear()


def same(step: Step | None, was: Step | None) -> bool:
    """Whether one client's step is the one that it announced when it was given the same before."""
    if step is None or was is None or step.kind != was.kind:
        return False
    if step.kind == "acquire":
        return bool(step.args[0].mutex_id == was.args[0].mutex_id)
    return step.kind.startswith("cache") or step == was


def _unwind(coroutine: Coroutine[Any, Any, None]) -> None:
    for _ in range(THROWS_MAX):
        if inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED:
            return
        try:
            coroutine.throw(asyncio.CancelledError())
        except (StopIteration, asyncio.CancelledError, WalletraceError, Unfit):
            return
    raise AssertionError(f"a client goes on after {THROWS_MAX} cancellations")


def _id_of(mutex: SteppedMutex) -> MutexId:
    assert isinstance(mutex, NamedMutex)
    return mutex.mutex_id
