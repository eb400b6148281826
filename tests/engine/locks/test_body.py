"""Leases are all given back, and a lease that cannot be given back never spoils the answer."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StoreBusy
from engine.locks.body import leased
from engine.locks.db_row import RowLock
from engine.operations import Transfer
from engine.ports import Call
from engine.runtimes import AsyncioRuntime
from engine.stores.sqlite import SqliteDatabase, SqliteStore

PAY = Call("pay", Transfer("alice", "bob", 1))


async def free(database: SqliteDatabase, *keys: str) -> bool:
    """Whether a newcomer gets all these leases at once."""
    async with asyncio.timeout(1), leased(database.session(), keys, "newcomer"):
        return True


class Probed:
    """A store that does something before it passes a verb on."""

    def __init__(self, inner: SqliteStore, **before: Any) -> None:
        self.inner = inner
        self.before = before

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self.inner, name)
        if name not in self.before:
            return verb

        async def probed(*args: Any, **options: Any) -> Any:
            self.before[name](*args)
            return await verb(*args, **options)

        return probed


def test_tokens_are_yielded_for_each_key_and_rise(tmp_path: Path) -> None:
    async def act() -> None:
        async with await SqliteDatabase.open(tmp_path / "wallets.db") as database:
            async with leased(database.session(), ("a", "b"), "one") as fence:
                assert fence == {"a": 1, "b": 1}
            async with leased(database.session(), ("b", "c"), "two") as fence:
                assert fence == {"b": 2, "c": 1}

    asyncio.run(act())


def test_a_lease_that_cannot_be_given_back_does_not_turn_a_payment_into_a_failure(
    tmp_path: Path,
) -> None:
    async def act() -> None:
        path = tmp_path / "wallets.db"
        async with await SqliteDatabase.open(path, busy_timeout_s=0.01) as database:
            await database.reset({"alice": 10, "bob": 0})
            with closing(sqlite3.connect(path, isolation_level=None)) as somebody_else:

                def hold_the_write_lock(*args: object) -> None:
                    if not somebody_else.in_transaction:
                        somebody_else.execute("BEGIN IMMEDIATE")

                store: Any = Probed(database.session(), give=hold_the_write_lock)
                receipt = await RowLock(AsyncioRuntime()).run(PAY, store)
                somebody_else.execute("COMMIT")
            assert receipt.call_id == "pay"
            assert (await database.balances())["bob"].balance == 1

    asyncio.run(act())


def test_a_cancellation_while_giving_back_still_gives_everything_back(tmp_path: Path) -> None:
    async def act() -> None:
        async with await SqliteDatabase.open(tmp_path / "wallets.db") as database:
            await database.reset({"alice": 10, "bob": 0})
            given: list[str] = []

            def cancelled_meanwhile(key: str, owner: str) -> None:
                given.append(key)
                if len(given) == 1:
                    paying.cancel()

            store: Any = Probed(database.session(), give=cancelled_meanwhile)
            paying = asyncio.create_task(RowLock(AsyncioRuntime()).run(PAY, store))
            with pytest.raises(asyncio.CancelledError):
                await paying
            assert given == ["bob", "alice"]
            assert await free(database, "alice", "bob")

    asyncio.run(act())


def test_a_cancellation_while_taking_gives_back_what_may_have_been_taken(tmp_path: Path) -> None:
    async def act() -> None:
        async with await SqliteDatabase.open(tmp_path / "wallets.db") as database:
            await database.reset({"alice": 10, "bob": 0})

            def cancelled_meanwhile(key: str, owner: str) -> None:
                if key == "bob":
                    paying.cancel()

            store: Any = Probed(database.session(), take=cancelled_meanwhile)
            paying = asyncio.create_task(RowLock(AsyncioRuntime()).run(PAY, store))
            with pytest.raises(asyncio.CancelledError):
                await paying
            assert await free(database, "alice", "bob")
            assert (await database.balances())["bob"].balance == 0

    asyncio.run(act())


def test_a_refused_take_gives_back_what_was_taken_before(tmp_path: Path) -> None:
    async def act() -> None:
        async with await SqliteDatabase.open(tmp_path / "wallets.db") as database:

            def busy(key: str, owner: str) -> None:
                if key == "b":
                    raise StoreBusy("busy", "try again")

            store: Any = Probed(database.session(), take=busy)
            with pytest.raises(StoreBusy):
                async with leased(store, ("a", "b"), "one"):
                    pass
            assert await free(database, "a", "b")

    asyncio.run(act())
