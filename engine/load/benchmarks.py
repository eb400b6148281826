"""`make bench`: memory stays flat while a million users pass, because idle locks are swept.

Every user's lock is taken once, from the map that `per-user` takes it from. Swept periodically the
map stays at the users of the last moments; never swept it holds a mutex for every user there was.
"""

import asyncio
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import uvloop
from rich.console import Console
from rich.table import Table

from engine.load.machine import machine
from engine.locks.lock_map import LockMap
from engine.runtimes import AsyncioRuntime

USERS = 1_000_000
MARKS = 4
SWEEP_EVERY = 10_000
IDLE_S = 0.05


@dataclass(frozen=True, slots=True)
class Mark:
    """After `users` accounts: the locks kept, and the most memory the process ever had (MiB)."""

    users: int
    locks: int
    peak_mib: float
    seconds: float


async def lock_memory(
    users: int, *, idle_s: float | None, on_mark: Callable[[Mark], None] = lambda mark: None
) -> list[Mark]:
    """What `users` distinct users leave behind, at every quarter; None never sweeps."""
    locks = LockMap(AsyncioRuntime())
    marks: list[Mark] = []
    started_s = perf_counter()
    for done in range(users + 1):
        if done % (users // MARKS) == 0:
            marks.append(Mark(done, len(locks), peak_mib(), perf_counter() - started_s))
            on_mark(marks[-1])
        async with locks.hold(f"user-{done}"):
            pass
        if idle_s is not None and done % SWEEP_EVERY == 0:
            locks.sweep(idle_s)
    return marks


def peak_mib() -> float:
    """The largest resident memory of this process so far: flat if it no longer rises."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 / (1024 if sys.platform == "darwin" else 1)


def main() -> None:
    """Both runs as one table; the swept one first, since a peak never falls."""
    console = Console()
    table = Table("users", "sweep", "locks kept", "peak memory, MiB", "seconds")
    table.title = "Locks of users who were here once"
    for column in table.columns:
        column.justify = "right"
    with console.status("a million users…") as status:
        for sweep, idle_s in ((f"idle {IDLE_S:g} s", IDLE_S), ("never", None)):

            def told(mark: Mark, sweep: str = sweep) -> None:
                status.update(f"{mark.users:,} users, sweep: {sweep}")
                table.add_row(
                    f"{mark.users:,}",
                    sweep,
                    f"{mark.locks:,}",
                    f"{mark.peak_mib:.1f}",
                    f"{mark.seconds:.1f}",
                )

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(lock_memory(USERS, idle_s=idle_s, on_mark=told))
            table.add_section()
    console.print(table)
    console.print(str(machine(pin=False)))


if __name__ == "__main__":
    main()
