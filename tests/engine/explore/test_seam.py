"""The seam: unmodified strategies, in the model and on real SQLite, identical outcomes and counts.

The counts are those of the spike that decided the seam; where a number here is not the product's
own choice it is checked by hand: two clients of three steps each have 20 interleavings.
"""

import asyncio
from contextlib import AsyncExitStack

import pytest

from engine.catalog import MakeLock, lock_strategy
from engine.explore.cells import worlds
from engine.explore.client import Parts
from engine.explore.scenario import Faults, Scenario
from engine.explore.search import Budget, Explored, explore
from engine.explore.world import Setting
from engine.history import Receipt
from engine.locks.body import read_apply_write
from engine.ports import Call, Runtime, Store
from engine.verdicts import Break, Verdict
from scenarios.catalogue import SCENARIOS

pytestmark = pytest.mark.slow


def found(
    scenario: Scenario,
    lock: str | MakeLock,
    topology: str,
    store: str,
    faults: Faults | None = None,
) -> Explored:
    make_lock = lock_strategy(lock) if isinstance(lock, str) else lock

    async def search() -> Explored:
        setting = Setting(scenario, topology, Parts(make_lock))
        async with worlds(setting, store) as open_world:
            return await explore(
                setting, open_world, faults=faults or scenario.faults, budget=Budget()
            )

    return asyncio.run(search())


CELLS = [
    ("documented-race", "none", "one-service", 20, 12),
    ("documented-race", "none", "two-processes", 20, 12),
    ("documented-race", "per-user", "one-service", 10, 0),
    ("documented-race", "per-user", "two-processes", 70, 40),
    ("documented-race", "per-user-unsorted", "one-service", 10, 0),
    ("documented-race", "version-cas", "two-processes", 20, 0),
    ("documented-race", "db-row", "one-service", 12, 0),
    ("documented-race", "db-row", "two-processes", 12, 0),
    ("documented-race", "db-write", "two-processes", 12, 0),
    ("documented-race", "serializable", "one-service", 252, 0),
    ("documented-race", "guarded-update", "two-processes", 6, 0),
    ("documented-race", "nowait", "two-processes", 80, 0),
    ("documented-race", "single-writer", "one-service", 52, 0),
    ("documented-race", "single-writer", "two-processes", 70, 0),
    ("crossing-transfers", "none", "one-service", 20, 12),
    ("crossing-transfers", "per-user", "one-service", 12, 0),
    ("crossing-transfers", "per-user", "two-processes", 252, 140),
    ("crossing-transfers", "per-user-unsorted", "one-service", 18, 6),
    ("crossing-transfers", "per-user-unsorted", "two-processes", 252, 140),
    ("crossing-transfers", "version-cas", "one-service", 20, 0),
    ("crossing-transfers", "db-row", "two-processes", 16, 0),
    ("crossing-transfers", "db-write", "one-service", 12, 0),
]


@pytest.mark.parametrize(("scenario", "lock", "topology", "interleavings", "losing"), CELLS)
def test_model_and_real_sqlite_agree_on_outcomes_and_counts(
    scenario: str, lock: str, topology: str, interleavings: int, losing: int
) -> None:
    model = found(SCENARIOS[scenario], lock, topology, "memory")
    live = found(SCENARIOS[scenario], lock, topology, "sqlite")
    assert (model.interleavings, model.losing) == (interleavings, losing)
    assert model.outcomes == live.outcomes
    assert model.verdict == live.verdict == (Verdict.BROKEN if losing else Verdict.SAFE)


# All but `serializable`, whose 5,474 interleavings are many for a real database.
CANCELLED = [
    ("global", 98),
    ("per-user", 98),
    ("db-row", 214),
    ("fenced-lease", 214),
    ("guarded-update", 30),
    ("version-cas", 168),
    ("db-write", 314),
    ("nowait", 840),
    ("single-writer", 430),
    ("lease", 214),
]


@pytest.mark.parametrize(("lock", "interleavings"), CANCELLED)
def test_one_cancellation_at_any_step_loses_nothing_in_either_world(
    lock: str, interleavings: int
) -> None:
    race = SCENARIOS["documented-race"]
    model = found(race, lock, "one-service", "memory", Faults(cancel=1))
    live = found(race, lock, "one-service", "sqlite", Faults(cancel=1))
    assert (model.interleavings, model.losing) == (interleavings, 0)
    assert model.outcomes == live.outcomes


def test_crossing_transfers_survive_one_cancellation_under_row_locks_in_two_processes() -> None:
    cross = SCENARIOS["crossing-transfers"]
    model = found(cross, "db-row", "two-processes", "memory", Faults(cancel=1))
    live = found(cross, "db-row", "two-processes", "sqlite", Faults(cancel=1))
    assert model.verdict is Verdict.SAFE
    assert model.outcomes == live.outcomes


def test_unsorted_locks_deadlock_and_the_cycle_is_named() -> None:
    deadlock = found(SCENARIOS["crossing-transfers"], "per-user-unsorted", "one-service", "memory")
    assert deadlock.kinds == (Break.LIVENESS,)
    assert deadlock.witness is not None
    assert "A waits for bob, held by B; B waits for alice, held by A" in (
        deadlock.witness.explanation
    )


class LeaksItsLock:
    """Gives its lock back only when nothing goes wrong."""

    def __init__(self, runtime: Runtime) -> None:
        self.mutex = runtime.mutex("everybody")

    async def run(self, call: Call, store: Store) -> Receipt:
        await self.mutex.__aenter__()
        receipt = await read_apply_write(call, store)
        await self.mutex.__aexit__(None, None, None)
        return receipt


def test_a_lock_that_a_cancellation_leaks_is_found() -> None:
    race = SCENARIOS["documented-race"]
    assert found(race, LeaksItsLock, "one-service", "memory").verdict is Verdict.SAFE
    leaked = found(race, LeaksItsLock, "one-service", "memory", Faults(cancel=1))
    assert Break.LIVENESS in leaked.kinds


class Fails:
    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        async with AsyncExitStack():
            raise KeyError(call.id)


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_a_strategy_that_raises_is_reported_with_its_error(store: str) -> None:
    failed = found(SCENARIOS["documented-race"], Fails, "one-service", store)
    assert failed.verdict is Verdict.BROKEN
    assert failed.witness is not None
    assert "KeyError" in failed.witness.explanation
