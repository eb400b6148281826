"""One client alone on the stage: its coroutine, resumed with answers and memory from outside.

What a coroutine does between two steps is a function of what it has been answered and of the
memory its instance had each time. So it needs nobody beside it: memory is put in place before each
resumption and taken out after it, and others' mutexes, wallets and steps are only names.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple, TypeVar

from engine.errors import WalletraceError
from engine.explore.client import Client, House, Instance
from engine.explore.frozen import Contents, MutexId, Unfit, Unordered, freeze, refill, thaw
from engine.explore.model import THROWS_MAX, announce
from engine.explore.stage import Lane, Stage
from engine.explore.steps import Step, SteppedMutex, SteppedRuntime, SteppedStore
from engine.explore.tables import Pairs
from engine.explore.unseen import outline
from engine.explore.world import Setting, play
from engine.history import CallRecord, Outcome
from engine.wallet import WalletService

T = TypeVar("T")

# What the cells of one instance hold by name, those at their initial value left out.
Memory = Pairs[Any]
# Kept in memory under a name no cell has: how many mutexes of each name were made.
_MADE = "\0mutexes made"


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

    `touched` is the instance whose memory was looked at or changed, with what it holds now.
    `opened` and `closed` are the numbers of the client's calls that were invoked, and answered.
    """

    touched: tuple[int, Memory] | None
    released: tuple[MutexId, ...]
    opened: range
    closed: tuple[int, ...]
    births: int


class _Mutex(SteppedMutex):
    __slots__ = ("mutex_id",)

    def __init__(self, stage: Stage, mutex_id: MutexId) -> None:
        super().__init__(stage, mutex_id.name)
        self.mutex_id = mutex_id


class _Cell:
    """A cell that tells its runtime when it is touched."""

    __slots__ = ("_held", "_initial", "_name", "_runtime")

    explored_memory = True

    def __init__(self, runtime: "_Runtime", name: str, initial: Any) -> None:
        self._runtime = runtime
        self._name = name
        self._held = initial
        if type(initial) is dict:
            self._held = Unordered(initial, self._noticed)
        self._initial = self.frozen()

    @property
    def value(self) -> Any:
        self._runtime.touch(aliased=isinstance(self._initial, Contents))
        return self._held

    @value.setter
    def value(self, value: Any) -> None:
        self._runtime.touch(aliased=False)
        if isinstance(self._initial, Contents) or isinstance(value, dict | set | list):
            raise Unfit(f"the container in cell {self._name!r} is replaced by another one")
        self._held = value

    def frozen(self) -> Any:
        try:
            return freeze(self._held, in_order=self._name in self._runtime.in_order)
        except Unfit as why:
            raise Unfit(f"cell {self._name!r} holds {why}") from None

    def changed(self) -> bool:
        return bool(self.frozen() != self._initial)

    def put(self, memory: Mapping[str, Any]) -> None:
        frozen = memory.get(self._name, self._initial)
        value = thaw(frozen, self._runtime.mutex_of)
        if isinstance(frozen, Contents):
            refill(self._held, value)
        else:
            self._held = value

    def _noticed(self) -> None:
        self._runtime.notice(self._name)


class _Runtime(SteppedRuntime):
    """A runtime whose memory is put in place, and taken out, by its Solo."""

    explored_memory = True

    def __init__(self, solo: "Solo", number: int) -> None:
        super().__init__(solo.stage)
        self._solo = solo
        self._number = number
        self._built = 0
        self._memory: dict[str, Any] = {}
        self._own: dict[str, _Cell] = {}
        self.building = True
        self.in_order = solo.in_order

    def touch(self, *, aliased: bool) -> None:
        self._solo.touched = self._number
        self._solo.aliased = self._solo.aliased or aliased

    def notice(self, name: str) -> None:
        if name not in self.in_order:
            self.in_order.add(name)
            raise OrderMatters

    def mutex_of(self, mutex_id: MutexId) -> _Mutex:
        return self._solo.mutexes.setdefault(mutex_id, _Mutex(self._solo.stage, mutex_id))

    def mutex(self, name: str) -> _Mutex:
        if self.building:  # the same ones in whichever client's Solo the instance is built
            self._built += 1
            return self.mutex_of(MutexId(self._number, name, -self._built))
        self.touch(aliased=False)
        made = dict(self._memory.get(_MADE, ()))
        made[name] = number = made.get(name, 0) + 1
        self._memory[_MADE] = tuple(sorted(made.items()))
        return self.mutex_of(MutexId(self._number, name, number))

    def cell(self, name: str, initial: Callable[[], T]) -> Any:
        if name not in self._own:
            cell = self._own[name] = _Cell(self, name, initial())
            cell.put(self._memory)
        return self._own[name]

    def put(self, memory: Memory) -> None:
        self._memory = dict(memory)
        for cell in self._own.values():
            cell.put(self._memory)

    def take(self) -> Memory:
        kept = {name: value for name, value in self._memory.items() if name not in self._own}
        kept |= {name: cell.frozen() for name, cell in self._own.items() if cell.changed()}
        return tuple(sorted(kept.items(), key=lambda pair: pair[0]))


class OrderMatters(BaseException):
    """Code under test looked at the order of a dict, which was not part of the state yet."""


class _Stage(Stage):
    """The stage of one client."""

    __slots__ = ("solo",)
    solo: "Solo"

    def make_runtime(self, number: int) -> SteppedRuntime:
        runtime = self.solo.runtimes[number] = _Runtime(self.solo, number)
        runtime.put(self.solo.memories.get(number, ()))
        return runtime


