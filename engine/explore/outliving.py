"""Memory that outlives a run: globals and class attributes of the modules under test.

Every run starts as if the services had just been started; globals cannot be put back to that. So
code under test that changes them while it is explored is refused, with their names.
"""

import asyncio
import functools
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator, Mapping
from typing import Any

from engine.errors import UsageError
from engine.explore.frozen import Unfit
from engine.explore.unseen import outline
from engine.explore.world import Setting

_PLAIN = frozenset({type(None), bool, int, float, str, bytes})
_CONTAINERS = {tuple, frozenset, dict, list, set, deque, defaultdict, OrderedDict, Counter}
_MEMORY = _PLAIN | _CONTAINERS
_LOCKS = (asyncio.Lock, asyncio.Event, asyncio.Condition, asyncio.Semaphore, asyncio.Queue)


class Globals:
    """The globals of a setting's modules, as they are before it is explored."""

    def __init__(self, setting: Setting) -> None:
        self._places = tuple(_places(setting))
        self._before = self._outlines()

    def check(self) -> None:
        """UsageError if they are not what they were."""
        after = self._outlines()
        changed = sorted(name for name in after if after[name] != self._before.get(name))
        if changed:
            raise UsageError(
                f"the code under test keeps memory in {', '.join(changed)}, which outlives a run",
                "keep it in Runtime.cell, or on the wallet or lock strategy itself",
            )

    def _outlines(self) -> Mapping[str, object]:
        """What each global holds that may be memory."""
        return {
            f"{place}.{name}": _outline(value)
            for place, names in self._places
            for name, value in _own(names)
        }


def _places(setting: Setting) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The modules of the code under test, and its classes, with the names in them."""
    parts = (setting.parts.make_lock, setting.parts.make_wallet, setting.parts.make_reads)
    code = [*parts, *(program.run for program in setting.scenario.programs)]
    classes = [parent for part in parts if isinstance(part, type) for parent in part.__mro__]
    for owner in {getattr(part, "__module__", "") for part in code} - {"builtins"}:
        if not str(owner).startswith("engine.") and owner in sys.modules:
            yield owner, vars(sys.modules[owner])
    for kind in classes:
        if not kind.__module__.startswith(("engine.", "builtins")):
            yield f"{kind.__module__}.{kind.__name__}", vars(kind)


def _own(names: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in names.items():
        kind: Any = type(value)
        if _may_be_memory(kind) and not name.startswith("__"):
            yield name, value


@functools.cache
def _may_be_memory(kind: type) -> bool:
    return kind in _MEMORY or issubclass(kind, _LOCKS)


def _outline(value: object) -> object:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, _LOCKS):  # a lock that was waited for belongs to one event loop
        return [(name, bool(part)) for name, part in vars(value).items()]
    try:
        return outline(value)
    except Unfit:  # too large to compare; what changes in it is not noticed
        return "large"
