"""Every interleaving on a live PostgreSQL, one step at a time: nobody waits inside the server."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from engine.catalog import MakeLock
from engine.errors import StoreBusy, StoreForbidden, StoreUnavailable
from engine.explore.cells import explore_cell, replay_cell
from engine.explore.client import Client, Parts
from engine.explore.controller import run_schedule
from engine.explore.faults import Faults, How
from engine.explore.gated import GatedWorld
from engine.explore.live_postgres_schema import postgres_live
from engine.explore.model import ModelWorld
from engine.explore.plan import Counts
from engine.explore.regression import as_far_as_possible
from engine.explore.scenario import Program, Scenario
from engine.explore.search import Budget, Explored, explore
from engine.explore.world import Setting, World
from engine.history import Receipt
from engine.locks.body import read_apply_write, transaction
from engine.ports import Call, Runtime, Store
from engine.verdicts import Verdict
from scenarios.catalogue import SCENARIOS

NO_FAULTS = Faults()
RACE = SCENARIOS["documented-race"]


class RowByRow:
    """Locks one row after the other, in the order in which the transfer names them: a mistake."""

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        async with transaction(store, "read-committed"):
            operation: Any = call.operation
            for account in (operation.source, operation.target):
                await store.read((account,), lock="wait")
            return await read_apply_write(call, store)


class KeyByKey(RowByRow):
    """The same mistake with advisory locks."""

    async def run(self, call: Call, store: Store) -> Receipt:
        async with transaction(store, "read-committed"):
            operation: Any = call.operation
            for account in (operation.source, operation.target):
                await store.advisory((account,))
            return await read_apply_write(call, store)


class InATransaction(RowByRow):
    """begin, read, write, commit at READ COMMITTED, and no lock."""

    async def run(self, call: Call, store: Store) -> Receipt:
        async with transaction(store, "read-committed"):
            return await read_apply_write(call, store)


def around(*accounts: str) -> Scenario:
    """Each account's client transfers to the next one's, the last to the first."""

    def sends(source: str, target: str) -> Callable[[Client], Awaitable[object]]:
        return lambda client: client.transfer(source, target, "1.00")

    return Scenario(
        name="around",
        title="around",
        story="each transfers to the next",
        openings=dict.fromkeys(accounts, 10_00),
        programs=tuple(
            Program(source.upper(), sends(source, target))
            for source, target in zip(accounts, (*accounts[1:], accounts[0]), strict=True)
        ),
    )


def on_server(url: str, setting: Setting, faults: Faults = NO_FAULTS) -> Explored:
    """Every interleaving on the live database."""

    async def run() -> Explored:
        async with postgres_live(url, connections=len(setting.scenario.programs) + 1) as live:

            async def gated() -> World:
                return await GatedWorld.open(setting, live)

            return await explore(setting, gated, faults=faults, budget=Budget())

    return asyncio.run(run())


def in_model(setting: Setting, faults: Faults = NO_FAULTS) -> Explored:
    """Every interleaving in the model, one by one too."""

    async def model() -> World:
        return ModelWorld(setting)

    return asyncio.run(explore(setting, model, faults=faults, budget=Budget()))


def setting_of(make_lock: MakeLock, scenario: Scenario = RACE) -> Setting:
    return Setting(scenario, "one-service", Parts(make_lock), "postgres")


async def statement(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


LOSSES = {"alice=1300.00: money", "alice=500.00: money"}
OUTCOMES = {
    "none": {"alice=800.00", *LOSSES},
    "db-row": {"alice=800.00"},
    "guarded-update": {"alice=800.00"},
    "repeatable-read": {"alice=800.00"},
    "serializable": {"alice=800.00"},
    "advisory": {"alice=800.00"},
    "fenced-lease": {"alice=800.00"},
    # Who finds the row locked is told so, and nothing of his is done.
    "nowait": {"alice=800.00", "alice=500.00", "alice=1300.00"},
}


@pytest.mark.parametrize("lock", OUTCOMES)
def test_the_documented_race_ends_on_the_server_as_its_strategy_promises(
    lock: str, explored_url: str
) -> None:
    cell = asyncio.run(explore_cell(RACE, lock, "one-service", explored_url))
    assert set(cell.outcomes) == OUTCOMES[lock]
    assert cell.verdict is (Verdict.BROKEN if lock == "none" else Verdict.SAFE)
    assert cell.store == "postgres"


def test_a_transaction_without_locks_loses_money_at_read_committed(explored_url: str) -> None:
    found = on_server(explored_url, setting_of(InATransaction))
    assert (found.interleavings, found.losing) == (112, 70)
    assert set(found.outcomes) == {"alice=800.00", *LOSSES}


@pytest.mark.parametrize("make_lock", [RowByRow, KeyByKey])
@pytest.mark.parametrize("accounts", [("a", "b"), ("a", "b", "c")])
def test_each_of_a_ring_may_be_the_deadlocks_victim_and_the_others_go_on(
    make_lock: MakeLock, accounts: tuple[str, ...], explored_url: str
) -> None:
    # Up to where each has one lock and asks for the next one's; then one of them goes on.
    setting = setting_of(make_lock, around(*accounts))
    first = [name.upper() for name in accounts for _ in range(3)]
    for victim in (name.upper() for name in accounts):
        schedule = (*first, victim)
        live = played(explored_url, setting, schedule)
        assert live["victim"] == victim
        assert live == played(None, setting, schedule)


def played(url: str | None, setting: Setting, schedule: tuple[str, ...]) -> Mapping[str, object]:
    """What a schedule comes to, on the server or, without one, in the model."""

    async def run(world: World) -> Mapping[str, object]:
        done = await run_schedule(world, NO_FAULTS, as_far_as_possible(schedule))
        victims = [move.move.lane for move in done.taken if "deadlock" in str(move.result)]
        return {"victim": "".join(victims), "rows": done.ending.rows, "moves": done.schedule}

    async def on_server() -> Mapping[str, object]:
        assert url is not None
        async with postgres_live(url, connections=len(setting.scenario.programs) + 1) as live:
            return await run(await GatedWorld.open(setting, live))

    return asyncio.run(on_server() if url else run(ModelWorld(setting)))


def test_two_who_deadlock_end_on_the_server_as_in_the_model(explored_url: str) -> None:
    setting = setting_of(RowByRow, SCENARIOS["crossing-transfers"])
    found = on_server(explored_url, setting)
    assert found.outcomes == in_model(setting).outcomes
    assert found.verdict is Verdict.SAFE  # a victim is told, and nothing of his is done


@pytest.mark.parametrize("fault", ["cancel=1", "crash=1", "busy=1", "lost=1"])
def test_faults_strike_transactions_on_the_server_as_in_the_model(
    fault: str, explored_url: str
) -> None:
    budget, both = Faults.parse(fault), around("a", "b")
    setting = setting_of(InATransaction, replace(both, programs=both.programs[:1]))
    assert on_server(explored_url, setting, budget).outcomes == in_model(setting, budget).outcomes


def test_a_lease_that_runs_out_protects_nobody_on_the_server_either(explored_url: str) -> None:
    budget = Faults.parse("expire=1")
    cells = [
        asyncio.run(
            explore_cell(
                *(RACE, lock, "one-service", explored_url), faults=budget, counts=Counts.NONE
            )
        )
        for lock in ("lease", "fenced-lease")
    ]
    assert [cell.verdict for cell in cells] == [Verdict.BROKEN, Verdict.SAFE]


def test_locks_of_the_database_are_told_with_who_holds_and_who_awaits_them(
    explored_url: str,
) -> None:
    schedule = tuple("AAABBAABBB")
    for store in (explored_url, "memory:postgres"):
        witness = asyncio.run(
            replay_cell(RACE, "db-row", "one-service", store, schedule, faults=NO_FAULTS)
        )
        holds = [event.holds for event in witness.events if event.client == "A"]
        assert holds == [(), (), ("row alice",), ("row alice",), ()]
        assert [event.waits.get("B") for event in witness.events[4:6]] == ["row alice"] * 2


def test_a_lock_that_somebody_outside_holds_ends_the_exploration_with_his_name(
    explored_url: str,
) -> None:
    async def run() -> float:
        stranger = await asyncpg.connect(
            explored_url, server_settings={"application_name": "a stranger"}
        )
        setting = setting_of(InATransaction)
        try:
            async with postgres_live(explored_url, connections=3) as live:
                world = await GatedWorld.open(setting, live)
                await stranger.execute("BEGIN; SELECT FROM walletrace.wallets FOR UPDATE")
                started = time.monotonic()
                [alice, *_] = world.stage.lanes
                try:
                    for _ in range(3):
                        await world.advance(alice, How.GO)
                    with pytest.raises(StoreBusy, match="a stranger"):
                        await world.advance(alice, How.GO)
                finally:
                    await stranger.execute("ROLLBACK")
                    await world.dispose()
                return time.monotonic() - started
        finally:
            await stranger.close()

    assert asyncio.run(run()) < 20


def test_a_database_that_holds_wallets_is_not_touched(postgres_url: str, explored_url: str) -> None:
    made = "CREATE SCHEMA walletrace; CREATE TABLE walletrace.wallets AS SELECT 1 AS account"
    asyncio.run(statement(explored_url, made))
    try:
        with pytest.raises(StoreUnavailable, match="in use"):
            asyncio.run(explore_cell(RACE, "none", "one-service", explored_url))
    finally:
        asyncio.run(statement(explored_url, "DROP SCHEMA walletrace CASCADE"))


def test_what_a_killed_exploration_left_behind_is_taken_away(explored_url: str) -> None:
    left = (
        "CREATE SCHEMA walletrace; CREATE TABLE walletrace.wallets AS SELECT 1 AS account;"
        "COMMENT ON SCHEMA walletrace IS"
        " 'made by walletrace explore, which empties it and drops it when it ends'"
    )
    asyncio.run(statement(explored_url, left))
    cell = asyncio.run(explore_cell(RACE, "db-row", "one-service", explored_url))
    assert cell.verdict is Verdict.SAFE


def test_two_explorations_do_not_share_a_database(explored_url: str) -> None:
    async def run() -> None:
        async with postgres_live(explored_url, connections=1):
            with pytest.raises(StoreBusy, match="another exploration"):
                async with postgres_live(explored_url, connections=1):
                    pass

    asyncio.run(run())


def test_a_role_that_may_not_choose_the_victim_is_told_what_it_lacks(explored_url: str) -> None:
    asyncio.run(
        statement(
            explored_url,
            "CREATE ROLE explorer LOGIN; GRANT CREATE ON DATABASE explored TO explorer",
        )
    )
    url = explored_url.replace("postgres@", "explorer@")
    with pytest.raises(StoreForbidden, match="deadlock_timeout"):
        asyncio.run(explore_cell(RACE, "none", "one-service", url))
    asyncio.run(statement(explored_url, "GRANT SET ON PARAMETER deadlock_timeout TO explorer"))
    cell = asyncio.run(explore_cell(RACE, "db-row", "one-service", url))
    assert cell.verdict is Verdict.SAFE
