"""Memory that is put before a client bit by bit: what it looked at, and what it changed, is known.

`Recalled` stands where a runtime is expected. Its cells find their values in the memory that the
resumption was given, and note each look and each change. Its mutexes are only names: whether one is
free is not for a single client to know.

A plain dict is looked at key by key. As soon as somebody looks at all of it, its order matters: the
search begins again and keeps the cell as one thing.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from engine.explore.frozen import (
    CONTAINERS,
    LearnedMore,
    MutexId,
    Unfit,
    freeze,
    freeze_item,
    refill,
    thaw,
    thaw_item,
)
from engine.explore.independence import Learned
from engine.explore.keyed import KeyedDict
from engine.explore.stage import Stage
from engine.explore.steps import SteppedMutex, SteppedRuntime

T = TypeVar("T")


class Item(NamedTuple):
    """One thing in memory: an instance's cell, or one key of the dict in it (`keyed`)."""

    instance: int
    cell: str
    keyed: bool = False
    key: Any = None


# What items hold that is not what they began with.
Memory = Mapping[Item, Any]
UNCHANGED = "unchanged\0"
_MADE = "mutexes made\0"


class NamedMutex(SteppedMutex):
    """A mutex of which one client knows only the name."""

    __slots__ = ("mutex_id",)

    def __init__(self, stage: Stage, mutex_id: MutexId) -> None:
        super().__init__(stage, mutex_id.name)
        self.mutex_id = mutex_id


class Recall:
    """What one client finds in memory, resumption by resumption."""

    def __init__(self, stage: Stage, learned: Learned) -> None:
        self.learned = learned
        self.looked: dict[Item, Any] = {}
        self.changed: dict[Item, Any] = {}
        self._stage = stage
        self._memory: Memory = {}
        self._mutexes: dict[MutexId, NamedMutex] = {}
        self._open: dict[Item, _Container] = {}
        self._refused: Unfit | LearnedMore | None = None

    def begin(self, memory: Memory, *, same_request: bool) -> None:
        """From now on this is the memory."""
        self._memory = memory
        self.looked, self.changed = {}, {}
        if self._open:
            containers, self._open = self._open, {}
            # Who has held one may hold it still, and look at it without asking for it.
            for item, container in containers.items() if same_request else ():
                self.open(item, container)

    def end(self) -> None:
        """Note what has become of the containers that were looked at."""
        for item, container in self._open.items():
            now = container.frozen()
            if now != self.look(item, container.initial):
                self.change(item, now, container.initial)

    def check(self) -> None:
        """Raise again what code under test may have caught and thrown away. Unfit, LearnedMore."""
        if self._refused is not None:
            raise self._refused

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is looked at meanwhile, the client has not looked at."""
        containers = dict(self._open)
        yield
        self._open = containers

    def look(self, item: Item, initial: Any) -> Any:
        """The item's value, frozen."""
        if item in self.changed:
            now = self.changed[item]
            return initial if now == UNCHANGED else now
        held = self._memory.get(item, UNCHANGED)
        self.looked.setdefault(item, held)
        return initial if held == UNCHANGED else held

    def change(self, item: Item, value: Any, initial: Any) -> None:
        """Give the item another value."""
        self.changed[item] = UNCHANGED if value == initial else value

    def open(self, item: Item, container: "_Container") -> None:
        """Fill a container with what it holds now, once in each resumption."""
        if item not in self._open:
            self._open[item] = container
            refill(container.held, thaw(self.look(item, container.initial), self.mutex))

    def mutex(self, mutex_id: MutexId) -> NamedMutex:
        """The client's object for that mutex."""
        if mutex_id not in self._mutexes:
            self._mutexes[mutex_id] = NamedMutex(self._stage, mutex_id)
        return self._mutexes[mutex_id]

    def fit(self, frozen: Callable[[Any], Any], value: Any, item: Item) -> Any:
        """The value frozen. Unfit if it cannot be."""
        try:
            return frozen(value)
        except Unfit as why:
            raise self.unfit(f"cell {item.cell!r} holds {why}") from None

    def unfit(self, why: str) -> Unfit:
        """The error to raise; it is remembered, whatever becomes of it on its way up."""
        self._refused = why_not = Unfit(why)
        return why_not

    def begins(self, item: Item, initial: Any) -> Any:
        """A cell's first value, which must be the same whoever asks for it first. Unfit."""
        if self.learned.firsts.setdefault(item, initial) != initial:
            raise self.unfit(f"what cell {item.cell!r} begins with depends on who asks first")
        return initial

    def use_whole(self, cell: str) -> None:
        """Somebody looked at all of a dict. LearnedMore."""
        self.learned.use_whole(cell)
        self._refused = LearnedMore()
        raise self._refused


