"""Row locks, advisory locks and isolation levels of the PostgreSQL store, on a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from engine.checks.ledger import audit
from engine.errors import (
    DeadlockVictim,
    FenceLost,
    LockTaken,
    LockTimeout,
    SerializationFailed,
    UsageError,
)
from engine.operations import Add, Batch, Transfer, Withdraw
from engine.ports import Call, Change, Level, Row, Store
from engine.stores import postgres as postgres_store
from engine.stores.postgres import PostgresDatabase
from engine.timings import CURRENT, Timings

ADD = Call("add", Add("u", 1))


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[PostgresDatabase]:
    async with await PostgresDatabase.open(url, **options) as database:
        await database.reset({"u": 100, "v": 0})
        yield database


@asynccontextmanager
async def begun(
    database: PostgresDatabase, level: Level = "read-committed"
) -> AsyncIterator[Store]:
    store = database.session()
    await store.begin(level)
    try:
        yield store
    finally:
        await store.rollback()


async def until_blocked(url: str, count: int = 1) -> None:
    """Wait until so many of the server's sessions wait for a lock."""
    probe = await asyncpg.connect(url)
    async with asyncio.timeout(5):
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while await probe.fetchval(waiting) < count:
            pass
    await probe.close()


def test_a_locking_read_waits_and_then_sees_what_it_waited_for(postgres_url: str) -> None:
    async def act() -> None:
        async with opened(postgres_url) as database, begun(database) as first:
            await first.read(("u",), lock="wait")
            async with begun(database) as second:
                waiting = asyncio.create_task(second.read(("u", "v"), lock="wait"))
                await until_blocked(postgres_url)
                await first.write(ADD, (Change("u", 100, 101, 1),))
                await first.commit()
                assert (await waiting).rows == {"u": Row(101, 2), "v": Row(0, 1)}

    asyncio.run(act())


def test_a_replay_that_waited_for_the_first_attempts_lock_finds_its_receipt(
    postgres_url: str,
) -> None:
    async def act() -> None:
        async with opened(postgres_url) as database, begun(database) as first:
            spend = Call("first", Withdraw("u", 100), key="k")
            await first.read(("u",), "k", lock="wait")
            async with begun(database) as second:
                waiting = asyncio.create_task(second.read(("u",), "k", lock="wait"))
                await until_blocked(postgres_url)
                receipt = await first.write(spend, (Change("u", 100, 0, 1),))
                await first.commit()
                seen = await waiting
            assert seen.rows == {"u": Row(0, 2)}
            assert seen.earlier is not None
            assert seen.earlier.receipt == receipt

    asyncio.run(act())


def test_a_lock_that_is_taken_is_said_at_once_to_who_does_not_want_to_wait(
    postgres_url: str,
) -> None:
    async def act() -> None:
        async with opened(postgres_url) as database, begun(database) as first:
            await first.read(("u",), lock="nowait")
            async with begun(database) as second:
                with pytest.raises(LockTaken, match="has locked u or v; try again"):
                    await second.read(("u", "v"), lock="nowait")
            async with begun(database) as third:
                assert (await third.read(("v",), lock="nowait")).rows == {"v": Row(0, 1)}

    asyncio.run(act())


def test_a_lock_that_never_comes_is_given_up_and_the_connection_is_clean_again(
    postgres_url: str,
) -> None:
    async def act() -> None:
        settings = {"lock_timeout": "20ms"}
        async with opened(postgres_url, connections=2, settings=settings) as database:
            async with begun(database) as first:
                await first.read(("u",), lock="wait")
                with pytest.raises(LockTimeout):
                    await database.session().guarded(ADD)
                async with begun(database) as second:
                    with pytest.raises(LockTimeout, match="not granted in time"):
                        await second.read(("u",), lock="wait")
            await database.session().guarded(ADD)

    asyncio.run(act())


