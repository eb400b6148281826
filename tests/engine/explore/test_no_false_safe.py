"""Ways in which an explorer could say safe, or broken, without being right."""

import asyncio

import pytest

from engine.catalog import MakeLock
from engine.errors import Conflict, UsageError, VersionChanged
from engine.explore.cells import worlds
from engine.explore.client import Client, Parts
from engine.explore.scenario import Faults, Program, Scenario
from engine.explore.search import Budget, Explored, explore
from engine.explore.world import Setting
from engine.history import Receipt
from engine.locks.body import read_apply_write
from engine.locks.db_row import RowLock
from engine.locks.global_lock import GlobalLock
from engine.ports import Call, Runtime, Store
from engine.verdicts import Break, Verdict
from scenarios.catalogue import SCENARIOS
from scenarios.documented_race import add, withdraw
from scenarios.expectations import needs_exclusion

BOTH = pytest.mark.parametrize("store", ["memory", "sqlite"])


def found(
    scenario: Scenario,
    make_lock: MakeLock,
    store: str,
    *,
    topology: str = "one-service",
    faults: Faults | None = None,
    budget: Budget | None = None,
) -> Explored:
    async def search() -> Explored:
        setting = Setting(scenario, topology, Parts(make_lock))
        async with worlds(setting, store) as open_world:
            return await explore(
                setting, open_world, faults=faults or scenario.faults, budget=budget or Budget()
            )

    return asyncio.run(search())


class ChecksThenBacksOff:
    """A flag instead of a lock, with a wait between looking at it and setting it."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.busy = runtime.cell("busy", bool)

    async def wait(self) -> None:
        if not self.busy.value:
            await self.runtime.backoff(0)

    async def run(self, call: Call, store: Store) -> Receipt:
        await self.wait()
        self.busy.value = True
        try:
            return await read_apply_write(call, store)
        finally:
            self.busy.value = False


@BOTH
def test_a_back_off_is_a_place_where_others_run(store: str) -> None:
    assert found(SCENARIOS["documented-race"], ChecksThenBacksOff, store).verdict is Verdict.BROKEN


class Spins(ChecksThenBacksOff):
    """Waits for the flag by asking again and again; in one process that excludes."""

    async def wait(self) -> None:
        while self.busy.value:
            await self.runtime.backoff(0)


@BOTH
def test_a_spinning_lock_is_explored_to_the_end(store: str) -> None:
    assert found(SCENARIOS["documented-race"], Spins, store).verdict is Verdict.SAFE


class SpinsForEver(Spins):
    """Never gives its flag back."""

    async def run(self, call: Call, store: Store) -> Receipt:
        await self.wait()
        self.busy.value = True
        return await read_apply_write(call, store)


@BOTH
def test_a_lock_that_spins_for_ever_is_a_livelock(store: str) -> None:
    spins = found(SCENARIOS["documented-race"], SpinsForEver, store, budget=Budget(runs_max=50))
    assert (spins.verdict, spins.kinds) == (Verdict.BROKEN, (Break.LIVENESS,))
    assert set(spins.outcomes) == {"livelock"}
    assert spins.witness is not None
    assert "livelock: " in spins.witness.explanation
    assert "tries again and again" in spins.witness.explanation


class WritesAgainInOneTransaction:
    """Recovers from a lost version inside the same transaction."""

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        seen = await store.read(call.accounts)
        del seen
        await store.begin("immediate")
        try:
            try:
                receipt = await read_apply_write(call, _Old(store), if_version=True)
            except VersionChanged:
                receipt = await read_apply_write(call, store)
            await store.commit()
        except BaseException:
            await store.rollback()
            raise
        return receipt


class _Old:
    """Pretends that the second account is at a version it has not."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.read = inner.read

    async def write(self, call, changes, **options):  # type: ignore[no-untyped-def]
        first, *others = changes
        wrong = tuple(change._replace(version=change.version + 7) for change in others)
        return await self.inner.write(call, (first, *wrong), **options)


@BOTH
def test_a_write_that_fails_inside_a_transaction_leaves_nothing_of_itself(store: str) -> None:
    crossing = SCENARIOS["crossing-transfers"]
    assert found(crossing, WritesAgainInOneTransaction, store).verdict is Verdict.SAFE


class TakesInside:
    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        await store.begin("immediate")
        try:
            await store.take("alice", call.id)
        finally:
            await store.rollback()
        return await read_apply_write(call, store)


@BOTH
def test_a_lease_inside_a_transaction_is_refused_in_both_worlds(store: str) -> None:
    with pytest.raises(UsageError, match="take inside an open transaction"):
        found(SCENARIOS["documented-race"], TakesInside, store)


