"""The memory of one service instance, put in place before a client goes on and taken out after.

`Recalled` stands where a runtime is expected. Its cells say when they are touched, its mutexes are
only names: whether one is free is not for a single client to know.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from engine.explore.frozen import Contents, MutexId, Unfit, Unordered, freeze, refill, thaw
from engine.explore.stage import Stage
from engine.explore.steps import SteppedMutex, SteppedRuntime
from engine.explore.tables import Pairs

T = TypeVar("T")

# What the cells of one instance hold by name, those at their initial value left out.
Memory = Pairs[Any]
# Kept in memory under a name no cell has: how many mutexes of each name were made.
_MADE = "\0mutexes made"


class OrderMatters(BaseException):
    """Code under test looked at the order of a dict, which was not part of the state yet."""


class Rememberer(Protocol):
    """Whose memory it is."""

    stage: Stage
    mutexes: dict[MutexId, "NamedMutex"]
    in_order: set[str]
    touched: int | None
    aliased: bool


class NamedMutex(SteppedMutex):
    __slots__ = ("mutex_id",)

    def __init__(self, stage: Stage, mutex_id: MutexId) -> None:
        super().__init__(stage, mutex_id.name)
        self.mutex_id = mutex_id


class _Cell:
    """A cell that tells its runtime when it is touched."""

    __slots__ = ("_held", "_initial", "_name", "_runtime")

    explored_memory = True

    def __init__(self, runtime: "Recalled", name: str, initial: Any) -> None:
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


class Recalled(SteppedRuntime):
    """A runtime whose memory is put in place, and taken out, by its Solo."""

    explored_memory = True

    def __init__(self, solo: Rememberer, number: int) -> None:
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

    def mutex_of(self, mutex_id: MutexId) -> NamedMutex:
        return self._solo.mutexes.setdefault(mutex_id, NamedMutex(self._solo.stage, mutex_id))

    def mutex(self, name: str) -> NamedMutex:
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
