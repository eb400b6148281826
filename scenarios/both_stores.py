"""What a report has of PostgreSQL and SQLite side by side: costs, and isolation levels.

Where PostgreSQL cannot start, SQLite is measured alone.
"""

import asyncio
from collections.abc import Iterator, Mapping

from engine.catalog import strategies_on
from engine.isolation.anomalies import ANOMALIES
from engine.isolation.levels import LEVELS
from engine.load.store_rounds import compare_on_stores
from engine.ports import Dialect
from engine.results import IsolationCell, Load, LoadRun
from engine.stores.opening import located
from scenarios.console import progress
from scenarios.isolation_command import explore_levels

STORES: tuple[Dialect, ...] = ("postgres", "sqlite")
CLIENTS = (1, 2, 8, 32)
ACCOUNTS = ("hot", "uniform:10", "uniform:100", "uniform:1000")
MIX = "withdraw=1,add=1"
# So that locks are compared, and not how long a disk takes.
RELAXED = {"postgres": "OFF", "sqlite": "NORMAL"}
# One short run each: two hundred of them are drawn as curves, not compared in pairs.
SECONDS = 0.1
WARMUP_S = 0.03


def measured(addresses: Mapping[str, str], *, seed: int) -> list[LoadRun]:
    """Every lock strategy: few to many clients on a hot account, and many on ever more accounts."""
    with progress("measuring every lock strategy on its store") as advance:
        return compare_on_stores(
            [load for load in _loads() if load.store in addresses],
            addresses=addresses,
            rounds=1,
            seconds=SECONDS,
            warmup_s=WARMUP_S,
            seed=seed,
            on_progress=lambda run, done, of: advance(
                done, of, f"{run.load.lock} on {run.load.store}"
            ),
        )


def _loads() -> Iterator[Load]:
    hot, *spread = ACCOUNTS
    settings = [(hot, clients) for clients in CLIENTS]
    settings += [(accounts, max(CLIENTS)) for accounts in spread]
    for accounts, clients in settings:
        # In the catalogue's order, which is that of the panels, whatever runs where.
        for store in STORES:
            for lock in strategies_on(store):
                yield Load(lock, clients, accounts, MIX, store=store, synchronous=RELAXED[store])


def isolation(addresses: Mapping[str, str]) -> list[IsolationCell]:
    """Every anomaly at every level of the databases that are there."""
    return [cell for store in STORES if store in addresses for cell in _levels(store, addresses)]


def _levels(store: Dialect, addresses: Mapping[str, str]) -> Iterator[IsolationCell]:
    levels = list(LEVELS[store])
    with located(addresses[store] if store == "postgres" else store) as address:
        _, cells = asyncio.run(explore_levels(address, levels, list(ANOMALIES.values())))
    for cell in cells:
        yield IsolationCell(
            store,
            cell.level.name,
            cell.anomaly.name,
            cell.anomaly.title,
            cell.found,
            cell.showing,
            cell.runs,
            cell.as_expected,
        )
