"""One cell of the verdict matrix: a scenario under a lock strategy, a topology and a store."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from engine.catalog import lock_strategy
from engine.errors import UsageError
from engine.explore.client import Parts
from engine.explore.faults import Faults
from engine.explore.gated import GatedWorld, LiveDatabase
from engine.explore.model import ModelWorld
from engine.explore.scenario import Scenario, known_topology
from engine.explore.search import Budget, OnProgress, OpenWorld, explore, replay
from engine.explore.world import Setting, World
from engine.results import Cell, Witness

STORES = {
    "memory": "the model: SQLite's rules in memory, coroutines driven by hand",
    "sqlite": "a real SQLite file through aiosqlite, gated step by step",
}


def setting_of(scenario: Scenario, lock: str, topology: str) -> Setting:
    """Names to parts. UsageError for a name that does not exist."""
    return Setting(scenario, known_topology(topology), Parts(lock_strategy(lock)))


@asynccontextmanager
async def worlds(setting: Setting, store: str) -> AsyncIterator[OpenWorld]:
    """A maker of worlds for `setting`; a SQLite file is temporary and shared by all its runs."""
    if store == "memory":

        async def model() -> World:
            return ModelWorld(setting)

        yield model
    elif store == "sqlite":
        with tempfile.TemporaryDirectory(prefix="walletrace-") as folder:
            # One connection for each client's transaction, one for everybody else.
            live = await LiveDatabase.open(
                Path(folder) / "explored.db", connections=len(setting.scenario.programs) + 1
            )

            async def gated() -> World:
                return await GatedWorld.open(setting, live)

            try:
                yield gated
            finally:
                await live.close()
    else:
        raise UsageError(f"no store {store!r}", f"known: {', '.join(STORES)}")


async def explore_cell(
    scenario: Scenario,
    lock: str,
    topology: str,
    store: str,
    *,
    faults: Faults | None = None,
    budget: Budget | None = None,
    on_progress: OnProgress | None = None,
) -> Cell:
    """Explore one cell. Its expectation holds for the scenario's own faults only."""
    struck = scenario.faults if faults is None else faults
    setting = setting_of(scenario, lock, topology)
    async with worlds(setting, store) as open_world:
        found = await explore(
            setting, open_world, faults=struck, budget=budget or Budget(), on_progress=on_progress
        )
    expected = scenario.expected(lock, topology) if struck == scenario.faults else None
    return Cell(
        scenario=scenario.name,
        lock=lock,
        store=store,
        topology=topology,
        faults=str(struck),
        expected=expected,
        verdict=found.verdict,
        kinds=found.kinds,
        interleavings=found.interleavings,
        losing=found.losing,
        outcomes=found.outcomes,
        witness=found.witness,
        seconds=found.seconds,
        note=found.note,
    )


async def replay_cell(
    scenario: Scenario,
    lock: str,
    topology: str,
    store: str,
    schedule: tuple[str, ...],
    *,
    faults: Faults,
) -> Witness:
    """Run one schedule on `store`. UsageError if the code no longer follows it."""
    setting = setting_of(scenario, lock, topology)
    async with worlds(setting, store) as open_world:
        return await replay(setting, open_world, schedule, faults)
