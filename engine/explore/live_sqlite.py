"""SQLite under the gate: its one write lock, looked at through a connection of our own."""

import sqlite3
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Self

from engine.explore.live import Books
from engine.explore.stage import Lane
from engine.explore.steps import Step
from engine.ports import Row, Store
from engine.stores import sqlite_statements
from engine.stores.sqlite import SqliteDatabase

# Inside a transaction these do not wait: "busy" is then an answer.
_WRITES = frozenset({"take", "write", "give", "decide", "guarded", "group"})


class SqliteLive:
    """A SQLite file and a probe, which is asked when somebody wants to know."""

    def __init__(self, database: SqliteDatabase, probe: sqlite3.Connection) -> None:
        self.database = database
        self._probe = probe
        self._lanes: Sequence[Lane] = ()
        self._writer: Lane | None = None

    @classmethod
    async def open(cls, path: Path, *, connections: int) -> Self:
        database = await SqliteDatabase.open(
            path,
            connections=connections,
            synchronous="OFF",
            busy_timeout_s=0.0,
            lease_s=3600.0,
            now_ms=lambda: 0,
        )
        return cls(database, sqlite3.connect(path, isolation_level=None, timeout=0.0))

    async def close(self) -> None:
        self._probe.close()
        await self.database.close()

    def session(self) -> Store:
        return self.database.session()

    async def reset(self, openings: Mapping[str, int]) -> None:
        await self.database.reset(openings)

    def ready(self, lane: Lane, step: Step) -> bool:
        if step.kind == "begin":
            waits = step.args[0] == "immediate" and not step.options
        else:
            waits = step.kind in _WRITES and not lane.in_transaction
        return not waits or self._unlocked(lane)

    def awaits(self, lane: Lane) -> str:
        step = lane.pending
        return "" if step is None or self.ready(lane, step) else "the write lock"

    def leases(self) -> Set[str]:
        held = self._probe.execute("SELECT key FROM leases WHERE owner IS NOT NULL")
        return {key for (key,) in held.fetchall()}

    async def locks(self, lane: Lane) -> tuple[str, ...]:
        return ("the write lock",) if lane is self._writer and lane.in_transaction else ()

    async def prepare(self, lane: Lane, session: Store | None, step: Step) -> None:
        pass

    async def moved(self, lane: Lane, step: Step, result: Any) -> None:
        locks = step.kind == "write" or step.args[:1] == ("immediate",)
        if locks and not isinstance(result, Exception):
            self._writer = lane

    async def fail(self, lane: Lane) -> None:
        pass  # who is told "busy" may try again in the same transaction

    async def hang_up(self, lane: Lane, sessions: Sequence[Store]) -> None:
        for session in sessions:
            await session.rollback()
        lane.in_transaction = False

    async def look(self, lanes: Sequence[Lane]) -> None:
        self._lanes = lanes

    async def run_out(self, key: str) -> None:
        self._probe.execute("UPDATE leases SET expires_ms = 0 WHERE key = ?", (key,))

    async def balances(self) -> Mapping[str, Row]:
        return sqlite_statements.balances(self._probe)

    async def books(self, lanes: Sequence[Lane]) -> Books:
        rows = sqlite_statements.balances(self._probe)
        return Books(rows, tuple(sqlite_statements.log_rows(self._probe, None, 0, None)))

    def _unlocked(self, lane: Lane) -> bool:
        """SQLite's write lock is free. Only another client's open transaction can hold it."""
        if not any(other.in_transaction for other in self._lanes if other is not lane):
            return True
        try:
            self._probe.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        self._probe.execute("ROLLBACK")
        return True
