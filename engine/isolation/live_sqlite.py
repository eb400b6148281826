"""SQLite as a live database: a file for each journal mode, and busy timeout 0.

Nothing ever waits inside SQLite. BUSY is the answer inside a transaction, which is then rolled
back; BEGIN IMMEDIATE, where an application's busy timeout would wait, is asked again after each
step of the others, the longest waiting first.
"""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from engine.isolation.levels import IsolationLevel
from engine.isolation.live import SESSIONS_MAX
from engine.isolation.scripts import Answer, Opening, Parameters

BUSY = "SQLITE_BUSY"


class SqliteLive:
    """Databases in `folder`, which is the caller's to make and to remove."""

    database = f"SQLite {sqlite3.sqlite_version}"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._connections: dict[str, list[sqlite3.Connection]] = {}
        self._waiting: dict[int, tuple[str, Parameters]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in (one for each in self._connections.values() for one in each):
            connection.close()

    async def reset(self, level: IsolationLevel, opening: Opening) -> None:
        if level.journal not in self._connections:
            self._connections[level.journal] = self._connect(level.journal)
        self._level = level
        self._waiting.clear()
        *self._sessions, self._admin = self._connections[level.journal]
        for connection in self._sessions:
            _roll_back(connection)
        self._admin.execute("DELETE FROM test")
        self._admin.executemany("INSERT INTO test VALUES (?, ?)", opening)

    async def go(
        self, session: int, sql: str, parameters: Parameters, *, outside: bool
    ) -> Mapping[int, Answer]:
        assert not outside  # SQLite has no locks but its own
        self._waiting[session] = (sql, parameters)
        answers: dict[int, Answer] = {}
        for asking in [session, *(other for other in self._waiting if other != session)]:
            answer = self._attempt(self._sessions[asking], *self._waiting[asking])
            if answer is not None:
                answers[asking] = answer
                del self._waiting[asking]
        return answers

    async def final(self) -> dict[int, int]:
        return dict(self._admin.execute("SELECT id, value FROM test").fetchall())

    def _connect(self, journal: str) -> list[sqlite3.Connection]:
        path = self._folder / f"{journal.lower()}.db"
        made = [
            sqlite3.connect(path, isolation_level=None, timeout=0.0)
            for _ in range(SESSIONS_MAX + 1)
        ]
        made[0].execute(f"PRAGMA journal_mode = {journal}")
        made[0].execute("CREATE TABLE test (id INTEGER PRIMARY KEY, value INTEGER NOT NULL)")
        for connection in made:
            connection.execute("PRAGMA synchronous = OFF")
        return made

    def _attempt(
        self, connection: sqlite3.Connection, sql: str, parameters: Parameters
    ) -> Answer | None:
        """The answer; None where BEGIN would wait."""
        if self._level.begin is not None and not connection.in_transaction:
            try:
                connection.execute(self._level.begin)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != BUSY:
                    raise
                return None
        try:
            # SQLite names a parameter $1 too; sqlite3 then wants them by name.
            named = {str(number): value for number, value in enumerate(parameters, start=1)}
            cursor = connection.execute(sql, named)
            rows = tuple(cursor.fetchall()) if cursor.description else None
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith(BUSY):
                raise
            _roll_back(connection)
            return Answer(error=error.sqlite_errorname.removeprefix("SQLITE_"))
        return Answer(rows, cursor.rowcount if cursor.rowcount >= 0 else None)


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
