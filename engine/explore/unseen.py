"""Memory kept where the explorer cannot see it: attributes, closures, classes of code under test.

`outline` of an object before and after is equal if nothing reachable from it changed. What hides
what it holds (a generator, a counter in C) is `Unfit`: it could change and nobody would notice.
Globals are out of sight here, see `outliving`.
"""

import datetime
import functools
import gc
import logging
import re
import sys
import types
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Coroutine, Iterable
from decimal import Decimal
from typing import Any, Generic

from engine.explore.frozen import Unfit
from engine.explore.steps import SteppedCache, SteppedMutex, SteppedRuntime, SteppedStore
from engine.ports import Cell

OBJECTS_MAX = 5_000
_PLAIN = frozenset({type(None), bool, int, float, str, bytes})
# Their text tells all that they hold, more than `==` does: Decimal("1") is Decimal("1.0").
_TOLD_BY_TEXT = (
    *(Decimal, range, complex, re.Pattern, types.EllipsisType, types.NotImplementedType),
    *(datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo),
)
_OPAQUE = (
    *(SteppedRuntime, SteppedMutex, SteppedCache, SteppedStore, Cell),
    *(type, types.ModuleType, weakref.ReferenceType, logging.Logger),
)
_CONTAINERS = (dict, list, tuple, deque, set, frozenset)
_CACHED = type(functools.cache(lambda: None))
# Compiled classes whose objects do not hide what they hold.
_SHOWN = frozenset(
    (*_CONTAINERS, OrderedDict, defaultdict, object, types.FunctionType, types.MethodType)
    + (types.BuiltinFunctionType, types.CellType, functools.partial, staticmethod, classmethod)
    + (types.MappingProxyType, _CACHED, Generic)
)
_HEAP_TYPE = 1 << 9  # of `__flags__`: not built into an extension once and for all


def outline(root: Any) -> tuple[Any, ...]:
    """The shape and the plain values of everything reachable from `root`.

    Unfit if it is huge, or if something there does not show what it holds.
    """
    seen: dict[int, int] = {}
    found: list[Any] = []
    queue: deque[Any] = deque([root])
    while queue:
        thing = queue.popleft()
        kind: Any = type(thing)
        if kind in _PLAIN:
            found.append(thing)
        elif id(thing) in seen:
            found.append(seen[id(thing)])
        else:
            if len(seen) == OBJECTS_MAX:
                raise Unfit(f"{kind.__name__} reaches more than {OBJECTS_MAX:,} objects")
            seen[id(thing)] = len(seen)
            parts = _parts(thing, kind)
            found.append((kind, len(parts)))
            queue.extend(parts)
    return tuple(found)


def changed(watched: Iterable[tuple[object, object]]) -> bool:
    """Whether any of these objects no longer has the outline that it had, or cannot be told."""
    try:
        return any(outline(thing) != before for thing, before in watched)
    except Unfit:
        return True


def given_to(work: Coroutine[Any, Any, Any]) -> list[Any]:
    """What a coroutine that has not begun was made with: arguments, and its function's closure."""
    held = (types.CodeType, types.FrameType)
    return [thing for thing in gc.get_referents(work) if not isinstance(thing, held)]


def _parts(thing: Any, kind: Any) -> list[Any]:
    opaque, text, slots, shared = _layout(kind)
    if opaque:
        return []
    parts: list[Any] = [text(thing)] if text is not None else []
    if issubclass(kind, dict):
        parts += [part for pair in dict.items(thing) for part in pair]
    elif issubclass(kind, set | frozenset):
        parts += sorted(thing, key=repr)
    elif issubclass(kind, _CONTAINERS):
        parts += thing
    elif (called := _called(thing)) is not None:
        return called
    parts += [part for pair in getattr(thing, "__dict__", {}).items() for part in pair]
    return parts + [getattr(thing, name, None) for name in slots] + list(shared)


def _called(thing: Any) -> list[Any] | None:
    """What a function holds on to; None for what is no function."""
    match thing:
        case types.FunctionType():
            if _is_ours(thing):
                return []
            held = (thing.__closure__, thing.__defaults__, thing.__kwdefaults__, thing.__dict__)
            return [part for part in held if part]
        case types.MethodType():
            return [] if _is_ours(thing) else [thing.__self__, thing.__func__]
        case types.BuiltinFunctionType():
            owner = thing.__self__
            return [] if isinstance(owner, types.ModuleType) else [owner]
        case types.CellType():
            return [] if _is_empty(thing) else [thing.cell_contents]
        case functools.partial():
            return [thing.func, thing.args, thing.keywords, thing.__dict__]
        case staticmethod() | classmethod():
            return [thing.__func__]
        case types.MappingProxyType():
            return [part for pair in thing.items() for part in pair]
        case BaseException():
            return [thing.args, thing.__dict__]
    if isinstance(thing, _CACHED):
        return [thing.cache_info().currsize, thing.__wrapped__]
    return None


def _is_ours(function: Any) -> bool:
    """The explorer's own: what it reaches changes with every step."""
    return str(function.__module__).startswith("engine.explore.")


def _is_empty(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False


@functools.cache
def _layout(kind: Any) -> tuple[bool, Any, tuple[str, ...], tuple[Any, ...]]:
    """Whether objects of the class are not looked into, what tells a value beside its attributes,
    their slots, and what the class holds. Unfit for a class that hides what its objects hold."""
    if issubclass(kind, _OPAQUE) or getattr(kind, "explored_memory", False):
        return True, None, (), ()
    slots: list[str] = []
    shared: list[Any] = []
    for parent in kind.__mro__:
        own = parent.__dict__.get("__slots__", ())
        for name in (own,) if isinstance(own, str) else own:
            hidden = name.startswith("__") and not name.endswith("__")
            slots.append(f"_{parent.__name__.lstrip('_')}{name}" if hidden else name)
        if parent.__module__ not in ("builtins", "typing", "abc"):
            shared += [value for name, value in vars(parent).items() if _holds(name, value)]
    return False, _text_of(kind), tuple(slots), tuple(shared)


def _holds(name: str, value: Any) -> bool:
    """Whether a name of a class may be memory: a container, or a function that holds on to one."""
    if type(value) in (dict, list, set, deque):
        return not name.startswith("__")
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    if isinstance(value, types.FunctionType):
        return any(_called(value) or ())
    return isinstance(value, _CACHED)


def _text_of(kind: Any) -> Any:
    """What tells the values of a class that is no plain class of attributes. Unfit if nothing."""
    for base in (int, float, str, bytes):
        if issubclass(kind, base):
            return base.__repr__
    if issubclass(kind, _TOLD_BY_TEXT):
        return repr
    if any(parent not in _SHOWN and _is_compiled(parent) for parent in kind.__mro__):
        raise Unfit(f"a {kind.__name__} hides what it holds")
    return None


def _is_compiled(kind: Any) -> bool:
    if issubclass(kind, BaseException):
        return False
    module = sys.modules.get(kind.__module__)
    compiled = str(getattr(module, "__file__", "")).endswith((".so", ".pyd"))
    is_static = not kind.__flags__ & _HEAP_TYPE
    return is_static or compiled or kind.__module__ in sys.builtin_module_names
