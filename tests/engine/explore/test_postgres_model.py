"""The explorers under PostgreSQL's rules: deadlocks and their victims, and what is not modelled."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from engine.catalog import MakeLock, lock_strategy
from engine.explore.client import Parts
from engine.explore.faults import Faults
from engine.explore.search import Explored
from engine.explore.world import Setting
from engine.history import Receipt
from engine.locks.body import read_apply_write, transaction
from engine.ports import Call, Runtime, Store
from engine.verdicts import Break, Verdict
from scenarios.catalogue import SCENARIOS
from tests.engine.explore.both_ways import (
    NO_FAULTS,
    adds,
    by_brute_force,
    by_graph,
    by_plan,
    setting_of,
    summary,
)

PAIR, THREE = ("alice", "bob"), ("alice", "bob", "carol")


def on_postgres(make_lock: Callable[..., object], accounts: tuple[str, ...]) -> Setting:
    """A client for each account, which asks for one deposit; `make_lock` is told of the others."""
    like = setting_of(partial(make_lock, ring=accounts), *[adds(account=name) for name in accounts])
    scenario = replace(like.scenario, openings=dict.fromkeys(accounts, 1000))
    return Setting(scenario, like.topology, like.parts, "postgres")


def both_ways(setting: Setting, faults: Faults = NO_FAULTS) -> Explored:
    found = by_graph(setting, faults)
    assert summary(found) == summary(by_brute_force(setting, faults))
    return found


def paid(found: Explored) -> set[str]:
    """The initials of those whose deposits arrived, for each outcome."""
    ends = [outcome.split(", ") for outcome in found.outcomes]
    return {"".join(part[0] for part in end if part.endswith("13.00")) for end in ends}


class LocksTheNextToo:
    """Locks its own row, then the next one's: together they make a ring."""

    def __init__(self, runtime: Runtime, ring: tuple[str, ...]) -> None:
        self.next = dict(zip(ring, ring[1:] + ring[:1], strict=True))

    async def run(self, call: Call, store: Store) -> Receipt:
        async with transaction(store, "read-committed"):
            for account in (*call.accounts, self.next[call.accounts[0]]):
                await self.lock(store, account)
            return await read_apply_write(call, store)

    async def lock(self, store: Store, account: str) -> None:
        await store.read((account,), lock="wait")


class AdvisoryNextToo(LocksTheNextToo):
    """The same with locks that stand for no row."""

    async def lock(self, store: Store, account: str) -> None:
        await store.advisory((account,))


class MutexAndRow:
    """One takes a mutex and then alice's row, the others the row and then the mutex."""

    def __init__(self, runtime: Runtime, ring: tuple[str, ...]) -> None:
        self.mutex = runtime.mutex("m")

    async def run(self, call: Call, store: Store) -> Receipt:
        if call.accounts == ("alice",):
            async with self.mutex, transaction(store, "read-committed"):
                return await read_apply_write(call, store, lock="wait")
        async with transaction(store, "read-committed"):
            await store.read(("alice",), lock="wait")
            async with self.mutex:
                return await read_apply_write(call, store)


def test_of_two_who_lock_rows_crosswise_either_may_be_the_victim() -> None:
    found = both_ways(on_postgres(LocksTheNextToo, PAIR))
    assert found.verdict is Verdict.SAFE
    assert paid(found) == {"ab", "a", "b"}


def test_advisory_locks_make_rings_as_rows_do() -> None:
    assert paid(both_ways(on_postgres(AdvisoryNextToo, PAIR))) == {"ab", "a", "b"}


def test_a_ring_of_three_has_three_victims() -> None:
    found = by_graph(on_postgres(LocksTheNextToo, THREE))
    assert found.verdict is Verdict.SAFE
    assert paid(found) >= {"ab", "ac", "bc", "abc"}


def test_a_ring_that_goes_through_a_mutex_is_ended_by_no_database() -> None:
    found = both_ways(on_postgres(MutexAndRow, PAIR))
    assert found.kinds == (Break.LIVENESS,)
    assert "deadlock" in found.outcomes


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["busy", "lost", "cancel"])
def test_victims_and_faults_together_are_counted_as_every_schedule_is(fault: str) -> None:
    both_ways(on_postgres(LocksTheNextToo, PAIR), Faults(**{fault: 1}))


def test_serializable_is_unknown_with_a_reason() -> None:
    parts = Parts(lock_strategy("serializable", "postgres"))
    found = by_plan(Setting(SCENARIOS["documented-race"], "one-service", parts, "postgres"))
    assert found.verdict is Verdict.UNKNOWN
    assert "SERIALIZABLE; explore it on a live server" in found.note


@pytest.mark.slow
@pytest.mark.parametrize("lock", ["db-row", "repeatable-read", "advisory", "nowait"])
@pytest.mark.parametrize("name", ["documented-race", "retry-after-timeout", "crossing-transfers"])
def test_the_state_graph_equals_every_schedule(name: str, lock: str) -> None:
    make_lock: MakeLock = lock_strategy(lock, "postgres")
    both_ways(Setting(SCENARIOS[name], "two-processes", Parts(make_lock), "postgres"))
