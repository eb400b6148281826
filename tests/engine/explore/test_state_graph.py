"""The state graph counts what brute force counts, whatever the lock, the topology, the faults."""

import itertools
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import settings

from engine.catalog import MakeLock, controls_on, lock_strategy, strategies_on
from engine.errors import Conflict, SystemFault, VersionChanged
from engine.explore.client import Client, Parts
from engine.explore.faults import FAULTS, Faults
from engine.explore.scenario import TOPOLOGIES
from engine.explore.search import Budget
from engine.explore.world import Setting
from engine.history import Entry, Receipt
from engine.locks.body import changes, read_apply_write
from engine.locks.global_lock import GlobalLock
from engine.locks.none import NoLock
from engine.locks.per_user import PerUserUnsortedLock
from engine.ports import Call, Runtime, Store
from engine.verdicts import Break, Verdict
from scenarios.catalogue import SCENARIOS
from tests.engine.explore.both_ways import (
    NO_FAULTS,
    Play,
    adds,
    asks,
    by_brute_force,
    by_graph,
    in_turn,
    setting_of,
    summary,
    withdraws,
)

LOCKS = {name: lock_strategy(name) for name in (*strategies_on("sqlite"), *controls_on("sqlite"))}
BUDGETS = [NO_FAULTS, *(Faults(**{name: 1}) for name in FAULTS)]
# Where brute force needs more runs than this, a cell is left out.
RUNS_MAX, RUNS_MAX_OF_MANY = 3_000, 300
# A transaction that fails at its first write begins again: once a fault may strike, too many runs.
STRUCK = [lock for lock in LOCKS if lock != "serializable"]


def agrees(name: str, lock: str, topology: str, faults: Faults, runs_max: int = RUNS_MAX) -> bool:
    """Whether the two ways agree; False where brute force would take too long."""
    setting = Setting(SCENARIOS[name], topology, Parts(LOCKS[lock]))
    by_force = by_brute_force(setting, faults, Budget(runs_max=runs_max))
    if by_force.interleavings == runs_max:
        return False
    assert summary(by_graph(setting, faults)) == summary(by_force), (name, lock, topology, faults)
    return True


@pytest.mark.parametrize(
    ("lock", "faults"),
    [*((lock, NO_FAULTS) for lock in LOCKS), *itertools.product(STRUCK, BUDGETS[1:])],
    ids=str,
)
def test_the_documented_race_has_the_counts_of_brute_force(lock: str, faults: Faults) -> None:
    for topology in ("one-service", "two-processes"):
        assert agrees("documented-race", lock, topology, faults)


# The others' counts are compared for the documented race above, and for random programs.
FEW_BUDGETS = BUDGETS if settings.get_current_profile_name() == "hunt" else BUDGETS[:2]


@pytest.mark.slow
@pytest.mark.parametrize("faults", FEW_BUDGETS, ids=str)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_cell_has_the_counts_of_brute_force(scenario: str, faults: Faults) -> None:
    topologies = TOPOLOGIES if faults.none else ["two-processes"]
    compared = [
        agrees(scenario, lock, topology, faults, RUNS_MAX_OF_MANY)
        for lock, topology in itertools.product(LOCKS, topologies)
    ]
    assert any(compared) or not faults.none


@pytest.mark.slow
@pytest.mark.parametrize("lock", STRUCK)
def test_two_faults_at_once_have_the_counts_of_brute_force(lock: str) -> None:
    assert agrees("documented-race", lock, "one-service", Faults(cancel=1, crash=1))


def reads(times: int) -> Play:
    """A client that goes past the wallet and reads so often; nothing it does concerns others."""

    async def play(client: Client) -> None:
        store = client.store()
        for _ in range(times):
            await store.read(("alice",))

    return play


@pytest.mark.parametrize(("clients", "steps"), [(1, 5), (2, 3), (2, 10), (3, 4), (4, 2), (4, 4)])
def test_independent_clients_have_as_many_interleavings_as_the_multinomial(
    clients: int, steps: int
) -> None:
    found = by_graph(setting_of(NoLock, *[reads(steps)] * clients))
    many = math.factorial(clients * steps) // math.factorial(steps) ** clients
    assert found.interleavings == many
    assert found.states == (steps + 1) ** clients
    assert found.verdict is Verdict.SAFE


def test_four_clients_of_four_steps_have_63_063_000_interleavings() -> None:
    assert by_graph(setting_of(NoLock, *[reads(4)] * 4)).interleavings == 63_063_000


def test_a_long_program_is_no_deeper_than_the_interpreter_can_go() -> None:
    found = by_graph(setting_of(NoLock, reads(600), reads(1)))
    assert found.interleavings == 601


