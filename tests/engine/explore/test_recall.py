"""Memory in cells: whatever it is and however it is used, merging states changes no count."""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from engine.catalog import MakeLock
from engine.explore.faults import Faults
from engine.history import Receipt
from engine.locks.body import read_apply_write
from engine.ports import Call, Mutex, Runtime, Store
from tests.engine.explore.both_ways import (
    Sometimes,
    adds,
    by_brute_force,
    by_graph,
    in_turn,
    setting_of,
    summary,
    withdraws,
)

pytestmark = pytest.mark.slow


class RemembersIn(Sometimes):
    """Its cell holds what `initial` makes; whoever is not the first to be noted is careless."""

    initial: Callable[[], Any]

    def begin(self) -> None:
        self.cell = self.runtime.cell("seen", type(self).initial)


class InAList(RemembersIn):
    initial = list

    def careless(self, call: Call) -> bool:
        self.cell.value.append(call.id)
        return bool(self.cell.value[0] != call.id)


class InADeque(InAList):
    initial = deque


class InADictsOrder(RemembersIn):
    initial = dict

    def careless(self, call: Call) -> bool:
        self.cell.value[call.id] = None
        return next(iter(self.cell.value)) != call.id


class InWhatIsPoppedLast(InADictsOrder):
    initial = OrderedDict

    def careless(self, call: Call) -> bool:
        self.cell.value[call.id] = None
        return len(self.cell.value) > 1 and self.cell.value.popitem(last=False)[0] != call.id


class InAKey(RemembersIn):
    initial = dict

    def careless(self, call: Call) -> bool:
        return bool(self.cell.value.setdefault("first", call.id) != call.id)


class InASet(RemembersIn):
    initial = set

    def careless(self, call: Call) -> bool:
        self.cell.value.add(call.id)
        return len(self.cell.value) > 1


class InNestedTuples(RemembersIn):
    initial = tuple

    def careless(self, call: Call) -> bool:
        self.cell.value = (self.cell.value, call.id)
        return self.cell.value[0] != ()


class InACallersValue(RemembersIn):
    """A condition in words, a number and a truth may be equal and yet not be the same."""

    initial = int

    def careless(self, call: Call) -> bool:
        was = self.cell.value
        self.cell.value = False
        return was is False


class InADecimalsPlaces(RemembersIn):
    initial = Decimal

    def careless(self, call: Call) -> bool:
        was = self.cell.value
        self.cell.value = Decimal("0.0")
        return str(was) == "0.0"


class InTheSignOfZero(RemembersIn):
    initial = float

    def careless(self, call: Call) -> bool:
        was = self.cell.value
        self.cell.value = -0.0
        return str(was) == "-0.0"


@dataclass(frozen=True)
class Ticket:
    number: int = 0
    owner: str = field(default="", compare=False)


class InAFieldThatIsNotCompared(RemembersIn):
    initial = Ticket

    def careless(self, call: Call) -> bool:
        was = self.cell.value
        self.cell.value = Ticket(0, call.id)
        return bool(was.owner)


class ThroughAnAlias(InAList):
    """Holds on to the list itself while it waits, and adds to it then."""

    async def run(self, call: Call, store: Store) -> Receipt:
        seen = self.cell.value
        await store.read(call.accounts)
        seen.append(call.id)
        await self.runtime.backoff(0)
        if seen[0] != call.id:
            return await read_apply_write(call, store)
        async with self.mutex:
            return await read_apply_write(call, store)


class TrustsAnEarlierLook(RemembersIn):
    """Acts on what the cell held before it waited."""

    initial = bool

    async def run(self, call: Call, store: Store) -> Receipt:
        busy = self.cell.value
        await store.read(call.accounts)
        if busy:
            await self.runtime.backoff(0)
        self.cell.value = True
        try:
            return await read_apply_write(call, store)
        finally:
            self.cell.value = False


