"""Memory kept where the explorer cannot see it: attributes of the code under test, and classes'.

`outline` of an object before and after is equal if nothing reachable from its attributes changed.
Globals and closures stay out of sight; replays of real coroutines are the net for those.
"""

import types
from collections import deque
from typing import Any

from engine.explore.frozen import Unfit
from engine.explore.steps import SteppedCache, SteppedMutex, SteppedRuntime, SteppedStore
from engine.ports import Cell

OBJECTS_MAX = 5_000
_PLAIN = (type(None), bool, int, float, str, bytes)
_OPAQUE = (
    *(SteppedRuntime, SteppedMutex, SteppedCache, SteppedStore, Cell),
    *(type, types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType),
    *(types.CoroutineType, types.GeneratorType),
)


def outline(root: Any) -> tuple[Any, ...]:
    """The shape and the plain values of everything reachable from `root`. Unfit if it is huge."""
    if not getattr(root, "__dict__", True) and not _class_memory(type(root)):
        return ()
    seen: dict[int, int] = {}
    found: list[Any] = []
    queue: deque[Any] = deque([root])
    while queue:
        thing = queue.popleft()
        if isinstance(thing, _PLAIN):
            found.append(thing)
            continue
        if id(thing) in seen:
            found.append(("again", seen[id(thing)]))
            continue
        if len(seen) == OBJECTS_MAX:
            raise Unfit(f"{type(root).__name__} reaches more than {OBJECTS_MAX:,} objects")
        seen[id(thing)] = len(seen)
        parts = _parts(thing)
        found.append((type(thing), len(parts)))
        queue.extend(parts)
    return tuple(found)


def _parts(thing: Any) -> list[Any]:
    if isinstance(thing, _OPAQUE) or getattr(thing, "explored_memory", False):
        return []
    if isinstance(thing, dict):
        return [part for pair in dict.items(thing) for part in pair]
    if isinstance(thing, list | tuple | deque):
        return list(thing)
    if isinstance(thing, set | frozenset):
        return sorted(thing, key=repr)
    parts = [part for pair in getattr(thing, "__dict__", {}).items() for part in pair]
    for kind in type(thing).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            parts.append(getattr(thing, name, None))
    return parts + _class_memory(type(thing))


def _class_memory(kind: type) -> list[Any]:
    """Containers that all objects of the class share."""
    return [
        value
        for parent in kind.__mro__
        if parent.__module__ not in ("builtins", "typing", "abc")
        for name, value in vars(parent).items()
        if type(value) in (dict, list, set, deque) and not name.startswith("__")
    ]
