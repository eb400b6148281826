"""The memory of service instances as values: what `Runtime.cell` holds, frozen and thawed.

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

from engine.errors import WalletraceError

# Equal only to what no code can tell from it, …
_EXACT = frozenset((type(None), int, str, bytes))
# … while 1 == True == 1.0 == Decimal("1.00"), so these are kept with their kind and text.
_TOLD = frozenset((bool, float, Decimal))
CONTAINERS = (dict, OrderedDict, set, list, deque)


class Unfit(Exception):
    """This setting cannot be explored state by state; the message says why."""


class LearnedMore(BaseException):
    """Something was found out that the states so far did not know; the search begins again."""


class MutexId(NamedTuple):
    """A mutex by name: its instance, what it was called, and the how-manieth of that name."""

    instance: int
    name: str
    number: int


class Contents(NamedTuple):
    """A frozen container: its kind, and what is in it, in order."""

    kind: type
    items: tuple[Any, ...]


class Told(NamedTuple):
    """An immutable value that equals others from which code can tell it."""

    kind: type
    text: Any
    value: Any


def freeze(value: Any) -> Any:
    """`value` as something hashable, containers and their order included. Unfit."""
    kind = type(value)
    if kind in (dict, OrderedDict):
        return Contents(kind, tuple((freeze_item(k), freeze_item(v)) for k, v in value.items()))
    if kind is set:
        return Contents(set, tuple(sorted(map(freeze_item, value), key=repr)))
    if kind in CONTAINERS:
        return Contents(kind, tuple(map(freeze_item, value)))
    return freeze_item(value)


def freeze_item(value: Any) -> Any:
    """An immutable value, its mutexes by name. Unfit for anything that may change unseen."""
    kind = type(value)
    if kind in _EXACT:
        return value
    if kind in _TOLD or isinstance(value, enum.Enum):
        return Told(kind, repr(value), value)
    mutex_id = getattr(value, "mutex_id", None)
    if mutex_id is not None:
        return mutex_id
    if isinstance(value, tuple):
        return _like(kind, [freeze_item(item) for item in value])
    if kind is frozenset:
        return frozenset(map(freeze_item, value))
    if _is_frozen(kind):
        items = [getattr(value, field.name) for field in dataclasses.fields(kind)]
        if not all(map(_is_plain, items)):
            raise Unfit(f"a {kind.__name__} that holds more than plain values")
        return Told(kind, tuple(map(freeze_item, items)), value)
    if isinstance(value, WalletraceError):
        return Told(kind, value.args, None)
    raise Unfit(f"a {kind.__name__}, which may change unseen")


def _is_frozen(kind: Any) -> bool:
    parameters = getattr(kind, "__dataclass_params__", None)
    return parameters is not None and parameters.frozen


def _is_plain(value: Any) -> bool:
    """Whether it holds no mutex, which would have to be put back as the client's own."""
    kind = type(value)
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    if _is_frozen(kind):
        return all(_is_plain(getattr(value, field.name)) for field in dataclasses.fields(kind))
    return kind in _EXACT | _TOLD


def thaw(frozen: Any, mutex: Callable[[MutexId], Any]) -> Any:
    """A new value like the one that was frozen."""
    if isinstance(frozen, Contents):
        return frozen.kind(thaw_item(item, mutex) for item in frozen.items)
    return thaw_item(frozen, mutex)


def thaw_item(frozen: Any, mutex: Callable[[MutexId], Any]) -> Any:
    """An immutable value with real mutexes in it."""
    if isinstance(frozen, MutexId):
        return mutex(frozen)
    if isinstance(frozen, Told):
        # Whoever raises an error changes it, so everybody gets one of their own.
        fails = issubclass(frozen.kind, WalletraceError)
        return frozen.kind(*frozen.text) if fails else frozen.value
    if isinstance(frozen, tuple):
        return _like(type(frozen), [thaw_item(item, mutex) for item in frozen])
    return frozen


def refill(container: Any, value: Any) -> None:
    """Make `container` hold what `value` holds: code under test may keep hold of the container."""
    container.clear()
    if isinstance(container, dict | set):
        container.update(value)
    else:
        container.extend(value)


def _like(kind: type, items: list[Any]) -> Any:
    made: Any = kind
    return made._make(items) if hasattr(kind, "_make") else made(items)
