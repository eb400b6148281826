"""BEGIN and the first statement in one trip: what the server makes of it, errors included."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import asyncpg
import pytest

from engine.errors import LockTaken, UsageError
from engine.ports import Level, Row
from engine.stores.postgres import PostgresDatabase
from engine.stores.postgres_wire import LEVELS
from tests.engine.stores.locking import row_lock

Opened = Callable[..., AbstractAsyncContextManager[PostgresDatabase]]
LEVEL = "SHOW transaction_isolation"


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_the_first_statement_runs_at_the_level_asked_for_whether_prepared_or_not(
    postgres: Opened, level: Level
) -> None:
    async def act() -> None:
        async with postgres(connections=1) as database:
            wire = await database.pool.borrow()
            for _ in range(3):  # prepared in the first round
                wire.begin_with_next(level)
                assert not wire.is_in_transaction()
                assert [tuple(row) for row in await wire.rows(LEVEL)] == [
                    (level.replace("-", " "),)
                ]
                assert wire.is_in_transaction()
                assert not wire.is_to_begin
                await wire.execute("COMMIT")
            assert [tuple(row) for row in await wire.rows(LEVEL)] == [("read committed",)]
            assert not wire.is_in_transaction()
            database.pool.give_back(wire)

    asyncio.run(act())


def test_rows_come_back_as_they_are_though_begin_was_answered_in_between(postgres: Opened) -> None:
    async def act() -> None:
        async with postgres(connections=1) as database:
            for _ in range(2):
                store = database.session()
                await store.begin("repeatable-read")
                assert (await store.read(("u", "v"))).rows == {"u": Row(100, 1), "v": Row(0, 1)}
                assert (await store.read(("u",))).rows == {"u": Row(100, 1)}
                await store.commit()

    asyncio.run(act())


@pytest.mark.parametrize("prepared", [False, True])
def test_a_first_statement_that_fails_has_begun_the_transaction_it_failed(
    postgres: Opened, postgres_url: str, prepared: bool
) -> None:
    async def act() -> None:
        async with postgres(connections=1) as database:
            store = database.session()
            if prepared:
                await store.begin("read-committed")
                await store.read(("u",), lock="nowait")
                await store.rollback()
            async with row_lock(postgres_url):
                await store.begin("read-committed")
                with pytest.raises(LockTaken):
                    await store.read(("u",), lock="nowait")
                with pytest.raises(UsageError, match="roll it back"):
                    await store.commit()
            assert (await store.read(("u",))).rows == {"u": Row(100, 1)}

    asyncio.run(act())


def test_a_begin_whose_statement_could_not_be_sent_is_never_heard_of_again(
    postgres: Opened,
) -> None:
    async def act() -> None:
        async with postgres(connections=1) as database:
            wire = await database.pool.borrow()
            echo = "SELECT $1::bigint"
            assert len(await wire.rows(echo, 1)) == 1
            wire.begin_with_next("serializable")
            with pytest.raises(asyncpg.DataError):
                await wire.rows(echo, "no number")
            assert wire.is_closed()
            database.pool.give_back(wire)
            store = database.session()
            assert (await store.read(("u",))).rows == {"u": Row(100, 1)}
            assert await database.pool.borrow() is not wire

    asyncio.run(act())


def test_a_transaction_in_which_nothing_is_asked_never_reaches_the_server(
    postgres: Opened,
) -> None:
    async def act() -> None:
        async with postgres(connections=1) as database:
            for end in ("commit", "rollback"):
                store = database.session()
                await store.begin("serializable")
                assert store.pinned is not None
                assert not store.pinned.is_in_transaction()
                await getattr(store, end)()
                wire = await database.pool.borrow()
                assert [tuple(row) for row in await wire.rows(LEVEL)] == [("read committed",)]
                assert not wire.is_in_transaction()
                database.pool.give_back(wire)

    asyncio.run(act())


def test_a_commit_outside_a_transaction_is_refused(postgres: Opened) -> None:
    async def act() -> None:
        async with postgres() as database:
            store = database.session()
            with pytest.raises(UsageError, match="commit outside a transaction; begin one first"):
                await store.commit()
            await store.begin("read-committed")
            await store.commit()
            with pytest.raises(UsageError, match="commit outside a transaction"):
                await store.commit()

    asyncio.run(act())
