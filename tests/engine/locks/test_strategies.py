"""What transactions, retries and lock strategies that fail fast promise, on a real SQLite file."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from engine.catalog import lock_strategy, strategies_on
from engine.checks.ledger import audit
from engine.errors import (
    Conflict,
    LockTaken,
    SerializationFailed,
    StoreUnavailable,
    UsageError,
    VersionChanged,
)
from engine.locks.body import RETRIES_MAX, UNDONE, retried, transaction
from engine.locks.version_cas import VersionCas
from engine.operations import Withdraw
from engine.ports import Call
from engine.runtimes import AsyncioRuntime
from engine.stores.sqlite import SqliteDatabase

PAY = Call("pay", Withdraw("alice", 1))


@asynccontextmanager
async def opened(folder: Path, **options: Any) -> AsyncIterator[SqliteDatabase]:
    path = folder / "wallets.db"
    async with await SqliteDatabase.open(path, synchronous="OFF", **options) as database:
        await database.reset({"alice": 100})
        yield database


class Counting(AsyncioRuntime):
    """A runtime whose back-offs take no time and are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.backoffs: list[int] = []

    async def backoff(self, attempt: int) -> None:
        self.backoffs.append(attempt)


class Failing:
    """A store of which one verb raises each of `errors` in turn, and then works."""

    def __init__(self, inner: Any, verb: str, *errors: BaseException) -> None:
        self.inner, self.verb, self.errors, self.asked = inner, verb, list(errors), list[str]()

    def __getattr__(self, name: str) -> Any:
        async def verb(*args: Any, **options: Any) -> Any:
            self.asked.append(name)
            if name == self.verb and self.errors:
                raise self.errors.pop(0)
            return await getattr(self.inner, name)(*args, **options)

        return self.inner.dialect if name == "dialect" else verb


def test_what_others_undid_is_asked_again_and_given_up_at_last() -> None:
    runtime, asked = Counting(), list[int]()

    async def undone() -> None:
        asked.append(1)
        raise SerializationFailed("40001", "try again")

    with pytest.raises(Conflict, match=f"all {RETRIES_MAX} attempts; try again"):
        asyncio.run(retried(runtime, undone, UNDONE))
    assert (len(asked), runtime.backoffs) == (RETRIES_MAX, list(range(RETRIES_MAX)))


def test_what_may_have_happened_is_never_asked_again(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            lost = StoreUnavailable("the connection is lost", "ask again")
            for lock, verb in {
                "version-cas": "write",
                "serializable": "commit",
                "guarded-update": "guarded",
                "single-writer": "group",
                "db-write": "commit",
            }.items():
                store: Any = Failing(database.session(), verb, lost)
                with pytest.raises(StoreUnavailable):
                    await lock_strategy(lock)(AsyncioRuntime()).run(PAY, store)
                assert store.asked.count(verb) == 1

        with pytest.raises(AssertionError):
            await retried(Counting(), lambda: asyncio.sleep(0), (StoreUnavailable,))

    asyncio.run(act())


def test_an_optimistic_call_reads_again_until_its_version_stands(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            changed = [VersionChanged("changed", "read again") for _ in range(3)]
            store: Any = Failing(database.session(), "write", *changed)
            runtime = Counting()
            receipt = await VersionCas(runtime).run(PAY, store)
            assert receipt.entries[0].after == 99
            assert store.asked == ["read", "write"] * 4
            assert runtime.backoffs == [0, 1, 2]

    asyncio.run(act())


def test_a_transaction_is_rolled_back_whatever_ends_it(tmp_path: Path) -> None:
    async def act() -> None:
        async def pay(store: Any) -> None:
            async with transaction(store, "immediate"):
                await store.write(PAY, ())

        async with opened(tmp_path) as database:
            ends = [("begin", asyncio.CancelledError()), ("commit", asyncio.CancelledError())]
            for verb, error in (*ends, ("write", KeyError())):
                store: Any = Failing(database.session(), verb, error)
                with pytest.raises(type(error)):
                    await pay(store)
                assert store.asked[-1] == "rollback"
            # With one connection only, a transaction left open would keep this one from it.
            async with asyncio.timeout(5), transaction(database.session(), "immediate"):
                pass

    asyncio.run(act())


def test_a_call_that_would_wait_is_told_so_at_once_and_never_asks_again(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path, busy_timeout_s=30) as database:
            started = time.monotonic()
            with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                store: Any = Failing(database.session(), "")
                with pytest.raises(LockTaken):
                    await lock_strategy("nowait")(AsyncioRuntime()).run(PAY, store)
                assert store.asked == ["begin", "rollback"]
                other.execute("ROLLBACK")
            assert time.monotonic() - started < 5
            await lock_strategy("nowait")(AsyncioRuntime()).run(PAY, database.session())
            assert (await database.balances())["alice"].balance == 99

    asyncio.run(act())


@pytest.mark.parametrize("lock", ["repeatable-read", "advisory"])
def test_a_strategy_on_the_wrong_database_says_so_and_leaves_nothing_open(
    tmp_path: Path, lock: str
) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            with pytest.raises(UsageError, match="sqlite knows no isolation level"):
                await lock_strategy(lock)(AsyncioRuntime()).run(PAY, database.session())
            async with asyncio.timeout(5), transaction(database.session(), "immediate"):
                pass

    asyncio.run(act())


@pytest.mark.parametrize("lock", strategies_on("sqlite"))
def test_a_call_cut_off_at_any_moment_has_happened_whole_or_not_at_all(
    tmp_path: Path, lock: str
) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            strategy = lock_strategy(lock)(AsyncioRuntime())
            for turns in range(40):
                before = (await database.balances())["alice"]
                call = Call(f"c{turns}", Withdraw("alice", 1))
                task = asyncio.create_task(strategy.run(call, database.session()))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                after = (await database.balances())["alice"]
                assert after in (before, (before.balance - 1, before.version + 1))
                assert task.cancelled() or after != before
            async with asyncio.timeout(5):
                await strategy.run(PAY, database.session())
            assert audit(*await database.books()) == ()

    asyncio.run(act())
