"""One client alone on the stage: its coroutine, resumed with answers and memory from outside.

What a coroutine does between two steps is a function of what it has been answered and of the
memory its instance had each time. So it needs nobody beside it: memory is put in place before each
resumption and taken out after it, and others' mutexes, wallets and steps are only names.
"""

import asyncio
import inspect
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.errors import WalletraceError
from engine.explore.client import Client, House
from engine.explore.frozen import MutexId, Unfit
from engine.explore.independence import Learned
from engine.explore.model import THROWS_MAX, announce, stepping
from engine.explore.recall import Item, Memory, NamedMutex, Recall, Recalled
from engine.explore.stage import Lane, Stage
from engine.explore.steps import SteppedMutex, SteppedRuntime, SteppedStore
from engine.explore.unseen import changed, given_to, outline
from engine.explore.world import Setting, play
from engine.history import CallRecord, Outcome


class Input(NamedTuple):
    """What a coroutine is resumed with: a step's answer, an error, or its cancellation."""

    answer: Any = None
    error: BaseException | None = None

    @property
    def key(self) -> object:
        if self.error is None:
            return self.answer
        return type(self.error), self.error.args


CANCELLED = Input(error=asyncio.CancelledError())


class Resumed(NamedTuple):
    """What a resumption did, beside announcing the next step.

    `looked` is what it found in memory, in the order in which it looked. `opened` and `closed` are
    the numbers of the client's calls that were invoked, and answered.
    """

    looked: tuple[tuple[Item, Any], ...]
    changed: Mapping[Item, Any]
    released: tuple[MutexId, ...]
    opened: range
    closed: tuple[int, ...]
    births: int


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
        self._current = self.lane
        self.stage: Stage = _Stage(announce, lambda: self._current, self._launch, solo=self)
        self.stage.built = self._built
        self.recall = Recall(self.stage, learned)
        house = self._house = House(
            self.stage,
            setting.scenario,
            setting.topology,
            setting.parts,
            lambda: SteppedStore(self.stage.perform, setting.dialect),
        )
        client = Client(self.stage, house, self.lane, number)
        self._coroutine = play(program, client, self.lane)

    @property
    def calls(self) -> tuple[CallRecord, ...]:
        """The client's calls that have ended, without their times."""
        return tuple(self.stage.history)

    def resume(self, given: Input, memory: Memory) -> Resumed:
        """Go on to the next step, or to the end."""
        stage = self.stage
        opened, closed = stage.opened, len(stage.history)
        self._put(memory)
        self._advance(given)
        if stage.opened - len(stage.history) > 1:
            raise Unfit("one client makes several calls at once")
        recall = self.recall
        recall.end()
        recall.check()
        if self.watched and changed(self.watched):
            raise Unfit("the code under test keeps memory outside Runtime.cell")
        answered = tuple(
            [
                number
                for number in range(closed, len(stage.history))
                if stage.history[number].outcome is not Outcome.UNKNOWN
            ]
        )
        return Resumed(
            tuple(recall.looked.items()),
            recall.changed,
            tuple(map(_id_of, stage.released)),
            range(opened, stage.opened),
            answered,
            len(self.births),
        )

    def replay(self, given: Input, memory: Memory) -> None:
        """As `resume`, where what it does is known already."""
        self._put(memory)
        self._advance(given)

    def _put(self, memory: Memory) -> None:
        self.recall.begin(memory, same_request=self.lane.instance is not None)
        self.stage.released.clear()
        if self.births:
            self._close_births()

    def _advance(self, given: Input) -> None:
        lane = self.lane
        if lane.ended:
            raise Unfit("the code under test does not do the same every time")
        lane.pending = None
        try:
            # NeedsLoop, if code under test looks for an event loop: it must not find ours.
            if given.error is None:
                lane.pending = stepping(lane.context.run, self._coroutine.send, given.answer)
            else:
                # One error is thrown many times: without what it met on its way before.
                given.error.__traceback__ = given.error.__context__ = None
                lane.pending = stepping(lane.context.run, self._coroutine.throw, given.error)
        except (StopIteration, asyncio.CancelledError):
            lane.ended = True
        except BaseException:
            lane.ended = True
            raise
        # What is handed to background work is shared with it, and neither sees the other's changes.
        if self._given:
            self.watched += [(handed, outline(handed)) for handed in self._given]
            self._given.clear()

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
        self.stage.released.clear()
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
