"""Names to parts, in visible dicts; a user's own part is named `module:attribute`."""

import importlib
import sys
import sysconfig
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from engine.errors import UsageError
from engine.locks.advisory import AdvisoryLock
from engine.locks.db_row import RowLock
from engine.locks.db_write import DbWrite
from engine.locks.global_lock import GlobalLock
from engine.locks.guarded_update import GuardedUpdate
from engine.locks.isolation import RepeatableRead, Serializable
from engine.locks.leases import FencedLease, Lease
from engine.locks.none import NoLock
from engine.locks.nowait import NoWait
from engine.locks.per_user import PerUserLock, PerUserUnsortedLock
from engine.locks.single_writer import SingleWriter
from engine.locks.version_cas import VersionCas
from engine.ports import Dialect, LockStrategy, Runtime

T = TypeVar("T")
MakeLock = Callable[[Runtime], LockStrategy]

# Whose lines say nothing about a mistake in a user's module: ours, the import's, libraries'.
_NOT_OWN = ("<frozen", __file__, *map(sysconfig.get_path, ("stdlib", "purelib")))

LOCK_STRATEGIES: dict[str, MakeLock] = {
    "none": NoLock,
    "global": GlobalLock,
    "per-user": PerUserLock,
    "db-row": RowLock,
    "fenced-lease": FencedLease,
    "guarded-update": GuardedUpdate,
    "version-cas": VersionCas,
    "repeatable-read": RepeatableRead,
    "serializable": Serializable,
    "advisory": AdvisoryLock,
    "db-write": DbWrite,
    "nowait": NoWait,
    "single-writer": SingleWriter,
}

# Wrong on purpose: shown in the verdict matrix so that one sees the explorer find them.
NEGATIVE_CONTROLS: dict[str, MakeLock] = {
    "per-user-unsorted": PerUserUnsortedLock,
    "lease": Lease,
}

# Those that need what not every database has; all others run on any.
ONLY_ON: dict[str, Dialect] = {
    "repeatable-read": "postgres",
    "advisory": "postgres",
    "db-write": "sqlite",
}


def strategies_on(dialect: Dialect) -> tuple[str, ...]:
    """The names of the lock strategies that run on such a database, controls left out."""
    return tuple(name for name in LOCK_STRATEGIES if ONLY_ON.get(name, dialect) == dialect)


def controls_on(dialect: Dialect) -> tuple[str, ...]:
    """The names of the negative controls that run on such a database."""
    return tuple(name for name in NEGATIVE_CONTROLS if ONLY_ON.get(name, dialect) == dialect)


def lock_strategy(name: str, dialect: Dialect | None = None) -> MakeLock:
    """The lock strategy called `name`, or the user's own at `module:attribute`. UsageError.

    With a `dialect` also for one that does not run on such a database.
    """
    found = find("lock strategy", name, LOCK_STRATEGIES | NEGATIVE_CONTROLS)
    if dialect is not None and ONLY_ON.get(name, dialect) != dialect:
        raise UsageError(
            f"{name!r} does not run on {dialect}",
            f"known there: {', '.join(strategies_on(dialect))}",
        )
    return found


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
    if not module_name or module_name.startswith("."):
        raise UsageError(f"no module is named in {name!r}", "write it as module:attribute")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    found = _imported(module_name, f"the {what} {name!r}")
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{module_name!r} has no {attribute!r}", f"check the {what}'s name")
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]


def _imported(module: str, wanted: str) -> Any:
    """A module, be it a user's: whatever it does while it is imported is told in one line."""
    try:
        return importlib.import_module(module)
    except UsageError:
        raise  # says itself what is wrong: two clients of one name, say
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise UsageError(
                f"cannot import {module!r} for {wanted} ({error})",
                "run from the folder that holds the module",
            ) from error
        raise _failed(module, wanted, error) from error
    except (Exception, SystemExit) as error:
        raise _failed(module, wanted, error) from error


def _failed(module: str, wanted: str, error: BaseException) -> UsageError:
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    what = ": ".join(filter(None, (type(error).__name__, said)))
    place = _place(error)
    at = f" at {place}" if place else ""
    return UsageError(f"cannot import {module!r} for {wanted} ({what}{at})", "mend the module")


def _place(error: BaseException) -> str:
    """The line of a file where it happened; the last of the user's own, not of a library."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename)}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_NOT_OWN)]
    return f"{_short(own[-1].filename)}:{own[-1].lineno}" if own else ""


def _short(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
