"""The machine that figures come from, and the choice to run a load on one of its cores.

A load run is one event loop and one database thread that hand work to each other. On one core the
hand-over is a switch; across two it is a wake-up, which costs several times more and varies with
whatever else the machine does. So runs are pinned unless one asks otherwise, and say so.
"""

import os
import platform
import sqlite3
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Machine:
    """What a reader must know to compare figures. `pinned`: runs were kept on one core."""

    platform: str
    cores: int
    python: str
    database: str
    synchronous: str
    pinned: bool

    def __str__(self) -> str:
        kept = "asyncio driver pinned to one" if self.pinned else "not pinned"
        return (
            f"{self.platform}, {self.cores} cores ({kept}), Python {self.python},"
            f" {self.database} (synchronous {self.synchronous})"
        )


def machine(*, database: str = "", synchronous: str = "NORMAL", pin: bool = True) -> Machine:
    """This machine, for runs with these options; `database` is SQLite if nothing else is said."""
    return Machine(
        platform.platform(terse=True),
        os.cpu_count() or 1,
        platform.python_version(),
        database or f"SQLite {sqlite3.sqlite_version}, WAL",
        synchronous,
        pin and can_pin(),
    )


def can_pin() -> bool:
    """Whether this system lets a process choose its cores (Linux does, macOS does not)."""
    return hasattr(os, "sched_setaffinity")


@contextmanager
def pinned(pin: bool) -> Iterator[None]:
    """Keep this thread, and threads that it starts meanwhile, on one core if `pin`."""
    if not (pin and can_pin()):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {_quietest(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _quietest(cores: AbstractSet[int]) -> int:
    """The core that idled most just now: beside a busy process, a pinned run all but stands."""
    before = _idle_ticks()
    time.sleep(LOOK_S)
    after = _idle_ticks()
    return max(sorted(cores), key=lambda core: after.get(core, 0) - before.get(core, 0))


def _idle_ticks() -> dict[int, int]:
    """Idle time of each core since the system started (proc_stat(5): the fourth figure)."""
    lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    return {
        int(name[3:]): int(times[3]) for name, *times in lines if name[:3] == "cpu" and name[3:]
    }
