"""Cache first, and never a stale answer, whatever fails, comes late, is cancelled or retried."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.cached_reads import CachedReads
from engine.caches import MemoryCache
from engine.errors import CacheUnavailable, InsufficientFunds, UnknownWallet
from engine.locks.per_user import PerUserLock
from engine.ports import Row
from engine.runtimes import AsyncioRuntime
from engine.stores.sqlite import SqliteDatabase
from engine.timings import CURRENT, Timings
from engine.wallet import WalletService


class Late(MemoryCache):
    """A cache that, while it is not open, keeps everybody waiting until they are let through."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[asyncio.Event] = []
        self.open = True

    async def get(self, account: str) -> Row | None:
        row = await super().get(account)
        await self._let_through()
        return row

    async def put(self, account: str, row: Row) -> None:
        await self._let_through()
        await super().put(account, row)

    async def _let_through(self) -> None:
        if not self.open:
            self.waiting.append(event := asyncio.Event())
            await event.wait()


class Events(list[str]):
    """A monitor that keeps the cache's events."""

    def finished(self, *anything: object) -> None: ...

    def cache(self, event: str) -> None:
        self.append(event)


@dataclass
class World:
    """A wallet service with a cache; alice and bob hold 10.00 each."""

    wallet: WalletService
    database: SqliteDatabase
    runtime: AsyncioRuntime
    events: Events


@asynccontextmanager
async def opened(cache: MemoryCache, path: Path | str = ":memory:") -> AsyncIterator[World]:
    async with await SqliteDatabase.open(path, synchronous="OFF") as database:
        await database.reset({"alice": 1_000, "bob": 1_000})
        runtime = AsyncioRuntime()
        events = Events()
        reads = CachedReads(cache, database.session, runtime, events)
        wallet = WalletService(PerUserLock(runtime), database.session, runtime, reads=reads)
        async with asyncio.timeout(30):
            yield World(wallet, database, runtime, events)
            await runtime.drain()
        assert runtime.cell("doubts", dict[str, int]).value == {}


def test_a_hit_needs_no_database() -> None:
    async def act() -> None:
        async with opened(MemoryCache()) as world:
            assert await world.wallet.balance("alice") == 1_000
            await world.wallet.withdraw("bob", 1)
            await world.runtime.drain()
            await world.database.close()
            assert await world.wallet.balance("alice") == 1_000
            assert await world.wallet.check_sufficient("bob", 999)
            assert world.events == ["miss", "hit", "hit"]

    asyncio.run(act())


def test_the_cache_learns_of_a_change_after_its_commit_and_not_before(tmp_path: Path) -> None:
    async def act() -> None:
        path = tmp_path / "wallets.db"
        cache = MemoryCache()
        async with opened(cache, path) as world:
            with closing(sqlite3.connect(path, isolation_level=None)) as somebody_else:
                somebody_else.execute("BEGIN IMMEDIATE")
                paying = asyncio.create_task(world.wallet.withdraw("alice", 400))
                await asyncio.sleep(0.05)
                assert not paying.done()
                assert await cache.get("alice") is None
                somebody_else.execute("COMMIT")
            await paying
            await world.runtime.drain()
            assert await cache.get("alice") == Row(600, 2)

    asyncio.run(act())


def test_an_answer_does_not_wait_for_the_cache_and_nobody_reads_the_old_balance() -> None:
    async def act() -> None:
        cache = Late()
        async with opened(cache) as world:
            assert await world.wallet.balance("alice") == 1_000
            cache.open = False
            await world.wallet.withdraw("alice", 400)
            await asyncio.sleep(0)
            assert len(cache.waiting) == 1
            assert await world.wallet.balance("alice") == 600
            cache.waiting[0].set()

    asyncio.run(act())


def test_a_change_that_begins_while_the_cache_is_being_asked_is_not_overlooked() -> None:
    async def act() -> None:
        cache = Late()
        async with opened(cache) as world:
            assert await world.wallet.balance("alice") == 1_000
            cache.open = False
            asking = asyncio.create_task(world.wallet.balance("alice"))
            await asyncio.sleep(0)
            await world.wallet.withdraw("alice", 400)
            cache.waiting[0].set()
            assert await asking == 600
            cache.waiting[1].set()

    asyncio.run(act())


