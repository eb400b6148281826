"""`make bench-live`: how many interleavings a second are explored on the live databases.

The documented race, each client in a transaction of its own: begin, read, write, commit. Every
interleaving is run, step by step, and judged.
"""

import asyncio
from statistics import median
from typing import Annotated

import typer

from engine.explore.cells import explore_cell
from engine.explore.live_stores import placed
from engine.history import Receipt
from engine.locks.body import read_apply_write, transaction
from engine.ports import Call, Level, Runtime, Store
from engine.results import Cell
from scenarios.catalogue import SCENARIOS
from scenarios.cli import unwind_when_terminated
from scenarios.console import out

STORES = ("postgres", "sqlite")
RACE = SCENARIOS["documented-race"]
TARGETS = {"postgres": 400}


class InATransaction:
    """No lock: at these levels PostgreSQL loses one of the two updates, and SQLite refuses one."""

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        level: Level = "deferred" if store.dialect == "sqlite" else "read-committed"
        async with transaction(store, level):
            return await read_apply_write(call, store)


def main(
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Explorations of each store.")] = 5,
) -> None:
    """Explore the race on each live database, again and again; the fastest and the median round."""
    for store in STORES:
        with placed(store) as at:
            asyncio.run(_explored(at))  # warm
            cells = [asyncio.run(_explored(at)) for _ in range(rounds)]
        speeds = [cell.interleavings / cell.seconds for cell in cells]
        target = f", the target is {TARGETS[store]}" if store in TARGETS else ""
        out.print(
            f"{store}: {cells[0].interleavings} interleavings, {median(speeds):,.0f}/s in the"
            f" median of {rounds} rounds, {max(speeds):,.0f}/s in the best{target}",
            highlight=False,
        )


async def _explored(store: str) -> Cell:
    lock = "scenarios.store_bench.live:InATransaction"
    return await explore_cell(RACE, lock, "one-service", store)


if __name__ == "__main__":
    unwind_when_terminated()
    typer.run(main)
