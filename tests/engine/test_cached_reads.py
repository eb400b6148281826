"""Cache first, and never a stale answer, whatever fails, comes late, is cancelled or retried."""

import asyncio
import logging
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cached_reads import CachedReads
from engine.caches import MemoryCache
from engine.errors import BusinessError, CacheUnavailable, InsufficientFunds, UnknownWallet
from engine.locks.per_user import PerUserLock
from engine.ports import Row
from engine.runtimes import AsyncioRuntime
from engine.stores.sqlite import SqliteDatabase
from engine.wallet import WalletService


class Clock(AsyncioRuntime):
    """A runtime whose time stands still until it is moved; the cache's clock goes with it."""

    def __init__(self) -> None:
        super().__init__()
        self.s = 1_000.0

    def now_ms(self) -> int:
        return int(self.s * 1000)


class Shaky(MemoryCache):
    """A cache that fails as `rng` decides, before or after it did what it was asked."""

    def __init__(self, rng: random.Random, failing: float, **options: Any) -> None:
        super().__init__(**options)
        self.rng = rng
        self.failing = failing

    async def get(self, account: str) -> Row | None:
        await self._shake()
        return await super().get(account)

    async def put(self, account: str, row: Row) -> None:
        await self._shake()
        await super().put(account, row)
        await self._shake()

    async def _shake(self) -> None:
        await asyncio.sleep(0)
        if self.rng.random() < self.failing:
            raise CacheUnavailable("shaken")


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
async def opened(
    cache: MemoryCache, path: Path | str = ":memory:", runtime: AsyncioRuntime | None = None
) -> AsyncIterator[World]:
    async with await SqliteDatabase.open(path, synchronous="OFF") as database:
        await database.reset({"alice": 1_000, "bob": 1_000})
        runtime = runtime or AsyncioRuntime()
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


def test_a_cache_that_failed_is_left_alone_until_what_it_held_has_expired() -> None:
    async def act() -> None:
        clock = Clock()
        cache = Shaky(random.Random(0), 0.0, ttl_s=60.0, clock_s=lambda: clock.s)
        async with opened(cache, runtime=clock) as world:
            await world.wallet.balance("alice")
            cache.failing = 1.0
            await world.wallet.withdraw("alice", 400)  # its refresh fails: 10.00 stays in there
            await clock.drain()
            cache.failing = 0.0
            clock.s += 59.9
            assert await cache.get("alice") == Row(1_000, 1)
            assert await world.wallet.balance("alice") == 600
            clock.s += 0.2
            assert [await world.wallet.balance("alice") for _ in range(2)] == [600, 600]
            assert world.events[-2:] == ["miss", "hit"]

    asyncio.run(act())


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


accounts = st.sampled_from(["alice", "bob"])
Step = tuple[str, str, int, str | None, int | None]
steps: st.SearchStrategy[Step] = st.tuples(
    st.sampled_from(["withdraw", "add", "transfer", "balance"]),
    accounts,
    st.integers(1, 700),
    st.sampled_from([None, None, "k1", "k2"]),
    st.none() | st.integers(0, 12),  # cancelled after so many turns of the loop
)
rounds = st.lists(
    st.tuples(st.lists(steps, min_size=1, max_size=3), st.sampled_from([0.0, 1.0, 61.0])),
    min_size=1,
    max_size=5,
)


async def take(world: World, step: Step) -> None:
    verb, account, cents, key, turns = step
    other = "bob" if account == "alice" else "alice"
    work: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
        "withdraw": lambda: world.wallet.withdraw(account, cents, key=key),
        "add": lambda: world.wallet.add(account, cents, key=key),
        "transfer": lambda: world.wallet.transfer(account, other, cents, key=key),
        "balance": lambda: world.wallet.balance(account),
    }
    task = asyncio.create_task(work[verb]())
    if turns is not None:
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
    with suppress(BusinessError, asyncio.CancelledError):
        await task


def stale(shown: dict[str, int], held: dict[str, Row]) -> Iterator[str]:
    return (f"{name}: {shown[name]} shown" for name in held if shown[name] != held[name].balance)


@given(rounds, st.sampled_from([0.0, 0.1, 0.5]), st.sampled_from([1, 100]), st.integers(0, 2**16))
def test_no_answer_is_ever_stale_whatever_fails_or_is_cancelled(
    program: list[tuple[list[Step], float]], failing: float, size: int, seed: int
) -> None:
    async def act() -> None:
        clock = Clock()
        rng = random.Random(seed)
        cache = Shaky(rng, failing, size=size, ttl_s=60.0, clock_s=lambda: clock.s)
        async with opened(cache, runtime=clock) as world:
            for together, later_s in program:
                await asyncio.gather(*(take(world, step) for step in together))
                shown = {name: await world.wallet.balance(name) for name in ("alice", "bob")}
                assert list(stale(shown, await world.database.balances())) == []
                if rng.random() < 0.5:
                    await clock.drain()
                clock.s += later_s

    asyncio.run(act())
