"""Memory that outlives a run: globals and class attributes of the modules under test.

Every run starts as if the services had just been started; globals cannot be put back to that. So
code under test that changes them while it is explored is refused, with their names.
"""

import asyncio
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator, Mapping

from engine.errors import UsageError
from engine.explore.frozen import Unfit
from engine.explore.unseen import outline
from engine.explore.world import Setting

_MEMORY = (int, float, str, dict, list, set, deque, defaultdict, OrderedDict, Counter)
_LOCKS = (asyncio.Lock, asyncio.Event, asyncio.Condition, asyncio.Semaphore, asyncio.Queue)


class Globals:
    """The globals of a setting's modules, as they are before it is explored."""

    def __init__(self, setting: Setting) -> None:
        self._modules = _modules_of(setting)
        self._before = _outlines(self._modules)

    def check(self) -> None:
        """UsageError if they are not what they were."""
        after = _outlines(self._modules)
        changed = sorted(name for name in after if after[name] != self._before.get(name))
        if changed:
            raise UsageError(
                f"the code under test keeps memory in {', '.join(changed)}, which outlives a run",
                "keep it in Runtime.cell, or on the wallet or lock strategy itself",
            )


def _modules_of(setting: Setting) -> tuple[str, ...]:
    parts = (setting.parts.make_lock, setting.parts.make_wallet, setting.parts.make_reads)
    code = [*parts, *(program.run for program in setting.scenario.programs)]
    names = {str(getattr(part, "__module__", "")) for part in code}
    return tuple(sorted(name for name in names if not name.startswith("engine.")))


def _outlines(modules: tuple[str, ...]) -> Mapping[str, object]:
    """What each global holds. UsageError for asyncio's locks: they belong to one event loop."""
    found: dict[str, object] = {}
    for name, value in _globals(modules):
        if isinstance(value, _LOCKS):
            raise UsageError(
                f"{name} is a global asyncio.{type(value).__name__}, which outlives a run",
                "make it in __init__ of the wallet or lock strategy",
            )
        if type(value) in _MEMORY:
            found[name] = _outline(value)
    return found


def _globals(modules: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    """Modules' names and those of their classes, with what they hold."""
    for module in modules:
        held = vars(sys.modules[module]) if module in sys.modules else {}
        for name, value in held.items():
            if isinstance(value, type) and value.__module__ == module:
                yield from ((f"{module}.{name}.{key}", own) for key, own in _own(vars(value)))
        yield from ((f"{module}.{name}", value) for name, value in _own(held))


def _own(names: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    return ((name, value) for name, value in names.items() if not name.startswith("__"))


def _outline(value: object) -> object:
    try:
        return outline(value)
    except Unfit:  # too large to compare; what changes in it is not noticed
        return "large"
