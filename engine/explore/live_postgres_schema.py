"""A database to explore in: with a schema `walletrace` that is made for it and dropped in the end.

Every run of an exploration begins by emptying it, so one that holds wallets is not touched:
somebody keeps them there. What is taken away is a schema of ours without any wallet, and what an
exploration that was killed has left behind, which says so itself.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
from asyncpg import Connection

from engine.errors import StoreBusy, StoreUnavailable
from engine.explore import live_postgres_sql as sql
from engine.explore.deadlock import NEVER
from engine.explore.live_postgres import PostgresLive
from engine.stores.postgres import PostgresDatabase, shown
from engine.stores.postgres_errors import typed_error

CONNECT_S_MAX = 10.0
# Nobody ever waits. A statement that does is answered after this time, and ends the exploration.
LOCK_TIMEOUT = "1s"
_PROBE = {"application_name": "walletrace explore", "synchronous_commit": "off", "jit": "off"}
_CLIENT = {
    "application_name": "walletrace explore",
    "lock_timeout": LOCK_TIMEOUT,
    "deadlock_timeout": NEVER,
}


@asynccontextmanager
async def postgres_live(url: str, *, connections: int) -> AsyncIterator[PostgresLive]:
    """The database at `url`, with so many connections for clients.

    StoreUnavailable if it cannot be reached, or has a schema `walletrace`; StoreBusy if another
    exploration works there; StoreForbidden if the role may not create a schema, or set
    `deadlock_timeout` (a superuser may, and whom one has granted SET on that parameter).
    """
    try:
        async with AsyncExitStack() as undo:
            probe = await asyncpg.connect(url, timeout=CONNECT_S_MAX, server_settings=_PROBE)
            undo.callback(probe.terminate)
            await _claim(probe, shown(url))
            undo.push_async_callback(probe.execute, sql.LEAVE)
            database = await PostgresDatabase.open(
                url,
                connections=connections,
                synchronous_commit=False,
                lease_s=3600.0,
                now_ms=lambda: 0,
                settings=_CLIENT,
            )
            undo.push_async_callback(database.close)
            await probe.execute(sql.COMMENT)
            # Connected before the first run, so that no run waits for it.
            for connection in [await database.pool.borrow() for _ in range(connections)]:
                database.pool.give_back(connection)
            yield PostgresLive(database, probe)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise typed_error(error, may_have_happened=False) from error


async def _claim(probe: "Connection[Any]", database: str) -> None:
    """The schema is free for us, or nothing is touched."""
    if not await probe.fetchval(sql.ALONE):
        raise StoreBusy(f"another exploration works in {database}", "wait for its end")
    found = await probe.fetchrow(sql.WHOSE)
    if found is None:
        return
    if found[0] != sql.MARK and await _is_used(probe):
        raise StoreUnavailable(
            f"{database} has a schema 'walletrace' that is in use, and exploring would drop it",
            "name another database, or drop the schema if nobody needs its wallets",
        )
    await probe.execute(sql.DROP)


async def _is_used(probe: "Connection[Any]") -> bool:
    """Whether it holds wallets, or has no table for them: then it is not even ours."""
    try:
        return bool(await probe.fetchval(sql.IS_USED))
    except asyncpg.UndefinedTableError:
        return True