async def order(client: Client) -> None:
    await client.create_order("o", "alice", "500.00")


async def fail_before_asking(client: Client) -> None:
    await client.withdraw("alice", "500.00")
    raise RuntimeError("out of paper")


@pytest.mark.parametrize("swap", [False, True])
def test_a_client_that_died_is_seen_whatever_the_order_of_programs(swap: bool) -> None:
    programs = [Program("A", order), Program("B", fail_before_asking)]
    scenario = Scenario(
        name="dies",
        title="",
        story="",
        openings={"alice": 1000_00},
        programs=tuple(reversed(programs)) if swap else tuple(programs),
        expected=needs_exclusion,
    )
    died = found(scenario, GlobalLock, "memory")
    assert died.losing == died.interleavings
    assert died.kinds == (Break.LIVENESS,)


def test_an_accepted_order_is_explained_like_any_withdrawal() -> None:
    scenario = Scenario(
        name="one-order",
        title="",
        story="",
        openings={"alice": 1000_00},
        programs=(Program("A", order), Program("B", add)),
        expected=needs_exclusion,
        correct={"alice": 800_00},
    )
    assert found(scenario, GlobalLock, "memory").verdict is Verdict.SAFE
    assert found(scenario, RowLock, "sqlite", topology="two-processes").verdict is Verdict.SAFE


def test_a_crash_beside_a_cache_ends_alike_in_both_worlds() -> None:
    cached, crash = SCENARIOS["stale-cache"], Faults(crash=1)
    model = found(cached, GlobalLock, "memory", faults=crash)
    live = found(cached, GlobalLock, "sqlite", faults=crash)
    assert (model.interleavings, model.outcomes) == (live.interleavings, live.outcomes)


def test_leases_of_the_dead_run_out_and_no_others() -> None:
    scenario = Scenario(
        name="namesakes",
        title="",
        story="",
        openings={"alice": 1000_00},
        programs=(Program("A", withdraw), Program("A-again", add)),
        expected=needs_exclusion,
    )
    crash = Faults(crash=1)
    model = found(scenario, RowLock, "memory", topology="two-processes", faults=crash)
    live = found(scenario, RowLock, "sqlite", topology="two-processes", faults=crash)
    assert model.verdict is live.verdict is Verdict.SAFE
    assert model.outcomes == live.outcomes


@pytest.mark.parametrize(
    ("programs", "says"),
    [
        ((Program("A", add), Program("a", add)), "cannot name a client"),
        ((Program("A_1", add),), "cannot name a client"),
        ((Program("A", add, after=("B",)), Program("B", add)), "waits for B"),
        ((Program("A", add, after=("A",)),), "waits for A"),
    ],
)
def test_a_scenario_that_would_prove_nothing_is_refused(
    programs: tuple[Program, ...], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        Scenario("x", "", "", {"alice": 1}, programs, needs_exclusion)


class AlwaysConflicts(ChecksThenBacksOff):
    """Loses no money, since it never moves any."""

    async def run(self, call: Call, store: Store) -> Receipt:
        raise Conflict("somebody is always quicker", "try again")


@BOTH
def test_a_strategy_under_which_nobody_ever_gets_through_has_shown_nothing(store: str) -> None:
    barren = found(SCENARIOS["documented-race"], AlwaysConflicts, store)
    assert barren.verdict is Verdict.UNKNOWN
    assert "no request ever succeeded" in barren.note
    assert "no request" not in found(SCENARIOS["documented-race"], GlobalLock, "memory").note


class Lucky:
    """Takes a different path every time it is built."""

    runs = 0

    def __init__(self, runtime: Runtime) -> None:
        Lucky.runs += 1
        self.mutex = runtime.mutex("m")

    async def run(self, call: Call, store: Store) -> Receipt:
        for _ in range(3 if Lucky.runs % 2 else 0):
            await store.read(call.accounts)
        return await read_apply_write(call, store)


def test_code_that_is_not_deterministic_is_told_so() -> None:
    with pytest.raises(UsageError, match="must be deterministic"):
        found(SCENARIOS["documented-race"], Lucky, "memory")


class LearnsFromItsMistakes(GlobalLock):
    """Forgets its lock in the first twenty runs, which it counts where no explorer looks."""

    built = 0

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        type(self).built += 1
        self.careless = self.built <= 20

    async def run(self, call: Call, store: Store) -> Receipt:
        return await (read_apply_write(call, store) if self.careless else super().run(call, store))


def test_a_loss_that_does_not_recur_is_told_as_hidden_state() -> None:
    with pytest.raises(UsageError, match="has hidden state"):
        found(SCENARIOS["documented-race"], LearnsFromItsMistakes, "memory")
