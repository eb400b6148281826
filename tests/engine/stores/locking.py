"""Transactions and locks that somebody holds while another call is under way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from engine.ports import Level, Store
from engine.stores.postgres import PostgresDatabase


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


@asynccontextmanager
async def row_lock(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else holds the lock on u's row."""
    somebody_else = await asyncpg.connect(url)
    try:
        async with somebody_else.transaction():
            await somebody_else.execute(
                "SELECT FROM walletrace.wallets WHERE account = 'u' FOR UPDATE"
            )
            yield somebody_else
    finally:
        await somebody_else.close()
