"""One run for each trace: how few runs are made, and that nothing is lost by it."""

import asyncio
from collections.abc import Callable

import pytest

from engine.catalog import MakeLock, lock_strategy
from engine.errors import UsageError
from engine.explore.cells import in_worlds, worlds
from engine.explore.client import Client, Parts
from engine.explore.faults import Faults
from engine.explore.harvest import Harvest
from engine.explore.reduction import Method, OpenWorld, explore_reduced
from engine.explore.scenario import Program, Scenario
from engine.explore.world import Setting
from engine.history import Receipt
from engine.locks.body import read_apply_write
from engine.locks.global_lock import GlobalLock
from engine.ports import Call, Runtime, Store
from engine.verdicts import Break, Verdict
from scenarios.catalogue import SCENARIOS

pytestmark = pytest.mark.slow

BOTH = pytest.mark.parametrize("method", ["source", "sleep"])


def reduced(
    scenario: Scenario,
    lock: str | MakeLock,
    method: Method = "source",
    *,
    topology: str = "one-service",
    store: str = "memory",
    faults: Faults | None = None,
    runs_max: int = 20_000,
    seconds_max: float = 60.0,
    unseen_memory: bool = False,
) -> Harvest:
    make_lock = lock_strategy(lock) if isinstance(lock, str) else lock
    setting = Setting(scenario, topology, Parts(make_lock))

    async def search() -> Harvest:
        async with worlds(setting, store) as open_world:
            return await explore_reduced(
                setting,
                open_world,
                faults=scenario.faults if faults is None else faults,
                runs_max=runs_max,
                seconds_max=seconds_max,
                method=method,
                unseen_memory=unseen_memory,
            )

    return asyncio.run(search())


def clients(*programs: Callable[[Client], object], opening: int = 10_00) -> Scenario:
    names = "ABCDEFGH"
    return Scenario(
        name="clients",
        title="",
        story="",
        openings=dict.fromkeys(("alice", "bob", "carol", "dave"), opening),
        programs=tuple(
            Program(name, run)  # type: ignore[arg-type]
            for name, run in zip(names, programs, strict=False)
        ),
        expected=lambda lock, topology: None,
    )


def withdraw(account: str) -> Callable[[Client], object]:
    return lambda client: client.withdraw(account, "1.00")


def transfer(source: str, target: str) -> Callable[[Client], object]:
    return lambda client: client.transfer(source, target, "1.00")


def ask(account: str) -> Callable[[Client], object]:
    return lambda client: client.balance(account)


INDEPENDENT = clients(*map(withdraw, ("alice", "bob", "carol", "dave")))


@BOTH
@pytest.mark.parametrize("lock", ["none", "per-user", "db-row"])
def test_four_clients_with_a_wallet_each_are_one_trace(lock: str, method: Method) -> None:
    found = reduced(INDEPENDENT, lock, method)
    assert (found.verdict, found.runs) == (Verdict.SAFE, 1)
    assert found.covered == "all 1 traces"


@BOTH
def test_four_clients_behind_one_mutex_are_as_many_traces_as_orders(method: Method) -> None:
    found = reduced(INDEPENDENT, "global", method)
    assert (found.verdict, found.runs) == (Verdict.SAFE, 24)


def test_a_call_that_joins_two_accounts_orders_calls_on_both_in_real_time() -> None:
    apart = reduced(clients(ask("alice"), withdraw("bob")), "none")
    joined = reduced(clients(ask("alice"), withdraw("bob"), transfer("alice", "bob")), "none")
    also = reduced(clients(ask("alice"), withdraw("bob"), transfer("carol", "dave")), "none")
    assert apart.runs == also.runs == 1
    assert joined.verdict is Verdict.BROKEN


@BOTH
@pytest.mark.parametrize("topology", ["one-service", "two-processes"])
@pytest.mark.parametrize("lock", ["none", "per-user", "per-user-unsorted"])
@pytest.mark.parametrize("name", ["crossing-transfers", "stale-cache", "idle-lock-sweep"])
def test_both_methods_make_one_run_of_each_trace(
    name: str, lock: str, topology: str, method: Method
) -> None:
    found = reduced(SCENARIOS[name], lock, method, topology=topology)
    other = reduced(SCENARIOS[name], lock, "source", topology=topology)
    assert found.outcomes == other.outcomes


def test_source_dpor_gives_up_fewer_runs_than_sleep_sets_alone() -> None:
    race = SCENARIOS["idle-lock-sweep"]
    source, sleep = (reduced(race, "per-user", method) for method in ("source", "sleep"))
    assert source.redundant < sleep.redundant


@BOTH
def test_a_deadlock_is_found_and_who_waits_for_whom(method: Method) -> None:
    found = reduced(SCENARIOS["crossing-transfers"], "per-user-unsorted", method)
    assert found.kinds == {Break.LIVENESS}
    assert {run.deadlocked for run in found.best} == {("A", "B")}


@BOTH
@pytest.mark.parametrize("faults", ["cancel=1", "crash=1", "lost=1", "cancel=2", "expire=1"])
def test_a_right_lock_stays_safe_under_faults(faults: str, method: Method) -> None:
    struck = Faults.parse(faults)
    race = SCENARIOS["documented-race"]
    assert reduced(race, "db-row", method, faults=struck).verdict is Verdict.SAFE
    assert reduced(race, "none", method, faults=struck).verdict is Verdict.BROKEN


