"""The tables of a walletrace PostgreSQL database, made by versioned migrations.

They live in a schema of their own, `walletrace`, and every statement names it: whatever else a
database holds is never touched, and a `walletrace` schema that is somebody else's is refused.
"""

from collections.abc import Mapping

from asyncpg import Connection

from engine.errors import StoreUnavailable

# Names the schema as ours, and is the advisory lock under which it is made.
MARK = "walletrace wallets"

# Names sort by their bytes everywhere, as in SQLite, whatever the database's language is.
MIGRATIONS = (
    """
    CREATE TABLE walletrace.wallets (
        account text COLLATE "C" PRIMARY KEY,
        balance_cents bigint NOT NULL CHECK (balance_cents >= 0),
        version bigint NOT NULL
    ) WITH (fillfactor = 50);
    CREATE TABLE walletrace.operation_log (
        operation_id text NOT NULL,
        account text COLLATE "C" NOT NULL,
        kind text NOT NULL,
        amount_cents bigint NOT NULL,
        before_cents bigint NOT NULL,
        after_cents bigint NOT NULL,
        version bigint NOT NULL,
        description text NOT NULL,
        time_ms bigint NOT NULL,
        PRIMARY KEY (account, version)
    );
    CREATE TABLE walletrace.idempotency_keys (
        key text COLLATE "C" PRIMARY KEY,
        fingerprint text NOT NULL,
        receipt text NOT NULL
    );
    CREATE TABLE walletrace.leases (
        key text COLLATE "C" PRIMARY KEY,
        owner text,
        token bigint NOT NULL,
        expires_ms bigint NOT NULL
    ) WITH (fillfactor = 50);
    CREATE TABLE walletrace.decisions (key text COLLATE "C" PRIMARY KEY, value text NOT NULL);
    """,
)
SCHEMA_VERSION = len(MIGRATIONS)


async def prepare(connection: Connection, database: str) -> None:
    """Make our tables, bring ours up to date, or refuse the schema with StoreUnavailable."""
    if await _version(connection, database) == SCHEMA_VERSION:
        return
    async with connection.transaction():
        # Many processes may start at once: one migrates, the others wait and find it done.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", MARK)
        version = await _version(connection, database)
        if version is None:
            await connection.execute(
                "CREATE SCHEMA walletrace; CREATE TABLE walletrace.walletrace_schema"
                " (mark text PRIMARY KEY, version integer NOT NULL)"
            )
        for migration in MIGRATIONS[version or 0 :]:
            await connection.execute(migration)
        await connection.execute(
            "INSERT INTO walletrace.walletrace_schema VALUES ($1, $2)"
            " ON CONFLICT (mark) DO UPDATE SET version = excluded.version",
            MARK,
            SCHEMA_VERSION,
        )


# Asks the catalog as tables: functions such as to_regclass may answer from a cache that has not
# heard of what another transaction has just committed.
_WHOSE = """
    SELECT EXISTS (
        SELECT FROM pg_class WHERE relnamespace = pg_namespace.oid AND relname = 'walletrace_schema'
    ) AS versioned
    FROM pg_namespace WHERE nspname = 'walletrace'
"""


async def _version(connection: Connection, database: str) -> int | None:
    """The version of our tables; None where nobody has a schema of that name."""
    schema = await connection.fetchrow(_WHOSE)
    if schema is None:
        return None
    version = None
    if schema["versioned"]:
        version = await connection.fetchval(
            "SELECT version FROM walletrace.walletrace_schema WHERE mark = $1", MARK
        )
    if version is None:
        raise StoreUnavailable(
            f"{database} holds somebody else's schema 'walletrace'", "name a database without one"
        )
    if version > SCHEMA_VERSION:
        raise StoreUnavailable(
            f"{database} has schema {version}, this walletrace knows {SCHEMA_VERSION}",
            "name another database",
        )
    return int(version)


async def reset(connection: Connection, openings: Mapping[str, int], now: int | None) -> None:
    """Empty every table and open the wallets `openings` (account to cents), in one transaction."""
    async with connection.transaction():
        await connection.execute(
            "DELETE FROM walletrace.wallets; DELETE FROM walletrace.operation_log;"
            "DELETE FROM walletrace.idempotency_keys; DELETE FROM walletrace.leases;"
            "DELETE FROM walletrace.decisions"
        )
        await connection.execute(
            """
            WITH opened AS (
                INSERT INTO walletrace.wallets
                SELECT account, cents, 1 FROM unnest($1::text[], $2::bigint[]) AS o(account, cents)
                RETURNING account, balance_cents
            )
            INSERT INTO walletrace.operation_log
            SELECT 'opening', account, 'open', balance_cents, 0, balance_cents, 1, '',
                coalesce($3::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
            FROM opened
            """,
            list(openings),
            list(openings.values()),
            now,
        )
