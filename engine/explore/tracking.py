"""Memory that reports its use: which keys of which cells a move has looked at or changed.

A search that tells which moves commute must know what code does between two steps. Cells that hold
an immutable value report when it is fetched or set. A plain dict reports its keys one by one; once
somebody looks at all of it (its order, its length) it counts as a whole, in every run. What could
change without a report (other containers, objects) makes all memory of the instance one thing.
"""

import dataclasses
import enum
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from engine.explore.independence import Learned, Use
from engine.explore.steps import SteppedMutex
from engine.ports import Cell

T = TypeVar("T")

_PLAIN = (type(None), bool, int, float, str, bytes, Decimal, enum.Enum, SteppedMutex)


def is_immutable(value: Any) -> bool:
    """Whether nothing in `value` can change unseen; mutexes are seen anyway."""
    if isinstance(value, tuple | frozenset):
        return all(map(is_immutable, value))
    if dataclasses.is_dataclass(type(value)) and type(value).__dataclass_params__.frozen:
        fields = dataclasses.fields(value)
        return all(is_immutable(getattr(value, field.name)) for field in fields)
    return isinstance(value, _PLAIN)


# What looks at all of a dict, or changes all of it: not told key by key.
LOOKS_AT_ALL = (
    *("__iter__", "__len__", "__reversed__", "__eq__", "__ne__", "__or__", "__ior__", "__ror__"),
    *("keys", "values", "items", "popitem", "clear", "update", "copy", "__repr__"),
)


class CellId(NamedTuple):
    """A cell: its service instance and its name there."""

    instance: int
    name: str


class Tracker:
    """The uses of one move after another. Give `make_cell` to a stage before its first move."""

    def __init__(self, learned: Learned) -> None:
        self.learned = learned
        self.built: set[int] = set()
        self._used: dict[tuple[CellId, object], Use] = {}

    def make_cell(self, instance: int, name: str, value: Any) -> Cell[Any]:
        """A cell of a service instance, which reports here."""
        cell = CellId(instance, name)
        made = TrackedCell(self, cell, value)
        if instance in self.built:
            # Made amidst a call: what it begins with may depend on who was first to ask for it.
            self.note(cell, None, Use.CHANGE)
            if isinstance(value, dict) and value:
                self.whole(cell)
        return made

    def taken(self) -> dict[tuple[CellId, object], Use]:
        """What was used since this was last asked: (cell, its key or None for all of it)."""
        used, self._used = self._used, {}
        return used

    def note(self, cell: CellId, key: object, use: Use) -> None:
        """`key` of the cell was used; None is the cell's value itself."""
        thing = (cell, None if cell.name in self.learned.coarse else key)
        if self._used.setdefault(thing, use) is not use:
            self._used[thing] = Use.CHANGE

    def whole(self, cell: CellId) -> None:
        """All of the cell was used, in a way that may depend on the order of its keys."""
        self.learned.use_whole(cell.name)
        self.note(cell, None, Use.CHANGE)

    def kept(self, value: T) -> T:
        """`value`, which will be kept in a cell."""
        if not is_immutable(value):
            self.learned.cannot_see()
        return value


class TrackedCell(Cell[T]):
    """A cell that reports its use."""

    __slots__ = ("_name", "_tracker", "_value")

    def __init__(self, tracker: Tracker, name: CellId, value: T) -> None:
        self._tracker = tracker
        self._name = name
        self._value: Any = self._tracked(value)

    @property
    def value(self) -> T:
        if not isinstance(self._value, TrackedDict):
            self._tracker.note(self._name, None, Use.LOOK)
        held: T = self._value
        return held

    @value.setter
    def value(self, value: T) -> None:
        if isinstance(self._value, TrackedDict) or isinstance(value, dict):
            self._tracker.whole(self._name)
        self._tracker.note(self._name, None, Use.CHANGE)
        self._value = self._tracked(value)

    def _tracked(self, value: Any) -> Any:
        if type(value) is dict:
            for item in value.values():
                self._tracker.kept(item)
            return TrackedDict(self._tracker, self._name, value)
        return self._tracker.kept(value)


class TrackedDict(dict[Any, Any]):
    """A dict that reports the keys used, and when it is used as a whole."""

    def __init__(self, tracker: Tracker, name: CellId, items: dict[Any, Any]) -> None:
        super().__init__(items)
        self._tracker = tracker
        self._name = name

    def __getitem__(self, key: Any) -> Any:
        self._tracker.note(self._name, ("key", key), Use.LOOK)
        return super().__getitem__(key)

    def get(self, key: Any, default: Any = None) -> Any:
        self._tracker.note(self._name, ("key", key), Use.LOOK)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self._tracker.note(self._name, ("key", key), Use.LOOK)
        return super().__contains__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._tracker.note(self._name, ("key", key), Use.CHANGE)
        super().__setitem__(key, self._tracker.kept(value))

    def __delitem__(self, key: Any) -> None:
        self._tracker.note(self._name, ("key", key), Use.CHANGE)
        super().__delitem__(key)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        self._tracker.note(self._name, ("key", key), Use.CHANGE)
        return super().setdefault(key, self._tracker.kept(default))

    def pop(self, key: Any, *default: Any) -> Any:
        self._tracker.note(self._name, ("key", key), Use.CHANGE)
        return super().pop(key, *default)


def _as_a_whole(name: str) -> Any:
    inherited = getattr(dict, name)

    def method(self: TrackedDict, *args: Any, **items: Any) -> Any:
        self._tracker.whole(self._name)
        result = inherited(self, *args, **items)
        for value in dict.values(self) if name in ("update", "__ior__") else ():
            self._tracker.kept(value)
        return result

    method.__name__ = name
    return method


for _name in LOOKS_AT_ALL:
    setattr(TrackedDict, _name, _as_a_whole(_name))
