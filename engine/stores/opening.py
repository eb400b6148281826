"""Databases by name: a SQLite file, the embedded PostgreSQL, or one at an address.

>>> dialect_of("postgres"), dialect_of("postgresql://me@host/bank"), dialect_of("wallets.db")
('postgres', 'postgres', 'sqlite')
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Protocol

from engine.errors import SystemFault, UsageError
from engine.ports import Dialect, Ledger, Store
from engine.stores.sqlite import SqliteDatabase

STORES = "sqlite, postgres, postgresql://…, or a SQLite file"
CONNECTIONS = 10

# SQLite's words. On PostgreSQL OFF stands for synchronous_commit=off, and the others for on.
Synchronous = Literal["OFF", "NORMAL", "FULL"]


class Database(Ledger, Protocol):
    """One open database, whatever its kind."""

    def session(self) -> Store:
        """A handle for one caller."""
        ...

    async def reset(self, openings: Mapping[str, int]) -> None:
        """Empty the database and open these wallets (account to cents)."""
        ...


def is_url(store: str) -> bool:
    """Whether it is the address of a PostgreSQL server."""
    return store.startswith(("postgresql://", "postgres://"))


def dialect_of(store: str) -> Dialect:
    """Whose rules hold in the database of that name or address."""
    return "postgres" if store == "postgres" or is_url(store) else "sqlite"


def database_words(store: str) -> str:
    """What `store` is, with its version, for people who compare figures. As `located` it raises."""
    if dialect_of(store) == "sqlite":
        return f"SQLite {sqlite3.sqlite_version}, WAL"
    if not is_url(store):
        from engine.stores.postgres_server import version

        return f"PostgreSQL {version()}, embedded"
    with asyncpg_needed():
        from engine.stores.postgres import server_version
    return f"PostgreSQL {asyncio.run(server_version(store))}"


@contextmanager
def asyncpg_needed() -> Iterator[None]:
    """Around imports of what needs asyncpg: UsageError, with the way out, where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{error.name} is not installed", "pip install 'walletrace[postgres]'"
        ) from error


@contextmanager
def located(store: str, *, postgres_data: Path | None = None) -> Iterator[str]:
    """The address at which `open_database`, in any process, finds `store` until the block ends.

    "sqlite" is a temporary file, "postgres" the embedded server, started here, with its data in
    the directory `postgres_data` or else a temporary one. What is a file or a URL already stays as
    it is. UsageError and StoreUnavailable if the server cannot run.
    """
    if postgres_data is not None and store != "postgres":
        raise UsageError(
            f"a data directory for PostgreSQL with the store {store!r}", "name the store postgres"
        )
    if store == "postgres":
        from engine.stores.postgres_server import embedded_server

        with embedded_server(postgres_data) as url:
            yield url
    elif store == "sqlite":
        with TemporaryDirectory(prefix="walletrace-") as folder:
            yield str(Path(folder) / "wallets.db")
    else:
        yield store


@contextmanager
def borrowed(store: str, *, postgres_data: Path | None = None) -> Iterator[str]:
    """As `located`, for a run that empties the database, and leaves it empty.

    UsageError where there are wallets already: they are somebody's.
    """
    with located(store, postgres_data=postgres_data) as address:
        asyncio.run(_refuse_wallets(address, store))
        try:
            yield address
        finally:
            with suppress(
                SystemFault
            ):  # the server is gone, and what was found is told all the same
                asyncio.run(_empty(address))


async def _refuse_wallets(address: str, store: str) -> None:
    async with open_database(address) as database:
        wallets = len(await database.balances())
    if wallets:
        raise UsageError(
            f"the {dialect_of(store)} database named holds {wallets} wallets, and would be emptied",
            "name one without, or drop its wallets yourself",
        )


async def _empty(address: str) -> None:
    async with open_database(address) as database:
        await database.reset({})


@asynccontextmanager
async def open_database(
    address: str,
    *,
    connections: int = CONNECTIONS,
    synchronous: Synchronous = "NORMAL",
    lease_s: float = 5.0,
) -> AsyncIterator[Database]:
    """The database at `address`, a file or a URL, until the block ends.

    `connections`: at most so many to PostgreSQL; SQLite has one writer, and gets one. UsageError;
    StoreUnavailable, StoreForbidden, StoreBusy if it cannot be used.
    """
    if dialect_of(address) == "sqlite":
        async with await SqliteDatabase.open(
            address, synchronous=synchronous, lease_s=lease_s
        ) as sqlite:
            yield sqlite
        return
    with asyncpg_needed():
        from engine.stores.postgres import PostgresDatabase
    async with await PostgresDatabase.open(
        address,
        connections=connections,
        synchronous_commit=synchronous != "OFF",
        lease_s=lease_s,
    ) as postgres:
        yield postgres
