"""Guarded updates, groups and transactions that do not wait, on a real SQLite file."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.errors import (
    BusinessError,
    InsufficientFunds,
    KeyReused,
    LockTaken,
    StoreBusy,
    UnknownWallet,
    UsageError,
    WalletExists,
)
from engine.history import Entry, Receipt
from engine.locks.body import read_apply_write
from engine.operations import Add, Batch, Open, Operation, Transfer, Withdraw
from engine.ports import Call, Row
from engine.stores.sqlite import SqliteDatabase

OPENINGS = {"alice": 100, "bob": 5}
OPERATIONS: list[Operation] = [
    Withdraw("alice", 60, description="shoes"),
    Add("alice", 7),
    Transfer("alice", "bob", 100),
    Batch((Withdraw("bob", 5), Add("bob", 5), Transfer("alice", "bob", 1)), description="both"),
    Open("carol", 3),
    Withdraw("bob", 6),
    Transfer("bob", "alice", 6),
    Transfer("alice", "nobody", 1),
    Batch((Add("alice", 1), Withdraw("bob", 4), Withdraw("bob", 2))),
    Open("bob"),
]


@asynccontextmanager
async def opened(folder: Path, **options: Any) -> AsyncIterator[SqliteDatabase]:
    path = folder / "wallets.db"
    async with await SqliteDatabase.open(
        path, synchronous="OFF", now_ms=lambda: 0, **options
    ) as database:
        await database.reset(OPENINGS)
        yield database


@contextmanager
def somebody_writing(database: SqliteDatabase) -> Iterator[None]:
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def outcome(work: Any) -> Receipt | tuple[type, str]:
    try:
        receipt: Receipt = await work
    except BusinessError as error:
        return type(error), str(error)
    return receipt


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.kind)
def test_a_guarded_call_ends_as_read_apply_write_does_to_the_last_row_of_the_log(
    tmp_path: Path, operation: Operation
) -> None:
    async def act() -> None:
        call = Call("c", operation, "k")
        async with opened(tmp_path) as database:
            store = database.session()
            read = await outcome(read_apply_write(call, store)), *await database.books()
            await database.reset(OPENINGS)
            guarded = await outcome(store.guarded(call)), *await database.books()
            assert guarded == read
            await database.reset(OPENINGS)
            [answer] = await store.group((call,))
            told = (type(answer), str(answer)) if isinstance(answer, Exception) else answer
            assert (told, *await database.books()) == read

    asyncio.run(act())


def test_a_key_makes_a_guarded_call_happen_once_and_names_one_body(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            store = database.session()
            first = await store.guarded(Call("c", Withdraw("alice", 90), "k"))
            assert await store.guarded(Call("d", Withdraw("alice", 90), "k")) == first
            with pytest.raises(KeyReused):
                await store.guarded(Call("e", Withdraw("alice", 1), "k"))
            assert (await database.balances())["alice"] == Row(10, 2)

    asyncio.run(act())


def test_a_group_answers_each_call_and_a_refused_one_changes_nothing(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            calls = (
                Call("a", Withdraw("alice", 80), "k"),
                Call("b", Withdraw("alice", 80)),
                Call("c", Transfer("alice", "nobody", 20)),
                Call("d", Transfer("alice", "bob", 20)),
                Call("e", Withdraw("alice", 80), "k"),
                Call("f", Open("alice")),
            )
            answers = await database.session().group(calls)
            first = Receipt("a", (Entry("alice", 100, 20, 2),))
            fourth = Receipt("d", (Entry("alice", 20, 0, 3), Entry("bob", 5, 25, 2)))
            assert (answers[0], answers[3], answers[4]) == (first, fourth, first)
            refused = [InsufficientFunds, UnknownWallet, WalletExists]
            assert [type(answers[n]) for n in (1, 2, 5)] == refused
            assert await database.balances() == {"alice": Row(0, 3), "bob": Row(25, 2)}
            assert len(await database.log(after_version=1)) == 3

    asyncio.run(act())


def test_a_group_that_cannot_begin_is_busy_as_a_whole(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path, busy_timeout_s=0.01) as database:
            with somebody_writing(database), pytest.raises(StoreBusy):
                await database.session().group((Call("a", Add("alice", 1)),))
            assert (await database.balances())["alice"] == Row(100, 1)

    asyncio.run(act())


def test_begin_without_waiting_answers_at_once_that_somebody_writes(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path, busy_timeout_s=30) as database:
            store, started = database.session(), time.monotonic()
            with somebody_writing(database), pytest.raises(LockTaken, match="somebody else is wri"):
                await store.begin("immediate", nowait=True)
            assert time.monotonic() - started < 5
            # Nothing is left of it, and others still wait as long as before.
            assert await database.once(lambda c: c.execute("PRAGMA busy_timeout").fetchall()) == [
                (30_000,)
            ]
            await store.begin("immediate", nowait=True)
            await store.commit()

    asyncio.run(act())


def test_begin_without_waiting_does_not_queue_for_a_connection_either(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            one, other = database.session(), database.session()
            await one.begin("immediate")
            async with asyncio.timeout(5):
                with pytest.raises(LockTaken, match="no connection is free"):
                    await other.begin("immediate", nowait=True)
            await one.commit()
            await other.begin("immediate", nowait=True)
            await other.rollback()

    asyncio.run(act())


def test_what_sqlite_does_not_know_is_said_and_nothing_is_left_open(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            store = database.session()
            assert store.dialect == "sqlite"
            asked = {
                "row locks": store.read(("alice",), lock="wait"),
                "advisory locks": store.advisory(("alice",)),
                "isolation level 'read-committed'": store.begin("read-committed"),
            }
            for what, work in asked.items():
                with pytest.raises(UsageError, match=f"sqlite knows no {what}; use another store"):
                    await work
            await store.begin("immediate")
            for inside in (store.guarded(Call("c", Add("alice", 1))), store.group(())):
                with pytest.raises(UsageError, match="inside an open transaction"):
                    await inside
            await store.rollback()

    asyncio.run(act())
