"""The embedded cache: newest wins, and it is bounded in age and in size."""

import asyncio

from engine.caches import MemoryCache
from engine.ports import Row


def test_the_newest_version_wins_in_whatever_order_rows_come() -> None:
    async def act() -> None:
        cache = MemoryCache()
        for version in (2, 3, 1, 3):
            await cache.put("u", Row(version * 100, version))
        await cache.put("u", Row(999, 3))
        assert await cache.get("u") == Row(300, 3)

    asyncio.run(act())


def test_an_entry_is_never_answered_after_its_time() -> None:
    async def act() -> None:
        now_s = 0.0
        cache = MemoryCache(ttl_s=60.0, clock_s=lambda: now_s)
        await cache.put("u", Row(100, 5))
        now_s = 59.9
        await cache.put("u", Row(100, 5))  # does not prolong it
        assert await cache.get("u") == Row(100, 5)
        now_s = 60.0
        assert await cache.get("u") is None
        await cache.put("u", Row(50, 1))  # a forgotten version binds nobody
        assert await cache.get("u") == Row(50, 1)

    asyncio.run(act())


def test_it_holds_no_more_than_its_size() -> None:
    async def act() -> None:
        cache = MemoryCache(size=10)
        for number in range(1000):
            await cache.put(f"u{number}", Row(number, 1))
        held = [number for number in range(1000) if await cache.get(f"u{number}") is not None]
        assert len(held) == 10
        assert held[-1] == 999

    asyncio.run(act())
