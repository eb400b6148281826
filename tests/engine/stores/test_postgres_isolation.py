"""Isolation levels and deadlocks of the PostgreSQL store, and calls at once, on a real server."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress

import pytest

from engine.checks.ledger import audit
from engine.errors import (
    DeadlockVictim,
    InsufficientFunds,
    LockTaken,
    SerializationFailed,
    UsageError,
)
from engine.history import Entry, Receipt
from engine.operations import Add, Batch, Transfer, Withdraw
from engine.ports import Call, Change, Level, Row
from engine.stores.postgres import PostgresDatabase
from tests.engine.stores.locking import begun, until_blocked

ADD = Call("add", Add("u", 1))
Opened = Callable[..., AbstractAsyncContextManager[PostgresDatabase]]


@pytest.mark.parametrize("level", ["repeatable-read", "serializable"])
def test_the_second_of_two_withdrawals_from_one_snapshot_is_undone(
    postgres: Opened, level: Level
) -> None:
    async def act() -> None:
        async with postgres() as database:
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
    postgres: Opened,
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
        async with postgres() as database:
            assert await skewed(database, "repeatable-read")
            assert not await skewed(database, "serializable")

    asyncio.run(act())


def test_transactions_that_wait_for_each_other_have_a_victim_and_a_winner(
    postgres: Opened,
) -> None:
    async def act() -> None:
        async with postgres() as database:
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


def test_a_commit_of_what_has_failed_is_no_success(postgres: Opened) -> None:
    async def act() -> None:
        async with postgres() as database, begun(database) as first:
            await first.read(("u",), lock="wait")
            async with begun(database) as second:
                with pytest.raises(LockTaken):
                    await second.read(("u",), lock="nowait")
                with pytest.raises(UsageError, match="commit after an error inside"):
                    await second.commit()

    asyncio.run(act())


def test_opposite_transfers_and_unsorted_batches_at_once_never_deadlock(postgres: Opened) -> None:
    async def act() -> None:
        async with postgres(connections=8) as database:
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


@pytest.mark.parametrize("call", [Call("c", Transfer("u", "v", 60)), Call("c", Withdraw("u", 60))])
def test_a_guarded_call_that_waited_judges_what_it_waited_for(
    postgres: Opened, postgres_url: str, call: Call
) -> None:
    async def act(left: int) -> Receipt:
        async with postgres() as database, begun(database) as first:
            await first.write(Call("w", Withdraw("u", 1)), (Change("u", 100, left, 1),))
            waiting = asyncio.create_task(database.session().guarded(call))
            await until_blocked(postgres_url)
            await first.commit()
            return await waiting

    with pytest.raises(InsufficientFunds, match=r"u holds 0\.50, 0\.60 asked for"):
        asyncio.run(act(50))
    assert asyncio.run(act(70)).entries[0] == Entry("u", 70, 10, 3)


def test_guarded_transfers_and_groups_at_once_keep_the_books(postgres: Opened) -> None:
    async def act() -> None:
        async with postgres(connections=8) as database:
            await database.reset({"u": 50, "v": 50, "w": 50})

            async def client(number: int) -> None:
                store = database.session()
                for turn in range(12):
                    pair = [("u", "v"), ("v", "w"), ("w", "u"), ("v", "u")][(number + turn) % 4]
                    calls = tuple(
                        Call(f"{number}-{turn}-{n}", Transfer(*pair, 7), key=f"{number}-{turn}")
                        for n in range(2)
                    )
                    if number % 2:
                        await store.group(calls)
                        continue
                    for call in calls:
                        with suppress(InsufficientFunds):
                            await store.guarded(call)

            await asyncio.gather(*(client(number) for number in range(8)))
            balances, log = await database.books()
            assert sum(row.balance for row in balances.values()) == 150
            assert audit(balances, log) == ()

    asyncio.run(act())