class LocksWhatWasReplaced:
    """A mutex in a dict, fetched before a wait; whoever is done takes it out, awaited or not."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.mutexes = runtime.cell("mutexes", dict[str, Mutex])

    async def run(self, call: Call, store: Store) -> Receipt:
        mutexes = self.mutexes.value
        mutex = mutexes.setdefault("alice", self.runtime.mutex("alice"))
        try:
            async with mutex:
                return await read_apply_write(call, store)
        finally:
            mutexes.pop("alice", None)


class MakesItsMutexLate:
    """A mutex in a cell that holds None at first."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.mutex: Any = runtime.cell("mutex", lambda: None)

    async def run(self, call: Call, store: Store) -> Receipt:
        if self.mutex.value is None:
            self.mutex.value = self.runtime.mutex("late")
        async with self.mutex.value:
            return await read_apply_write(call, store)


class MakesItsMutexTooLate(MakesItsMutexLate):
    """Waits between looking for its mutex and making one."""

    async def run(self, call: Call, store: Store) -> Receipt:
        mutex = self.mutex.value
        if mutex is None:
            await store.read(call.accounts)
            mutex = self.mutex.value = self.runtime.mutex("late")
        async with mutex:
            return await read_apply_write(call, store)


class ReleasesOthersMutexes(Sometimes):
    async def run(self, call: Call, store: Store) -> Receipt:
        await self.mutex.__aexit__(None, None, None)
        async with self.mutex:
            return await read_apply_write(call, store)


class FailsTheSecondTime(Sometimes):
    def begin(self) -> None:
        self.calls = self.runtime.cell("calls", int)

    async def run(self, call: Call, store: Store) -> Receipt:
        self.calls.value += 1
        async with self.mutex:
            if self.calls.value == 2:
                raise ValueError("odd")
            return await read_apply_write(call, store)


class AsksAllThenForgivesItself(InADictsOrder):
    """Catches whatever happens while it looks at the dict's order, the explorer's signals too."""

    def careless(self, call: Call) -> bool:
        self.cell.value[call.id] = None
        try:
            return next(iter(self.cell.value)) != call.id
        except BaseException:
            return False


IN_CELLS = [
    *(InAList, InADeque, InADictsOrder, InWhatIsPoppedLast, InAKey, InASet, InNestedTuples),
    *(InACallersValue, InADecimalsPlaces, InTheSignOfZero, InAFieldThatIsNotCompared),
    *(ThroughAnAlias, TrustsAnEarlierLook, LocksWhatWasReplaced),
    *(MakesItsMutexLate, MakesItsMutexTooLate, ReleasesOthersMutexes, FailsTheSecondTime),
    AsksAllThenForgivesItself,
]
ONCE = (withdraws(), adds())


@pytest.mark.parametrize("make_lock", IN_CELLS)
def test_memory_in_cells_gives_the_counts_of_brute_force(make_lock: MakeLock) -> None:
    setting = setting_of(make_lock, *ONCE)
    assert summary(by_graph(setting)) == summary(by_brute_force(setting))


@pytest.mark.slow
@pytest.mark.parametrize("faults", [Faults(cancel=1), Faults(crash=1), Faults(busy=1)])
@pytest.mark.parametrize("make_lock", IN_CELLS)
def test_memory_in_cells_gives_the_counts_of_brute_force_under_faults(
    make_lock: MakeLock, faults: Faults
) -> None:
    setting = setting_of(make_lock, *ONCE)
    assert summary(by_graph(setting, faults)) == summary(by_brute_force(setting, faults))


@pytest.mark.slow
@pytest.mark.parametrize("make_lock", IN_CELLS)
def test_memory_that_outlives_a_request_gives_the_counts_of_brute_force(
    make_lock: MakeLock,
) -> None:
    setting = setting_of(make_lock, in_turn(adds(), adds()), withdraws())
    assert summary(by_graph(setting)) == summary(by_brute_force(setting))