class _Value:
    """A cell with an immutable value."""

    explored_memory = True

    def __init__(self, recall: Recall, item: Item, initial: Any) -> None:
        self._recall = recall
        self._item = item
        self._initial = recall.begins(item, recall.fit(freeze_item, initial, item))

    @property
    def value(self) -> Any:
        return thaw_item(self._recall.look(self._item, self._initial), self._recall.mutex)

    @value.setter
    def value(self, value: Any) -> None:
        frozen = self._recall.fit(freeze_item, value, self._item)
        self._recall.change(self._item, frozen, self._initial)


class _Container:
    """A cell with a container that is looked at as a whole."""

    explored_memory = True

    def __init__(self, recall: Recall, item: Item, initial: Any) -> None:
        self._recall = recall
        self._item = item
        self.held = initial
        self.initial = recall.begins(item, self.frozen())

    def frozen(self) -> Any:
        return self._recall.fit(freeze, self.held, self._item)

    @property
    def value(self) -> Any:
        self._recall.open(self._item, self)
        return self.held

    @value.setter
    def value(self, value: Any) -> None:
        if value is not self.held:
            what = f"the container in cell {self._item.cell!r}"
            raise self._recall.unfit(f"{what} is replaced by another one")


class _Keyed(_Container):
    """A cell with a plain dict, looked at key by key."""

    def __init__(self, recall: Recall, item: Item, initial: dict[Any, Any]) -> None:
        pairs = {key: recall.fit(freeze_item, value, item) for key, value in initial.items()}
        recall.begins(item, freeze(initial))
        self.held = KeyedDict(recall, item, pairs)

    @property
    def value(self) -> Any:
        return self.held

    @value.setter
    def value(self, value: Any) -> None:
        if value is not self.held:
            raise self._recall.unfit("the dict in a cell is replaced by another one")


class Recalled(SteppedRuntime):
    """The runtime of one service instance as a single client sees it."""

    explored_memory = True

    def __init__(self, stage: Stage, number: int, recall: Recall) -> None:
        super().__init__(stage, number)
        self.building = True
        self._recall = recall
        self._built = 0
        self._own: dict[str, Any] = {}

    def mutex(self, name: str) -> NamedMutex:
        if self.building:  # the same ones in whichever client's sight the instance is built
            self._built += 1
            return self._recall.mutex(MutexId(self._number, name, -self._built))
        made = Item(self._number, _MADE, True, name)
        number = self._recall.look(made, 0) + 1
        self._recall.change(made, number, 0)
        return self._recall.mutex(MutexId(self._number, name, number))

    def cell(self, name: str, initial: Callable[[], T]) -> Any:
        if name not in self._own:
            value, item = initial(), Item(self._number, name)
            kind: Any = _Container if isinstance(value, CONTAINERS) else _Value
            if type(value) is dict and name not in self._recall.learned.coarse:
                kind = _Keyed
            self._own[name] = kind(self._recall, item, value)
        return self._own[name]


def remembering(memory: Memory, changed: Mapping[Item, Any]) -> dict[Item, Any]:
    """The memory with what was changed."""
    together = {**memory, **changed}
    return {item: value for item, value in together.items() if value != UNCHANGED}