class AnswersBeforeItWrites:
    """Acknowledges a call whose write is still under way."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def run(self, call: Call, store: Store) -> Receipt:
        seen = await store.read(call.accounts)
        changed = changes(call, seen.rows)

        async def land() -> None:
            with suppress(SystemFault):
                await store.write(call, changed)

        self.runtime.spawn(land())
        entries = (Entry(c.account, c.before, c.after, c.version + 1) for c in changed)
        return Receipt(call.id, tuple(entries))


async def transfers(client: Client) -> None:
    await client.transfer("alice", "bob", "1.00")


ORDERED: list[Any] = [
    (in_turn(adds(), asks()),),
    (adds(), asks()),
    (in_turn(adds(), asks()), asks()),
    # Two groups of accounts that have nothing to do with each other, …
    (in_turn(adds(), asks()), in_turn(adds("1.00", "bob"), asks("bob"))),
    # … and a call that connects them.
    (in_turn(adds(), asks()), transfers),
    pytest.param((in_turn(adds(), asks("bob")), transfers, asks("alice")), marks=pytest.mark.slow),
]


@pytest.mark.parametrize("plays", ORDERED)
def test_merging_states_does_not_fool_the_judge_of_real_time(plays: tuple[Play, ...]) -> None:
    setting = setting_of(AnswersBeforeItWrites, *plays)
    by_force = by_brute_force(setting)
    assert summary(by_graph(setting)) == summary(by_force)


def test_a_balance_older_than_an_answer_is_a_break_of_reads() -> None:
    found = by_graph(setting_of(AnswersBeforeItWrites, in_turn(adds(), asks())))
    assert found.verdict is Verdict.BROKEN
    assert found.kinds == (Break.READS,)
    assert found.losing < found.interleavings


def test_a_deadlock_is_named_with_its_cycle() -> None:
    setting = Setting(SCENARIOS["crossing-transfers"], "one-service", Parts(PerUserUnsortedLock))
    found = by_graph(setting)
    assert found.kinds == (Break.LIVENESS,)
    assert found.outcomes["deadlock"] == found.losing
    assert found.witness is not None
    assert "A waits for bob, held by B" in found.witness.explanation
    assert "B waits for alice, held by A" in found.witness.explanation


class NeverGivesBack(GlobalLock):
    """Takes a lease and forgets it."""

    async def run(self, call: Call, store: Store) -> Receipt:
        await store.take(f"own-{call.id}", call.id)
        return await super().run(call, store)


def test_a_lease_that_is_never_given_back_is_a_leak() -> None:
    found = by_graph(setting_of(NeverGivesBack, adds()))
    assert found.kinds == (Break.LIVENESS,)
    assert found.witness is not None
    assert "was never given back" in found.witness.explanation


class ComparesAndSets:
    """Optimistic: writes only over the version that it read, and tries again so often."""

    TRIES_MAX = 3

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def run(self, call: Call, store: Store) -> Receipt:
        for attempt in range(self.TRIES_MAX):
            try:
                return await read_apply_write(call, store, if_version=True)
            except VersionChanged:
                await self.runtime.backoff(attempt)
        raise Conflict("somebody is always quicker", "try again")


class TriesForEver(ComparesAndSets):
    """Waits for a flag that nobody ever takes down."""

    async def run(self, call: Call, store: Store) -> Receipt:
        flag = self.runtime.cell("flag", bool)
        while flag.value:
            await self.runtime.backoff(0)
        flag.value = True
        return await read_apply_write(call, store)


@pytest.mark.parametrize(("clients", "worst"), [(1, 0), (2, 1), (3, 2)])
def test_the_worst_interleaving_of_a_retry_says_how_often_it_tried(
    clients: int, worst: int
) -> None:
    found = by_graph(setting_of(ComparesAndSets, *[adds()] * clients))
    assert found.verdict is Verdict.SAFE
    assert found.backoffs_max == worst


def test_trying_again_for_ever_is_a_livelock() -> None:
    found = by_graph(setting_of(TriesForEver, adds(), withdraws()))
    assert found.kinds == (Break.LIVENESS,)
    assert set(found.outcomes) == {"livelock"}
    assert found.witness is not None
    assert "tries again and again" in found.witness.explanation


@pytest.mark.parametrize("make_lock", [ComparesAndSets, AnswersBeforeItWrites, NeverGivesBack])
@pytest.mark.parametrize("faults", [NO_FAULTS, Faults(cancel=1), Faults(lost=1)], ids=str)
def test_odd_strategies_have_the_counts_of_brute_force(make_lock: MakeLock, faults: Faults) -> None:
    setting = setting_of(make_lock, adds(), withdraws())
    assert summary(by_graph(setting, faults)) == summary(by_brute_force(setting, faults))


async def adds_under_its_own_mutex(client: Client) -> None:
    async with client.mutex("shared"):
        await client.add("alice", "1.00")


@pytest.mark.parametrize(
    "faults", [Faults(crash=1), Faults(crash=2), Faults(cancel=1, crash=1)], ids=str
)
@pytest.mark.parametrize("topology", ["one-service", "two-processes"])
def test_a_crash_lets_go_the_mutex_that_its_client_holds(faults: Faults, topology: str) -> None:
    setting = setting_of(GlobalLock, *[adds_under_its_own_mutex] * 2, topology=topology)
    assert summary(by_graph(setting, faults)) == summary(by_brute_force(setting, faults))
