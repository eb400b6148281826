"""Faults as moves: in the model and on real SQLite alike, each found where it breaks something."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from engine.cached_reads import CachedReads
from engine.catalog import MakeLock, lock_strategy
from engine.errors import SystemFault
from engine.explore.cells import worlds
from engine.explore.client import Client, Parts
from engine.explore.faults import Faults
from engine.explore.scenario import Program, Scenario
from engine.explore.search import Budget, Explored, explore
from engine.explore.world import Setting
from engine.history import Receipt
from engine.locks.body import read_apply_write
from engine.locks.db_row import RowLock
from engine.locks.db_write import DbWrite
from engine.locks.leases import Lease
from engine.locks.per_user import PerUserLock
from engine.ports import Call, Mutex, Runtime, Store
from engine.verdicts import Break, Verdict
from scenarios.catalogue import SCENARIOS
from scenarios.expectations import needs_exclusion

BOTH = pytest.mark.parametrize("store", ["memory", "sqlite"])


def found(
    scenario: Scenario,
    lock: Parts | MakeLock,
    store: str,
    faults: str,
    topology: str = "one-service",
) -> Explored:
    parts = lock if isinstance(lock, Parts) else Parts(lock)

    async def search() -> Explored:
        setting = Setting(scenario, topology, parts)
        async with worlds(setting, store) as open_world:
            return await explore(setting, open_world, faults=Faults.parse(faults), budget=Budget())

    return asyncio.run(search())


# Without a lock one fault that strikes A and not B may leave B alone, so fewer of them lose.
ALIKE = [
    ("documented-race", "none", "busy=1", 80, 12),
    ("documented-race", "none", "lost=1", 120, 36),
    ("documented-race", "none", "sweep=1", 118, 72),
    ("documented-race", "per-user", "busy=1", 48, 0),
    ("documented-race", "per-user", "lost=1", 68, 0),
    ("documented-race", "per-user", "sweep=1", 78, 0),
    ("documented-race", "db-row", "busy=1", 170, 0),
    ("documented-race", "db-row", "lost=1", 214, 0),
    ("documented-race", "db-write", "busy=1", 196, 0),
    ("documented-race", "db-write", "lost=1", 390, 0),
    ("documented-race", "db-write", "crash=1", 94, 0),
    ("documented-race", "version-cas", "busy=1,lost=1", 416, 0),
    ("stale-cache", "per-user", "cache=1", 26, 0),
    ("stale-cache", "per-user", "lost=1", 55, 0),
    ("failed-order", "db-row", "lost=1", 29, 0),
]


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "lock", "faults", "interleavings", "losing"), ALIKE)
def test_a_fault_ends_alike_in_the_model_and_on_real_sqlite(
    scenario: str, lock: str, faults: str, interleavings: int, losing: int
) -> None:
    model = found(SCENARIOS[scenario], lock_strategy(lock), "memory", faults)
    live = found(SCENARIOS[scenario], lock_strategy(lock), "sqlite", faults)
    assert (model.interleavings, model.losing) == (interleavings, losing)
    assert model.outcomes == live.outcomes
    assert model.witness == live.witness


@pytest.mark.slow
@BOTH
def test_a_lease_that_runs_out_under_its_holder_needs_a_fencing_token(store: str) -> None:
    race = SCENARIOS["documented-race"]
    assert found(race, Lease, store, "").verdict is Verdict.SAFE
    broken = found(race, Lease, store, "expire=1")
    assert broken.kinds == (Break.MONEY,)
    assert broken.witness is not None
    assert "A!expire" in broken.witness.schedule
    assert any("leases run out" in event.text for event in broken.witness.events)


@pytest.mark.slow
def test_a_fencing_token_stops_a_holder_that_outlived_its_lease() -> None:
    model = found(SCENARIOS["documented-race"], RowLock, "memory", "expire=1")
    live = found(SCENARIOS["documented-race"], RowLock, "sqlite", "expire=1")
    assert (model.verdict, model.interleavings) == (Verdict.SAFE, 594)
    assert model.outcomes == live.outcomes


@asynccontextmanager
async def one_owner(store: Store, key: str) -> AsyncIterator[None]:
    await store.take(key, "the service")
    try:
        yield
    finally:
        await store.give(key, "the service")


class OneOwner:
    """Everybody takes the lease in the same name, so the name says nothing about the holder."""

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        async with one_owner(store, "alice"):
            return await read_apply_write(call, store)


@pytest.mark.slow
def test_whose_lease_runs_out_does_not_depend_on_what_the_owner_is_called() -> None:
    model, live = (
        found(SCENARIOS["documented-race"], OneOwner, store, "expire=1")
        for store in ("memory", "sqlite")
    )
    assert model.verdict is Verdict.BROKEN
    assert model.outcomes == live.outcomes


class EvictsHeldLocks(PerUserLock):
    """A sweep takes the locks from under those who hold them."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.runtime = runtime
        self.mutexes: dict[str, Mutex] = {}

    async def run(self, call: Call, store: Store) -> Receipt:
        (account,) = call.accounts
        if account not in self.mutexes:
            self.mutexes[account] = self.runtime.mutex(account)
        async with self.mutexes[account]:
            return await read_apply_write(call, store)

    def sweep(self, idle_s: float) -> int:
        self.mutexes.clear()
        return 1


