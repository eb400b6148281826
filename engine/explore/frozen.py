"""The memory of a service instance as a value: what `Runtime.cell` holds, frozen and thawed.

A cell holds an immutable value, or one plain dict, set, list or deque of immutable values and
mutexes. Anything else could change unseen from inside, so it is refused with `Unfit`; the setting
is then explored schedule by schedule instead of state by state.
"""

import dataclasses
import enum
from collections import OrderedDict, deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

_PLAIN = (type(None), bool, int, float, str, bytes, Decimal, enum.Enum)


class Unfit(Exception):
    """This setting cannot be explored state by state; the message says why."""


class MutexId(NamedTuple):
    """A mutex by name: its instance, what it was called, and the how-manieth of that name."""

    instance: int
    name: str
    number: int

    def __str__(self) -> str:
        return self.name


class Contents(NamedTuple):
    """A frozen container: its kind and what is in it."""

    kind: type
    items: tuple[Any, ...]


def freeze(value: Any, *, in_order: bool) -> Any:
    """`value` as something hashable. The order of a plain dict counts only `in_order`."""
    kind = type(value)
    if kind in (dict, Unordered):
        pairs = [(_immutable(key), _immutable(item)) for key, item in dict.items(value)]
        return Contents(dict, tuple(pairs if in_order else sorted(pairs, key=repr)))
    if kind is OrderedDict:
        return Contents(kind, tuple((_immutable(k), _immutable(v)) for k, v in value.items()))
    if kind is set:
        return Contents(set, tuple(sorted((_immutable(item) for item in value), key=repr)))
    if kind in (list, deque):
        return Contents(kind, tuple(_immutable(item) for item in value))
    return _immutable(value)


def _immutable(value: Any) -> Any:
    if isinstance(value, _PLAIN):
        return value
    mutex_id = getattr(value, "mutex_id", None)
    if mutex_id is not None:
        return mutex_id
    kind = type(value)
    if isinstance(value, tuple):
        items = [_immutable(item) for item in value]
        return kind._make(items) if hasattr(kind, "_make") else kind(items)
    if kind is frozenset:
        return frozenset(_immutable(item) for item in value)
    if dataclasses.is_dataclass(kind) and getattr(kind, "__dataclass_params__").frozen:  # noqa: B009
        for field in dataclasses.fields(kind):
            item = getattr(value, field.name)
            if _immutable(item) is not item:
                raise Unfit(f"a {kind.__name__} that holds a mutex")
        return value
    raise Unfit(f"a {kind.__name__}, which may change unseen")


def thaw(frozen: Any, mutex: Callable[[MutexId], Any]) -> Any:
    """A new value like the one that was frozen."""
    if isinstance(frozen, Contents):
        return frozen.kind(_melt(item, mutex) for item in frozen.items)
    return _melt(frozen, mutex)


def _melt(frozen: Any, mutex: Callable[[MutexId], Any]) -> Any:
    if isinstance(frozen, MutexId):
        return mutex(frozen)
    if isinstance(frozen, tuple):
        items = [_melt(item, mutex) for item in frozen]
        kind = type(frozen)
        return kind._make(items) if hasattr(kind, "_make") else kind(items)
    return frozen


def refill(container: Any, value: Any) -> None:
    """Make `container` hold what `value` holds: code under test may keep hold of the container."""
    if isinstance(container, dict):
        dict.clear(container)
        dict.update(container, value)
    else:
        container.clear()
        extend = container.update if isinstance(container, set) else container.extend
        extend(value)


class Unordered(dict[Any, Any]):
    """A dict that tells when somebody looks at its order, which is then part of the state."""

    def __init__(self, items: dict[Any, Any], noticed: Callable[[], None]) -> None:
        super().__init__(items)
        self._noticed = noticed

    def __iter__(self) -> Any:
        self._noticed()
        return super().__iter__()

    def __reversed__(self) -> Any:
        self._noticed()
        return super().__reversed__()

    def keys(self) -> Any:
        self._noticed()
        return super().keys()

    def values(self) -> Any:
        self._noticed()
        return super().values()

    def items(self) -> Any:
        self._noticed()
        return super().items()

    def popitem(self) -> Any:
        self._noticed()
        return super().popitem()
