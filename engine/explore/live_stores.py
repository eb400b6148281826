"""Real databases by name, opened for an exploration."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from engine.errors import UsageError
from engine.explore.live import Live
from engine.explore.live_sqlite import SqliteLive
from engine.stores.opening import asyncpg_needed
from engine.stores.postgres_server import embedded_server

LIVE_STORES = {
    "sqlite": "a real SQLite file through aiosqlite, gated step by step",
    "postgres": "a PostgreSQL of our own, started for the run; or yours, as postgresql://…",
}
# Nothing of an exploration has to survive the machine; in a directory of the user's other data may.
TEMPORARY = {"fsync": "off", "full_page_writes": "off"}


@contextmanager
def placed(store: str, *, postgres_data: Path | None = None) -> Iterator[str]:
    """Where `store` is explored until the block ends: one server of ours for any number of cells.

    `postgres_data`: its directory, made if absent and kept. UsageError, StoreUnavailable.
    """
    if store == "postgres":
        settings = TEMPORARY if postgres_data is None else {}
        with embedded_server(postgres_data, settings=settings) as url:
            yield url
    elif postgres_data is not None:
        raise UsageError(
            f"a data directory for PostgreSQL with the store {store!r}", "name the store postgres"
        )
    else:
        yield store


@asynccontextmanager
async def live_database(store: str, *, connections: int) -> AsyncIterator[Live]:
    """An empty database, gone afterwards. UsageError for a name that is none; StoreUnavailable."""
    if store == "sqlite":
        with tempfile.TemporaryDirectory(prefix="walletrace-") as folder:
            live = await SqliteLive.open(Path(folder) / "explored.db", connections=connections)
            try:
                yield live
            finally:
                await live.close()
    elif store == "postgres":
        with placed(store) as url:
            async with live_database(url, connections=connections) as started:
                yield started
    else:
        with asyncpg_needed():
            from engine.explore.live_postgres_schema import postgres_live
        async with postgres_live(store, connections=connections) as theirs:
            yield theirs