@BOTH
def test_a_sweep_at_any_moment_finds_a_lock_map_that_forgets_held_locks(store: str) -> None:
    race = SCENARIOS["documented-race"]
    assert found(race, EvictsHeldLocks, store, "").verdict is Verdict.SAFE
    broken = found(race, EvictsHeldLocks, store, "sweep=1")
    assert broken.kinds == (Break.MONEY,)
    assert broken.witness is not None
    assert [event.kind for event in broken.witness.events].count("sweep") == 1


async def asks_again(client: Client, key: str | None) -> None:
    try:
        await client.withdraw("alice", "100.00", key=key)
    except SystemFault:
        await client.withdraw("alice", "100.00", key=key)


async def with_key(client: Client) -> None:
    await asks_again(client, "payment-1")


async def without_key(client: Client) -> None:
    await asks_again(client, None)


def payment(program: Callable[[Client], Awaitable[object]]) -> Scenario:
    return Scenario(
        name="asks-again",
        title="",
        story="",
        openings={"alice": 1000_00},
        programs=(Program("A", program),),
        expected=needs_exclusion,
        correct={"alice": 900_00},
        always=True,
    )


@BOTH
@pytest.mark.parametrize("lock", ["per-user", "db-write"])
def test_a_reply_lost_after_the_commit_and_a_retry_pay_twice_without_a_key(
    lock: str, store: str
) -> None:
    assert found(payment(with_key), lock_strategy(lock), store, "lost=1").verdict is Verdict.SAFE
    assert found(payment(without_key), lock_strategy(lock), store, "busy=1").verdict is Verdict.SAFE
    twice = found(payment(without_key), lock_strategy(lock), store, "lost=1")
    assert (twice.losing, twice.kinds) == (1, (Break.MONEY,))
    assert twice.witness is not None
    assert "A!unheard" in twice.witness.schedule


class ForgetsToRollBack(DbWrite):
    """Leaves its transaction open when the commit is refused."""

    async def run(self, call: Call, store: Store) -> Receipt:
        await store.begin("immediate")
        receipt = await read_apply_write(call, store)
        await store.commit()
        return receipt


@BOTH
def test_a_refused_commit_leaves_the_transaction_open_for_the_callers_rollback(store: str) -> None:
    race = SCENARIOS["documented-race"]
    assert found(race, DbWrite, store, "busy=1").verdict is Verdict.SAFE
    assert Break.LIVENESS in found(race, ForgetsToRollBack, store, "busy=1").kinds


class TrustsAfterFailure(CachedReads):
    """Goes on trusting a cache that may have missed a refresh."""

    def _failed(self, error: SystemFault) -> None:
        pass


def test_a_cache_that_is_trusted_after_it_failed_shows_a_stale_balance() -> None:
    cached = SCENARIOS["stale-cache"]
    broken = found(cached, Parts(PerUserLock, TrustsAfterFailure), "memory", "cache=1")
    assert broken.kinds == (Break.READS,)
    assert found(cached, PerUserLock, "memory", "cache=1").verdict is Verdict.SAFE


@pytest.mark.parametrize("faults", ["busy=1", "lost=1", "crash=1", "expire=1", "sweep=1"])
def test_a_run_in_which_no_fault_struck_is_judged_by_the_correct_balances(faults: str) -> None:
    cell = found(SCENARIOS["retry-without-key"], RowLock, "memory", faults)
    assert cell.verdict is Verdict.BROKEN
    assert cell.witness is not None
    assert not any("!" in move for move in cell.witness.schedule)
