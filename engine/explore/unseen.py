"""Memory kept where the explorer cannot see it: attributes of the code under test, and classes'.

`outline` of an object before and after is equal if nothing reachable from its attributes changed.
Globals and closures stay out of sight; replays of real coroutines are the net for those.
"""

import functools
import types
from collections import deque
from typing import Any

from engine.explore.frozen import Unfit
from engine.explore.steps import SteppedCache, SteppedMutex, SteppedRuntime, SteppedStore
from engine.ports import Cell

OBJECTS_MAX = 5_000
_PLAIN = frozenset({type(None), bool, int, float, str, bytes})
_OPAQUE = (
    *(SteppedRuntime, SteppedMutex, SteppedCache, SteppedStore, Cell),
    *(type, types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType),
    *(types.CoroutineType, types.GeneratorType),
)


def outline(root: Any) -> tuple[Any, ...]:
    """The shape and the plain values of everything reachable from `root`. Unfit if it is huge."""
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


def _parts(thing: Any, kind: Any) -> list[Any]:
    if issubclass(kind, dict):
        return [part for pair in dict.items(thing) for part in pair]
    if issubclass(kind, list | tuple | deque):
        return list(thing)
    if issubclass(kind, set | frozenset):
        return sorted(thing, key=repr)
    opaque, slots, shared = _layout(kind)
    if opaque:
        return []
    parts = [part for pair in getattr(thing, "__dict__", {}).items() for part in pair]
    return parts + [getattr(thing, name, None) for name in slots] + list(shared)


@functools.cache
def _layout(kind: Any) -> tuple[bool, tuple[str, ...], tuple[Any, ...]]:
    """Whether objects of the class are not looked into, their slots, and what the class holds."""
    if issubclass(kind, _OPAQUE) or getattr(kind, "explored_memory", False):
        return True, (), ()
    slots: list[str] = []
    shared: list[Any] = []
    for parent in kind.__mro__:
        own = parent.__dict__.get("__slots__", ())
        slots += (own,) if isinstance(own, str) else own
        if parent.__module__ not in ("builtins", "typing", "abc"):
            shared += [
                value
                for name, value in vars(parent).items()
                if type(value) in (dict, list, set, deque) and not name.startswith("__")
            ]
    return False, tuple(slots), tuple(shared)
