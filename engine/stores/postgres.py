"""PostgreSQL through asyncpg: row locks, and isolation levels to choose from.

Each verb is one round trip where one suffices. Statements outside a transaction run at READ
COMMITTED, whatever the database's default is.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Self, TypeVar

from engine.errors import LockTimeout, SystemFault, UsageError, WalletraceError
from engine.history import LogRow, Receipt
from engine.ports import (
    Call,
    Change,
    Dialect,
    Level,
    Row,
    RowLocking,
    Snapshot,
    inside_transactions,
    not_in_dialect,
    outside_transactions,
)
from engine.stores import postgres_group, postgres_schema, postgres_sql, postgres_statements
from engine.stores.lines import Lines
from engine.stores.postgres_pool import Pool, Work
from engine.stores.postgres_wire import LEVELS, Wire
from engine.stores.uncancelled import wait_out

T = TypeVar("T")

# How often a waiter asks for a lease again, and when whoever waits for anything gives up.
POLL_MS = 2.0
LOCK_WAIT_S_MAX = 30.0

# Index scans only. Whoever reads a whole small table conflicts, under SERIALIZABLE, with everybody
# who writes to it; and a plan made while the table was small is kept when it has grown.
_SETTINGS = {
    "application_name": "walletrace",
    "default_transaction_isolation": "read committed",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}


def shown(url: str) -> str:
    """The URL without its password.

    >>> shown("postgresql://me:secret@host/bank")
    'postgresql://me@host/bank'
    """
    return re.sub(r"(?<=://)([^:/@]*):[^@/]*@", r"\1@", re.sub(r"password=[^&]*&?", "", url))


async def server_version(url: str) -> str:
    """The server's version, such as "18.1". It is only asked: StoreUnavailable, StoreForbidden."""
    pool = Pool(url, 1, {}, LOCK_WAIT_S_MAX)
    try:
        [(version,)] = await pool.once(lambda c: c.rows("SHOW server_version"), commits=False)
        return str(version)
    finally:
        await pool.close()


class PostgresDatabase:
    """One database and its connections; `session()` gives callers their `Store`. A `Ledger` too."""

    def __init__(self, pool: Pool, lease_ms: int, now_ms: Callable[[], int] | None) -> None:
        self.pool = pool
        self.lease_ms = lease_ms
        self._now_ms = now_ms
        self.lines = Lines()

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        connections: int = 10,
        synchronous_commit: bool = True,
        lease_s: float = 5.0,
        now_ms: Callable[[], int] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Self:
        """Open the database and make or migrate its tables.

        `now_ms`: a clock for leases and log rows instead of the server's, which is one clock for
        processes on all machines. `settings`: of PostgreSQL, for every connection. UsageError for
        an address that is none; StoreUnavailable, StoreForbidden, StoreBusy if it cannot be used.
        """
        fixed = {
            **_SETTINGS,
            "synchronous_commit": "on" if synchronous_commit else "off",
            "lock_timeout": f"{LOCK_WAIT_S_MAX:g}s",
            # The locks of a process that stands still are freed too, not only those of a dead one.
            "idle_in_transaction_session_timeout": f"{LOCK_WAIT_S_MAX:g}s",
        }
        pool = Pool(url, connections, {**fixed, **(settings or {})}, LOCK_WAIT_S_MAX)
        database = cls(pool, int(lease_s * 1000), now_ms)
        try:
            await pool.once(lambda c: postgres_schema.prepare(c, shown(url)), commits=False)
        except BaseException:
            await pool.close()
            raise
        return database

    async def close(self) -> None:
        """Close every connection; statements under way are finished first."""
        await self.pool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def session(self) -> "PostgresStore":
        """A handle for one caller."""
        return PostgresStore(self)

    def now_ms(self) -> int | None:
        """None: the server's clock."""
        return None if self._now_ms is None else self._now_ms()

    async def reset(self, openings: Mapping[str, int]) -> None:
        """Empty the database and open these wallets (account to cents)."""
        now_ms = self.now_ms()
        await self.pool.once(lambda c: postgres_schema.reset(c, openings, now_ms), commits=True)

    async def balances(self) -> dict[str, Row]:
        """Every wallet."""
        return await self.pool.once(postgres_statements.balances, commits=False)

    async def books(self) -> tuple[dict[str, Row], list[LogRow]]:
        """Every wallet and the whole operation log, at one instant."""
        return await self.pool.once(postgres_statements.books, commits=False)

    async def log(
        self, account: str | None = None, *, after_version: int = 0, limit: int | None = None
    ) -> list[LogRow]:
        """Rows of the operation log by account, then version."""
        return await self.pool.once(
            lambda c: postgres_statements.log_rows(c, account, after_version, limit), commits=False
        )