@pytest.mark.parametrize("lock", ["none", "per-user", "per-user-unsorted", "db-row"])
def test_sqlite_has_the_same_traces_as_the_model(lock: str) -> None:
    model, live = (
        reduced(SCENARIOS["crossing-transfers"], lock, store=store)
        for store in ("memory", "sqlite")
    )
    assert (live.runs, live.outcomes) == (model.runs, model.outcomes)


class CarefulEverySecondTime(GlobalLock):
    """Whoever comes second in its memory goes without the lock. The memory is an attribute."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.seen: list[str] = []

    async def run(self, call: Call, store: Store) -> Receipt:
        self.seen.append(call.accounts[0])
        if self.seen[0] == "alice":
            return await super().run(call, store)
        return await read_apply_write(call, store)


class RemembersInACell(CarefulEverySecondTime):
    """The same memory, in a list in a cell."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.seen = runtime.cell("seen", list[str]).value


class RemembersTheOrder(CarefulEverySecondTime):
    """The same memory, in the order of a dict's keys."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.order = runtime.cell("order", dict[str, int])

    async def run(self, call: Call, store: Store) -> Receipt:
        self.order.value.setdefault(call.accounts[0], 1)
        if next(iter(self.order.value)) == "alice":
            return await GlobalLock.run(self, call, store)
        return await read_apply_write(call, store)


# Bob comes before alice in one trace only; then the two who withdraw from alice do not exclude.
MEMORABLE = clients(withdraw("alice"), withdraw("alice"), withdraw("bob"))


@pytest.mark.parametrize("told", [True, False])
def test_memory_in_attributes_is_noticed_if_nobody_told_of_it(told: bool) -> None:
    found = reduced(MEMORABLE, CarefulEverySecondTime, unseen_memory=told)
    assert found.kinds == {Break.MONEY}


@BOTH
@pytest.mark.parametrize("lock", [RemembersInACell, RemembersTheOrder])
def test_memory_in_cells_is_seen_in_whatever_container(lock: MakeLock, method: Method) -> None:
    assert reduced(MEMORABLE, lock, method).kinds == {Break.MONEY}


class WithinASecond(GlobalLock):
    """A real asyncio timeout around the lock: what it stops is a client's failure."""

    async def run(self, call: Call, store: Store) -> Receipt:
        async with asyncio.timeout(1.0):
            return await super().run(call, store)


def test_a_timer_that_another_move_takes_away_is_not_forgotten() -> None:
    """As long as the timer runs it can strike; the client's last step takes it away."""
    setting = Setting(SCENARIOS["documented-race"], "one-service", Parts(WithinASecond))
    found: dict[Method, Harvest] = {}
    for method in ("source", "sleep"):

        async def search(open_world: OpenWorld, heard: object, method: Method = method) -> Harvest:
            return await explore_reduced(
                setting,
                open_world,
                faults=Faults(),
                runs_max=5_000,
                seconds_max=60.0,
                method=method,
            )

        found[method], _ = asyncio.run(in_worlds(setting, "memory", search))
    assert found["source"].outcomes == found["sleep"].outcomes
    assert Break.LIVENESS in found["source"].kinds


class Flag:
    """A flag asked again and again: in one process that excludes."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.busy = runtime.cell("busy", bool)

    async def run(self, call: Call, store: Store) -> Receipt:
        while self.busy.value:
            await self.runtime.backoff(0)
        self.busy.value = True
        try:
            return await read_apply_write(call, store)
        finally:
            self.busy.value = False


class FlagForEver(Flag):
    """Never gives its flag back."""

    async def run(self, call: Call, store: Store) -> Receipt:
        while self.busy.value:
            await self.runtime.backoff(0)
        self.busy.value = True
        return await read_apply_write(call, store)


@BOTH
def test_a_spinning_lock_is_explored_to_the_end(method: Method) -> None:
    found = reduced(SCENARIOS["documented-race"], Flag, method)
    assert (found.verdict, found.complete) == (Verdict.SAFE, True)


@BOTH
def test_what_never_ends_is_a_livelock_and_what_is_cut_short_is_bounded(method: Method) -> None:
    race = SCENARIOS["documented-race"]
    spins = reduced(race, FlagForEver, method, runs_max=3)
    assert (spins.verdict, spins.complete) == (Verdict.BROKEN, False)
    assert set(spins.outcomes) == {"livelock"}
    cut = reduced(race, "per-user", method, runs_max=2)
    assert (cut.verdict, cut.covered) == (Verdict.BOUNDED, "2 runs, not all")
    late = reduced(race, "per-user", method, seconds_max=-1.0)
    assert (late.verdict, late.runs) == (Verdict.BOUNDED, 0)


class Lucky:
    """Takes another path every second time it is built."""

    runs = 0

    def __init__(self, runtime: Runtime) -> None:
        Lucky.runs += 1

    async def run(self, call: Call, store: Store) -> Receipt:
        for _ in range(3 if Lucky.runs % 2 else 0):
            await store.read(call.accounts)
        return await read_apply_write(call, store)


def test_code_that_is_not_deterministic_is_told_so() -> None:
    with pytest.raises(UsageError, match="must be deterministic"):
        reduced(SCENARIOS["documented-race"], Lucky)
