"""SQLite through aiosqlite: the embedded default.

Each verb is one hop to a connection's thread, since the hop and not SQLite is what costs. SQLite
has one writer, so one connection is the fastest and the fairest unless transactions span verbs.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from time import perf_counter_ns
from typing import Literal, Self, TypeVar

from engine.errors import (
    LockTaken,
    LockTimeout,
    StoreBusy,
    StoreUnavailable,
    SystemFault,
    WalletraceError,
)
from engine.history import LogRow, Receipt
from engine.ports import (
    Call,
    Change,
    Dialect,
    Level,
    Row,
    RowLocking,
    Snapshot,
    not_in_dialect,
    outside_transactions,
)
from engine.stores import sqlite_group, sqlite_schema, sqlite_statements, sqlite_transactions
from engine.stores.lines import Lines
from engine.stores.sqlite_hop import Hops, Work
from engine.stores.uncancelled import wait_out
from engine.timings import CURRENT

T = TypeVar("T")

# How often a waiter asks for a lease again, and when it gives up.
POLL_MS = 2.0
LOCK_WAIT_S_MAX = 30.0


def wall_ms() -> int:
    """Milliseconds since the epoch: what processes on one machine agree on."""
    return time.time_ns() // 1_000_000


class SqliteDatabase:
    """One file and its connections; `session()` gives each caller a `Store`. Also a `Ledger`."""

    def __init__(
        self,
        path: str,
        connections: list[Hops],
        lease_ms: int,
        now_ms: Callable[[], int],
    ) -> None:
        self.path = path
        self.lease_ms = lease_ms
        self.now_ms = now_ms
        self._all = connections
        self._free = list(connections)
        # A fair queue: with asyncio.Queue the last user could barge in again before the next one.
        self._turns = asyncio.Semaphore(len(connections))
        self.lines = Lines()

    @classmethod
    async def open(
        cls,
        path: str | Path,
        *,
        connections: int = 1,
        synchronous: Literal["OFF", "NORMAL", "FULL"] = "NORMAL",
        busy_timeout_s: float = 10.0,
        lease_s: float = 5.0,
        now_ms: Callable[[], int] = wall_ms,
    ) -> Self:
        """Open or create the file. StoreUnavailable if it cannot be opened or is not ours."""
        opened: list[Hops] = []
        try:
            for _ in range(connections):
                opened.append(await Hops.open(path, busy_timeout_s=busy_timeout_s))
                await opened[-1].run(lambda c: sqlite_schema.prepare(c, str(path), synchronous))
        except BaseException as error:
            for connection in opened:
                await connection.close()
            if isinstance(error, sqlite3.Error):
                raise StoreUnavailable(
                    f"cannot open {path} as a database ({error})", "name a file that can be written"
                ) from error
            raise
        return cls(str(path), opened, int(lease_s * 1000), now_ms)

    async def close(self) -> None:
        """Close every connection; statements under way are finished first."""
        for connection in self._all:
            await connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def session(self) -> "SqliteStore":
        """A handle for one caller."""
        return SqliteStore(self)

    async def reset(self, openings: Mapping[str, int]) -> None:
        """Empty the database and open these wallets (account to cents)."""
        now_ms = self.now_ms()
        await self.once(lambda c: sqlite_schema.reset(c, openings, now_ms))

    async def balances(self) -> dict[str, Row]:
        """Every wallet."""
        return await self.once(sqlite_statements.balances)

    async def books(self) -> tuple[dict[str, Row], list[LogRow]]:
        """Every wallet and the whole operation log, at one instant."""
        return await self.once(sqlite_statements.books)

    async def log(
        self, account: str | None = None, *, after_version: int = 0, limit: int | None = None
    ) -> list[LogRow]:
        """Rows of the operation log by account, then version."""
        return await self.once(
            lambda c: sqlite_statements.log_rows(c, account, after_version, limit)
        )

    async def borrow(self, *, nowait: bool = False) -> Hops:
        """A connection for the caller alone, first come, first served; LockTaken for `nowait`."""
        if self._turns.locked():
            if nowait:
                raise LockTaken("no connection is free", "try again")
            try:
                async with asyncio.timeout(LOCK_WAIT_S_MAX):
                    await self._turns.acquire()
            except TimeoutError:
                what = f"no connection came free within {LOCK_WAIT_S_MAX:g} s"
                raise StoreBusy(what, "try again") from None
        else:
            await self._turns.acquire()
        return self._free.pop()

    def give_back(self, connection: Hops) -> None:
        """Let the next caller have it."""
        self._free.append(connection)
        self._turns.release()

    async def once(self, work: Work[T]) -> T:
        """Run `work`, which leaves no transaction open, on any connection, in one hop."""
        asked_ns = perf_counter_ns()
        if not self._turns.locked():
            # The connection's thread is a fair queue itself, and works through what has come
            # meanwhile without a switch for each. Whoever borrows the connection comes after.
            return await self._free[-1].run(work, asked_ns)
        connection = await self.borrow()
        try:
            return await connection.run(work, asked_ns)
        finally:
            self.give_back(connection)


class SqliteStore:
    """One caller's `Store`."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._pinned: Hops | None = None

    @property
    def dialect(self) -> Dialect:
        return "sqlite"

    async def read(
        self, accounts: tuple[str, ...], key: str | None = None, *, lock: RowLocking = ""
    ) -> Snapshot:
        if lock:
            raise not_in_dialect("row locks", self.dialect)
        own = self._pinned is None
        return await self._run(lambda c: sqlite_statements.read(c, accounts, key, own))

    async def write(
        self,
        call: Call,
        changes: tuple[Change, ...],
        *,
        if_version: bool = False,
        fence: Mapping[str, int] | None = None,
    ) -> Receipt:
        now_ms = self._database.now_ms()
        return await self._alone(
            lambda c: sqlite_statements.write(c, call, changes, if_version, fence or {}, now_ms)
        )

    async def take(self, key: str, owner: str) -> int:
        self._refuse_inside("take")

        def ask(connection: sqlite3.Connection) -> int | None:
            now_ms = self._database.now_ms()
            return sqlite_statements.take(
                connection, key, owner, now_ms, now_ms + self._database.lease_ms
            )

        try:
            async with asyncio.timeout(LOCK_WAIT_S_MAX):
                async with self._database.lines.first(key) as given:
                    while (token := await self._run(ask)) is None:
                        await given(POLL_MS / 1000)
                    return token
        except TimeoutError:
            raise LockTimeout(
                f"no lease on {key!r} within {LOCK_WAIT_S_MAX:g} s", "try again"
            ) from None

    async def give(self, key: str, owner: str) -> None:
        self._refuse_inside("give")
        # Waited out as a whole: a caller cancelled in the queue for a connection gives back too.
        await wait_out(self._run(lambda c: sqlite_statements.give(c, key, owner)))
        self._database.lines.given(key)

    async def decide(self, key: str, value: str) -> str:
        self._refuse_inside("decide")
        return await self._run(lambda c: sqlite_statements.decide(c, key, value))

    async def guarded(self, call: Call) -> Receipt:
        self._refuse_inside("guarded")
        now_ms = self._database.now_ms()
        return await self._alone(lambda c: sqlite_statements.guarded(c, call, now_ms))

    async def group(self, calls: tuple[Call, ...]) -> tuple[Receipt | WalletraceError, ...]:
        self._refuse_inside("group")
        now_ms = self._database.now_ms()
        return await self._alone(lambda c: sqlite_group.group(c, calls, now_ms))

    async def advisory(self, keys: tuple[str, ...]) -> None:
        raise not_in_dialect("advisory locks", self.dialect)

    async def begin(self, level: Level, *, nowait: bool = False) -> None:
        if level not in ("deferred", "immediate"):
            raise not_in_dialect(f"isolation level {level!r}", self.dialect)
        assert self._pinned is None, "a transaction is open already"
        nowait = nowait and level == "immediate"
        # Pinned before it begins: a begin that was cancelled may have happened.
        self._pinned = await self._database.borrow(nowait=nowait)
        try:
            await self._run(lambda c: sqlite_transactions.begin(c, level, nowait=nowait))
        except SystemFault:  # it has not happened
            self._unpin()
            raise

    async def commit(self) -> None:
        await self._run(lambda c: c.execute("COMMIT"))
        self._unpin()

    async def rollback(self) -> None:
        if self._pinned is None:
            return
        try:
            with suppress(SystemFault):
                await self._run(lambda c: c.execute("ROLLBACK") if c.in_transaction else None)
        finally:
            self._unpin()

    def _refuse_inside(self, verb: str) -> None:
        if self._pinned is not None:
            raise outside_transactions(verb)

    def _unpin(self) -> None:
        if self._pinned is not None:
            self._database.give_back(self._pinned)
            self._pinned = None

    async def _run(self, work: Work[T]) -> T:
        if self._pinned is None:
            return await self._database.once(work)
        return await self._pinned.run(work, perf_counter_ns())

    async def _alone(self, work: Work[T]) -> T:
        """`work` as a transaction of its own, unless one is open."""
        if self._pinned is not None:
            return await self._run(lambda c: sqlite_transactions.whole(c, work))
        timings = CURRENT.get()
        return await self._run(lambda c: sqlite_transactions.alone(c, work, timings))