def parts_under_test(instance: Instance) -> tuple[object, ...]:
    """The parts of a service instance that may have a memory of their own."""
    wallet = instance.wallet
    return (wallet._lock, wallet._reads) if type(wallet) is WalletService else (wallet,)


class _House(House):
    """Instances are watched for memory that they keep elsewhere."""

    solo: "Solo"

    def _build(self, number: int) -> Instance:
        instance = super()._build(number)
        self.solo.runtimes[number].building = False
        under_test = parts_under_test(instance)
        self.solo.watched.append((under_test, outline(under_test)))
        return instance


class Solo:
    """The coroutine of one client, or of a piece of its background work."""

    def __init__(self, setting: Setting, number: int, in_order: set[str]) -> None:
        program = setting.scenario.programs[number]
        self.in_order = in_order
        self.lane = Lane(program.name, after=program.after)
        self.runtimes: dict[int, _Runtime] = {}
        self.mutexes: dict[MutexId, _Mutex] = {}
        self.memories: Mapping[int, Memory] = {}
        self.watched: list[tuple[object, object]] = []
        self.touched: int | None = None
        self.aliased = False
        self.births: list[tuple[Lane, Coroutine[Any, Any, None]]] = []
        self._left: list[tuple[Lane, Coroutine[Any, Any, None]]] = []
        self._current = self.lane
        self.stage = _Stage(announce, lambda: self._current, self._launch)
        self.stage.solo = self
        house = self._house = _House(
            self.stage,
            setting.scenario,
            setting.topology,
            setting.parts,
            lambda: SteppedStore(self.stage.perform),
        )
        house.solo = self
        client = Client(self.stage, house, self.lane, number)
        self._coroutine = play(program, client, self.lane)

    @property
    def calls(self) -> tuple[CallRecord, ...]:
        """The client's calls that have ended, without their times."""
        return tuple(self.stage.history)

    def resume(self, given: Input, memories: Mapping[int, Memory]) -> Resumed:
        """Go on to the next step, or to the end."""
        stage = self.stage
        opened, closed = stage.opened, len(stage.history)
        self._put(memories)
        self._advance(given)
        if stage.opened - len(stage.history) > 1:
            raise Unfit("one client makes several calls at once")
        touched = None
        if self.touched is not None:
            touched = self.touched, self.runtimes[self.touched].take()
        for thing, before in self.watched:
            if outline(thing) != before:
                raise Unfit(f"{type(thing).__name__} keeps memory outside Runtime.cell")
        answered = tuple(
            number
            for number, call in enumerate(stage.history[closed:], closed)
            if call.outcome is not Outcome.UNKNOWN
        )
        released = tuple(_id_of(mutex) for mutex in stage.released)
        births = len(self.births)
        return Resumed(touched, released, range(opened, stage.opened), answered, births)

    def _put(self, memories: Mapping[int, Memory]) -> None:
        self.memories = memories
        for number, runtime in self.runtimes.items():
            runtime.put(memories.get(number, ()))
        self.stage.released.clear()
        self._close_births()
        # Who has held a container of a cell may still do so, and look at it unseen.
        held = self.aliased and self.lane.instance is not None
        self.aliased = held
        self.touched = self.lane.instance if held else None

    def _advance(self, given: Input) -> None:
        lane = self.lane
        lane.pending = None
        try:
            if given.error is not None:
                step = self._coroutine.throw(given.error)
            else:
                step = self._coroutine.send(given.answer)
            if not isinstance(step, Step):
                raise Unfit(f"it awaits {step!r}, which is no step")
            lane.pending = step
        except (StopIteration, asyncio.CancelledError):
            lane.ended = True
        except BaseException:
            lane.ended = True
            raise

    def sweep(self, number: int, memories: Mapping[int, Memory]) -> Memory:
        """The instance forgets its idle locks; what it holds in memory then."""
        self._put(memories)
        self._house.swept(number)
        return self.runtimes[number].take()

    def become(self, birth: int) -> None:
        """From now on this is the background work that was the last resumption's `birth`-th."""
        self._left.append((self.lane, self._coroutine))
        self.lane, self._coroutine = self.births.pop(birth)
        self._current = self.lane
        self.stage.history.clear()
        self.stage.opened = 0

    def end(self) -> None:
        """Throw cancellations until nothing runs any more; what it does meanwhile is not heard."""
        self._close_births()
        self._left.append((self.lane, self._coroutine))
        for lane, coroutine in self._left:
            lane.dead = True
            self._current = lane
            _unwind(coroutine)
            self._close_births()
        self._left = []

    def _launch(self, lane: Lane, work: Coroutine[Any, Any, None]) -> None:
        self.births.append((lane, work))

    def _close_births(self) -> None:
        for _, work in self.births:
            work.close()
        self.births.clear()


def _unwind(coroutine: Coroutine[Any, Any, None]) -> None:
    for _ in range(THROWS_MAX):
        if coroutine.cr_frame is None:  # it has ended
            return
        try:
            coroutine.throw(asyncio.CancelledError())
        except (StopIteration, asyncio.CancelledError, WalletraceError, Unfit):
            return
    raise AssertionError(f"a client goes on after {THROWS_MAX} cancellations")


def _id_of(mutex: SteppedMutex) -> MutexId:
    assert isinstance(mutex, _Mutex)
    return mutex.mutex_id