def test_a_late_refresh_never_overwrites_a_newer_balance() -> None:
    async def act() -> None:
        cache = Late()
        async with opened(cache) as world:
            cache.open = False
            for _ in range(3):
                await world.wallet.withdraw("alice", 100)
                await asyncio.sleep(0)
            for refresh in reversed(cache.waiting):
                refresh.set()
                await asyncio.sleep(0)
            cache.open = True
            await world.runtime.drain()
            assert await cache.get("alice") == Row(700, 4)
            assert await world.wallet.balance("alice") == 700

    asyncio.run(act())


def test_a_retry_does_not_put_its_old_receipt_into_a_cache_that_has_forgotten() -> None:
    async def act() -> None:
        async with opened(MemoryCache(size=1)) as world:
            await world.wallet.withdraw("alice", 400, key="k")
            await world.wallet.add("alice", 50)
            await world.wallet.add("bob", 1)  # drives alice out of the cache
            await world.runtime.drain()
            assert (await world.wallet.withdraw("alice", 400, key="k")).entries[0].after == 600
            await world.runtime.drain()
            assert await world.wallet.balance("alice") == 650

    asyncio.run(act())


@pytest.mark.parametrize("failing", ["get", "put"])
def test_a_failing_cache_costs_a_warning_and_an_event_and_never_the_operation(
    failing: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*args: object) -> None:
        raise CacheUnavailable("the cache is down", "start it")

    async def act() -> None:
        cache = MemoryCache()
        async with opened(cache) as world:
            monkeypatch.setattr(cache, failing, fail)
            assert await world.wallet.balance("alice") == 1_000
            await world.wallet.withdraw("alice", 400)
            await world.runtime.drain()
            assert await world.wallet.balance("alice") == 600
            assert "failed" in world.events

    with caplog.at_level(logging.WARNING, "walletrace.cache"):
        asyncio.run(act())
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert "the cache is down; start it" in caplog.text


def test_a_refused_operation_leaves_the_cache_as_it_is() -> None:
    async def act() -> None:
        async with opened(MemoryCache()) as world:
            await world.wallet.balance("alice")
            with pytest.raises(InsufficientFunds):
                await world.wallet.withdraw("alice", 1_001)
            with pytest.raises(UnknownWallet):
                await world.wallet.balance("carol")
            await world.wallet.balance("alice")
            assert world.events == ["miss", "miss", "hit"]

    asyncio.run(act())


def test_a_withdrawal_whose_outcome_is_unknown_is_looked_up_in_the_database(
    tmp_path: Path,
) -> None:
    async def act() -> None:
        path = tmp_path / "wallets.db"
        async with opened(MemoryCache(), path) as world:
            assert await world.wallet.balance("alice") == 1_000
            with closing(sqlite3.connect(path, isolation_level=None)) as somebody_else:
                somebody_else.execute("BEGIN IMMEDIATE")
                paying = asyncio.create_task(world.wallet.withdraw("alice", 400))
                await asyncio.sleep(0.05)
                paying.cancel()
                somebody_else.execute("COMMIT")
            with pytest.raises(asyncio.CancelledError):
                await paying
            assert await world.wallet.balance("alice") == 600
            await world.runtime.drain()
            assert await world.wallet.balance("alice") == 600

    asyncio.run(act())


def test_the_row_behind_an_answer_is_noted_wherever_it_was_read() -> None:
    async def act() -> None:
        async with opened(MemoryCache()) as world:
            timings = Timings()
            CURRENT.set(timings)
            for event in ("miss", "hit"):
                timings.seen = None
                assert await world.wallet.balance("alice") == 1_000
                assert world.events[-1] == event
                assert timings.seen == {"alice": Row(1_000, 1)}
            with pytest.raises(UnknownWallet):
                await world.wallet.balance("nobody")
            assert timings.seen == {}

    asyncio.run(act())
