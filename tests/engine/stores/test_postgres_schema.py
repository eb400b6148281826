"""Opening a database: an empty one gets our schema, ours is migrated, others stay untouched."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest

from engine.errors import StoreForbidden, StoreUnavailable, UsageError
from engine.ports import Row
from engine.stores import postgres_schema
from engine.stores.postgres import PostgresDatabase
from engine.stores.postgres_schema import SCHEMA_VERSION

Act = Callable[[str, asyncpg.Connection], Awaitable[None]]


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def in_a_new_database(server_url: str, act: Act) -> None:
    """Run `act` with the URL of an empty database of its own and a connection to it."""

    async def run() -> None:
        async with connected(server_url) as server:
            await server.execute("DROP DATABASE IF EXISTS bank")
            await server.execute("CREATE DATABASE bank")
        url = server_url.replace("/postgres?", "/bank?")
        async with connected(url) as connection:
            await act(url, connection)

    asyncio.run(run())


async def open_and_close(url: str) -> dict[str, Row]:
    async with await PostgresDatabase.open(url) as database:
        return await database.balances()


async def everything(connection: asyncpg.Connection) -> list[str]:
    """Every schema, table and row count that is not PostgreSQL's own."""
    found = await connection.fetch(
        "SELECT nspname || coalesce('.' || relname, '') AS name FROM pg_namespace"
        " LEFT JOIN pg_class ON relnamespace = pg_namespace.oid AND relkind = 'r'"
        " WHERE nspname !~ '^(pg_|information_schema)' ORDER BY name"
    )
    return [row["name"] for row in found]


def test_an_empty_database_gets_our_schema_once_and_is_found_again(postgres_url: str) -> None:
    async def act(url: str, connection: asyncpg.Connection) -> None:
        await connection.execute("CREATE TABLE wallets (theirs text)")  # in public: not our affair
        async with await PostgresDatabase.open(url) as database:
            await database.reset({"u": 5})
        assert await open_and_close(url) == {"u": Row(5, 1)}
        assert "public.wallets" in await everything(connection)
        assert await connection.fetchval("SELECT count(*) FROM public.wallets") == 0

    in_a_new_database(postgres_url, act)


def test_many_may_open_a_new_database_at_once(postgres_url: str) -> None:
    async def act(url: str, connection: asyncpg.Connection) -> None:
        assert await asyncio.gather(*(open_and_close(url) for _ in range(8))) == [{}] * 8

    in_a_new_database(postgres_url, act)


def test_an_older_schema_is_migrated_and_keeps_its_wallets(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(url: str, connection: asyncpg.Connection) -> None:
        async with await PostgresDatabase.open(url) as database:
            await database.reset({"u": 5})
        later = "CREATE TABLE walletrace.later (account text)"
        monkeypatch.setattr(postgres_schema, "MIGRATIONS", (*postgres_schema.MIGRATIONS, later))
        monkeypatch.setattr(postgres_schema, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
        opened = await asyncio.gather(*(open_and_close(url) for _ in range(4)))
        assert opened == [{"u": Row(5, 1)}] * 4
        assert "walletrace.later" in await everything(connection)
        version = await connection.fetchval("SELECT version FROM walletrace.walletrace_schema")
        assert version == SCHEMA_VERSION + 1

    in_a_new_database(postgres_url, act)


@pytest.mark.parametrize(
    "theirs",
    [
        "CREATE SCHEMA walletrace",
        "CREATE SCHEMA walletrace; CREATE TABLE walletrace.wallets (account text)",
        "CREATE SCHEMA walletrace; CREATE TABLE walletrace.walletrace_schema (mark text,"
        " version int); INSERT INTO walletrace.walletrace_schema VALUES ('other', 1)",
    ],
    ids=["empty", "tables", "another mark"],
)
def test_somebody_elses_schema_of_our_name_is_refused_untouched(
    postgres_url: str, theirs: str
) -> None:
    async def act(url: str, connection: asyncpg.Connection) -> None:
        await connection.execute(theirs)
        before = await everything(connection)
        with pytest.raises(StoreUnavailable, match="holds somebody else's schema 'walletrace'"):
            await open_and_close(url)
        assert await everything(connection) == before

    in_a_new_database(postgres_url, act)


def test_a_newer_schema_is_refused(postgres_url: str) -> None:
    async def act(url: str, connection: asyncpg.Connection) -> None:
        await open_and_close(url)
        await connection.execute("UPDATE walletrace.walletrace_schema SET version = version + 1")
        with pytest.raises(StoreUnavailable, match=f"has schema {SCHEMA_VERSION + 1}, this"):
            await open_and_close(url)

    in_a_new_database(postgres_url, act)


def test_a_role_without_rights_is_told_so_and_nothing_is_half_made(postgres_url: str) -> None:
    async def act(url: str, connection: asyncpg.Connection) -> None:
        await connection.execute(
            "DO $$ BEGIN CREATE ROLE guest LOGIN; EXCEPTION WHEN duplicate_object THEN END $$"
        )
        guest = url.replace("//postgres@", "//guest@")
        with pytest.raises(StoreForbidden, match=r"this role may not do that .*grant the right"):
            await open_and_close(guest)
        assert await everything(connection) == ["public"]
        await open_and_close(url)
        with pytest.raises(StoreForbidden):
            await open_and_close(guest)
        await connection.execute(
            "GRANT USAGE ON SCHEMA walletrace TO guest;"
            "GRANT SELECT ON ALL TABLES IN SCHEMA walletrace TO guest"
        )
        async with await PostgresDatabase.open(guest) as database:
            assert await database.balances() == {}
            with pytest.raises(StoreForbidden):
                await database.session().take("u", "A")

    in_a_new_database(postgres_url, act)


@pytest.mark.parametrize(
    ("url", "kind", "message"),
    [
        ("mysql://host/bank", UsageError, "no address of a PostgreSQL database"),
        (
            "postgresql://postgres:secret@127.0.0.1:1/bank",
            StoreUnavailable,
            "no connection to the database",
        ),
        (
            "postgresql://postgres@/bank?host=/nowhere",
            StoreUnavailable,
            "no connection to the database",
        ),
    ],
)
def test_an_address_where_nobody_answers_is_refused_without_its_password(
    url: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message) as refused:
        asyncio.run(open_and_close(url))
    assert "secret" not in str(refused.value)


def test_a_database_that_is_not_there_is_unavailable(postgres_url: str) -> None:
    with pytest.raises(StoreUnavailable, match='database "nobank" does not exist'):
        asyncio.run(open_and_close(postgres_url.replace("/postgres?", "/nobank?")))


def test_the_settings_asked_for_hold_on_every_connection(postgres_url: str) -> None:
    async def shown(name: str, **options: object) -> str:
        async with await PostgresDatabase.open(postgres_url, **options) as database:  # type: ignore[arg-type]
            return str(
                await database.pool.once(lambda c: c.fetchval(f"SHOW {name}"), commits=False)
            )

    async def act() -> None:
        assert await shown("synchronous_commit") == "on"
        assert await shown("synchronous_commit", synchronous_commit=False) == "off"
        assert await shown("deadlock_timeout", settings={"deadlock_timeout": "7ms"}) == "7ms"

    asyncio.run(act())