class PostgresStore:
    """One caller's `Store`."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._pinned: Wire | None = None

    @property
    def dialect(self) -> Dialect:
        return "postgres"

    @property
    def pinned(self) -> Wire | None:
        """The connection of the open transaction, for who looks on."""
        return self._pinned

    async def read(
        self, accounts: tuple[str, ...], key: str | None = None, *, lock: RowLocking = ""
    ) -> Snapshot:
        if lock:
            self._refuse_outside("a read that locks")
        return await self._run(
            lambda c: postgres_statements.read(c, accounts, key, lock), commits=False
        )

    async def write(
        self,
        call: Call,
        changes: tuple[Change, ...],
        *,
        if_version: bool = False,
        fence: Mapping[str, int] | None = None,
    ) -> Receipt:
        now_ms = self._database.now_ms()
        return await self._run(
            lambda c: postgres_statements.write(c, call, changes, if_version, fence or {}, now_ms),
            commits=self._pinned is None,
        )

    async def take(self, key: str, owner: str) -> int:
        self._refuse_inside("take")

        async def ask(connection: Wire) -> int | None:
            now_ms = self._database.now_ms()
            taken = await connection.rows(
                postgres_sql.TAKE, key, owner, now_ms, self._database.lease_ms
            )
            return taken[0]["token"] if taken else None

        try:
            async with asyncio.timeout(LOCK_WAIT_S_MAX):
                async with self._database.lines.first(key) as given:
                    while (token := await self._run(ask, commits=True)) is None:
                        await given(POLL_MS / 1000)
                    return token
        except TimeoutError:
            raise LockTimeout(
                f"no lease on {key!r} within {LOCK_WAIT_S_MAX:g} s", "try again"
            ) from None

    async def give(self, key: str, owner: str) -> None:
        self._refuse_inside("give")
        # Waited out as a whole: a caller cancelled in the queue for a connection gives back too.
        await wait_out(self._run(lambda c: c.rows(postgres_sql.GIVE, key, owner), commits=True))
        self._database.lines.given(key)

    async def decide(self, key: str, value: str) -> str:
        self._refuse_inside("decide")
        return await self._run(lambda c: postgres_statements.decide(c, key, value), commits=True)

    async def guarded(self, call: Call) -> Receipt:
        self._refuse_inside("guarded")
        now_ms = self._database.now_ms()
        return await self._run(lambda c: postgres_statements.guarded(c, call, now_ms), commits=True)

    async def group(self, calls: tuple[Call, ...]) -> tuple[Receipt | WalletraceError, ...]:
        self._refuse_inside("group")
        now_ms = self._database.now_ms()
        return await self._run(lambda c: postgres_group.group(c, calls, now_ms), commits=True)

    async def advisory(self, keys: tuple[str, ...]) -> None:
        self._refuse_outside("advisory")
        await self._run(lambda c: c.rows(postgres_sql.ADVISORY, keys), commits=False)

    async def begin(self, level: Level, *, nowait: bool = False) -> None:
        if level not in LEVELS:
            raise not_in_dialect(f"isolation level {level!r}", self.dialect)
        assert self._pinned is None, "a transaction is open already"
        self._pinned = await self._database.pool.borrow()
        self._pinned.begin_with_next(level)

    async def commit(self) -> None:
        if self._pinned is None:
            raise inside_transactions("commit")
        if self._pinned.is_to_begin and not self._pinned.is_closed():
            self._unpin()  # nothing was asked in it
            return
        # To a transaction that has failed PostgreSQL answers COMMIT with "ROLLBACK", and no error.
        if await self._run(lambda c: c.execute("COMMIT"), commits=True) != "COMMIT":
            self._unpin()
            raise UsageError("commit after an error inside the transaction", "roll it back")
        self._unpin()

    async def rollback(self) -> None:
        if self._pinned is None:
            return
        try:
            with suppress(SystemFault):
                if not self._pinned.is_closed() and self._pinned.is_in_transaction():
                    await self._run(lambda c: c.execute("ROLLBACK"), commits=False)
        finally:
            self._unpin()

    def _refuse_inside(self, verb: str) -> None:
        if self._pinned is not None:
            raise outside_transactions(verb)

    def _refuse_outside(self, verb: str) -> None:
        if self._pinned is None:
            raise inside_transactions(verb)

    def _unpin(self) -> None:
        if self._pinned is not None:
            self._pinned.forget_begin()
            self._database.pool.give_back(self._pinned)
            self._pinned = None

    def _run(self, work: Work[T], *, commits: bool) -> Coroutine[Any, Any, T]:
        if self._pinned is None:
            return self._database.pool.once(work, commits=commits)
        return self._database.pool.run(self._pinned, work, commits=commits)