def test_a_lease_that_never_comes_is_given_up(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        monkeypatch.setattr(postgres_store, "LOCK_WAIT_S_MAX", 0.05)
        async with opened(postgres_url) as database:
            await database.session().take("u", "A")
            with pytest.raises(LockTimeout, match=r"no lease on 'u' within 0\.05 s; try again"):
                await database.session().take("u", "B")

    asyncio.run(act())


def test_leases_run_out_by_the_servers_clock_unless_another_is_given(postgres_url: str) -> None:
    async def act() -> None:
        async with opened(postgres_url, lease_s=0.03) as database:
            assert await database.session().take("u", "A") == 1
            assert await database.session().take("u", "B") == 2  # not given back: waited for

    asyncio.run(act())


def test_a_lease_cannot_pass_on_between_the_check_of_its_token_and_the_commit(
    postgres_url: str,
) -> None:
    async def act() -> None:
        async with opened(postgres_url, lease_s=0.01) as database, begun(database) as late:
            token = await database.session().take("u", "A")
            await late.write(ADD, (Change("u", 100, 101, 1),), fence={"u": token})
            await asyncio.sleep(0.02)
            taking = asyncio.create_task(database.session().take("u", "B"))
            await until_blocked(postgres_url)
            await late.commit()
            assert await taking == token + 1
            with pytest.raises(FenceLost):
                await database.session().write(ADD, (Change("u", 1, 2, 2),), fence={"u": token})

    asyncio.run(act())


def test_advisory_locks_exclude_until_the_transaction_ends(postgres_url: str) -> None:
    async def act() -> None:
        async with opened(postgres_url) as database, begun(database) as first:
            await first.advisory(("b", "a"))
            async with begun(database) as second:
                waiting = asyncio.create_task(second.advisory(("a",)))
                await until_blocked(postgres_url)
                await first.commit()
                await waiting
            async with begun(database) as third:
                await third.advisory(("a", "b"))

    asyncio.run(act())


@pytest.mark.parametrize("level", ["repeatable-read", "serializable"])
def test_the_second_of_two_withdrawals_from_one_snapshot_is_undone(
    postgres_url: str, level: Level
) -> None:
    async def act() -> None:
        async with opened(postgres_url) as database:
            async with begun(database, level) as first, begun(database, level) as second:
                for store in (first, second):
                    assert (await store.read(("u",))).rows == {"u": Row(100, 1)}
                await first.write(Call("a", Withdraw("u", 80)), (Change("u", 100, 20, 1),))
                await first.commit()
                with pytest.raises(SerializationFailed):
                    await second.write(Call("b", Withdraw("u", 80)), (Change("u", 100, 20, 1),))
            assert (await database.balances())["u"] == Row(20, 2)

    asyncio.run(act())


def test_write_skew_is_possible_at_repeatable_read_and_undone_at_serializable(
    postgres_url: str,
) -> None:
    async def skewed(database: PostgresDatabase, level: Level) -> bool:
        await database.reset({"u": 100, "v": 100, **{f"w{n}": 0 for n in range(50)}})
        async with begun(database, level) as first, begun(database, level) as second:
            for store in (first, second):
                await store.read(("u", "v"))
            try:
                await first.write(ADD, (Change("u", 100, 0, 1),))
                await second.write(ADD, (Change("v", 100, 0, 1),))
                await first.commit()
                await second.commit()
            except SerializationFailed:
                return False
            return True

    async def act() -> None:
        async with opened(postgres_url) as database:
            assert await skewed(database, "repeatable-read")
            assert not await skewed(database, "serializable")

    asyncio.run(act())


def test_transactions_that_wait_for_each_other_have_a_victim_and_a_winner(
    postgres_url: str,
) -> None:
    async def act() -> None:
        async with opened(postgres_url) as database:
            async with begun(database) as first, begun(database) as second:
                await first.read(("u",), lock="wait")
                await second.read(("v",), lock="wait")
                results = await asyncio.gather(
                    first.read(("v",), lock="wait"),
                    second.read(("u",), lock="wait"),
                    return_exceptions=True,
                )
            kinds = [type(result) for result in results]
            assert kinds.count(DeadlockVictim) == 1
            async with begun(database) as third:
                await third.read(("u", "v"), lock="nowait")  # nothing is left locked

    asyncio.run(act())


def test_a_commit_of_what_has_failed_is_no_success(postgres_url: str) -> None:
    async def act() -> None:
        async with opened(postgres_url) as database, begun(database) as first:
            await first.read(("u",), lock="wait")
            async with begun(database) as second:
                with pytest.raises(LockTaken):
                    await second.read(("u",), lock="nowait")
                with pytest.raises(UsageError, match="commit after an error inside"):
                    await second.commit()

    asyncio.run(act())


def test_opposite_transfers_and_unsorted_batches_at_once_never_deadlock(postgres_url: str) -> None:
    async def act() -> None:
        async with opened(postgres_url, connections=8) as database:
            await database.reset({"u": 10_000, "v": 10_000, "w": 10_000})

            async def client(number: int) -> None:
                store = database.session()
                pair = [("u", "v"), ("v", "u"), ("w", "u"), ("v", "w")][number % 4]
                for turn in range(15):
                    call = Call(f"{number}-{turn}", Transfer(*pair, 1))
                    if number % 3 == 0:
                        await store.guarded(call)
                    elif number % 3 == 1:
                        batch = Batch((Add("w", 1), Withdraw("u", 1), Transfer("v", "u", 1)))
                        await store.group((call, Call(f"{number}+{turn}", batch)))
                    else:
                        rows = (await store.read(pair)).rows
                        changes = tuple(Change(a, b, b, v) for a, (b, v) in sorted(rows.items()))
                        await store.write(call, changes)

            await asyncio.gather(*(client(number) for number in range(8)))

    asyncio.run(act())


def test_guarded_transfers_and_groups_at_once_keep_the_books(postgres_url: str) -> None:
    async def act() -> None:
        async with opened(postgres_url, connections=8) as database:
            await database.reset({"u": 50, "v": 50, "w": 50})

            async def client(number: int) -> None:
                store = database.session()
                for turn in range(12):
                    pair = [("u", "v"), ("v", "w"), ("w", "u"), ("v", "u")][(number + turn) % 4]
                    calls = tuple(
                        Call(f"{number}-{turn}-{n}", Transfer(*pair, 7), key=f"{number}-{turn}")
                        for n in range(2)
                    )
                    await store.group(calls) if number % 2 else await asyncio.gather(
                        *(database.session().guarded(call) for call in calls),
                        return_exceptions=True,
                    )

            await asyncio.gather(*(client(number) for number in range(8)))
            balances, log = await database.books()
            assert sum(row.balance for row in balances.values()) == 150
            assert audit(balances, log) == ()

    asyncio.run(act())


def test_a_wait_for_a_connection_is_the_stores_own_wait(postgres_url: str) -> None:
    async def act() -> None:
        async with opened(postgres_url, connections=1) as database:
            token = CURRENT.set(timings := Timings())
            async with begun(database) as first:
                waiting = asyncio.create_task(database.session().guarded(ADD))
                await asyncio.sleep(0.03)
                await first.rollback()
                await waiting
            CURRENT.reset(token)
            assert timings.store_wait_ns >= 20_000_000
            assert timings.store_accesses == 3  # begin, rollback, guarded
            assert timings.lock_wait_ns == 0

    asyncio.run(act())
