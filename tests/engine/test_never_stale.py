"""Random work over a cache that fails, forgets and expires: no answer is ever stale."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.cached_reads import CachedReads
from engine.caches import MemoryCache
from engine.errors import BusinessError, CacheUnavailable
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


@dataclass
class World:
    """A wallet service with a cache; alice and bob hold 10.00 each."""

    wallet: WalletService
    database: SqliteDatabase


@asynccontextmanager
async def opened(cache: MemoryCache, clock: Clock) -> AsyncIterator[World]:
    async with await SqliteDatabase.open(":memory:") as database:
        await database.reset({"alice": 1_000, "bob": 1_000})
        reads = CachedReads(cache, database.session, clock)
        wallet = WalletService(PerUserLock(clock), database.session, clock, reads=reads)
        async with asyncio.timeout(30):
            yield World(wallet, database)
            await clock.drain()
        assert clock.cell("doubts", dict[str, int]).value == {}


def test_a_cache_that_failed_is_left_alone_until_what_it_held_has_expired() -> None:
    async def act() -> None:
        clock = Clock()
        cache = Shaky(random.Random(0), 0.0, ttl_s=60.0, clock_s=lambda: clock.s)
        async with opened(cache, clock) as world:
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
            await world.database.close()
            assert await world.wallet.balance("alice") == 600  # from the cache again

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
        async with opened(cache, clock) as world:
            for together, later_s in program:
                await asyncio.gather(*(take(world, step) for step in together))
                shown = {name: await world.wallet.balance(name) for name in ("alice", "bob")}
                assert list(stale(shown, await world.database.balances())) == []
                if rng.random() < 0.5:
                    await clock.drain()
                clock.s += later_s

    asyncio.run(act())
