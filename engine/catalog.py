"""Names to parts, in visible dicts; a user's own part is named `module:attribute`."""

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from engine.errors import UsageError
from engine.locks.db_row import RowLock
from engine.locks.global_lock import GlobalLock
from engine.locks.none import NoLock
from engine.locks.per_user import PerUserLock, PerUserUnsortedLock
from engine.ports import LockStrategy, Runtime

T = TypeVar("T")
MakeLock = Callable[[Runtime], LockStrategy]

LOCK_STRATEGIES: dict[str, MakeLock] = {
    "none": NoLock,
    "global": GlobalLock,
    "per-user": PerUserLock,
    "db-row": RowLock,
}

# Wrong on purpose: shown in the verdict matrix so that one sees the explorer find them.
NEGATIVE_CONTROLS: dict[str, MakeLock] = {
    "per-user-unsorted": PerUserUnsortedLock,
}


def lock_strategy(name: str) -> MakeLock:
    """The lock strategy called `name`, or the user's own at `module:attribute`. UsageError."""
    return find("lock strategy", name, LOCK_STRATEGIES | NEGATIVE_CONTROLS)


def wallet(name: str) -> Callable[..., Any]:
    """The user's own wallet at `module:attribute`. UsageError."""
    own: Mapping[str, Callable[..., Any]] = {}
    found = find("wallet", name, own)
    if not callable(found):
        raise UsageError(f"{name!r} is no wallet", "name a class, as module:Class")
    return found


def find(what: str, name: str, known: Mapping[str, T]) -> T:
    """`known[name]`, or the object at `module:attribute` (the current folder is searched too)."""
    if name in known:
        return known[name]
    module_name, colon, attribute = name.partition(":")
    if not colon:
        ours = f"known: {', '.join(known)}; or" if known else "name"
        raise UsageError(f"no {what} {name!r}", f"{ours} your own as module:attribute")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except (ImportError, ValueError, TypeError) as error:
        raise UsageError(
            f"cannot import {module_name!r} for the {what} {name!r} ({error})",
            "run from the folder that holds the module",
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{module_name!r} has no {attribute!r}", f"check the {what}'s name")
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]
