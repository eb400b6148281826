"""The tables of a walletrace SQLite file, and the refusal to touch any other file."""

import sqlite3
import time
from collections.abc import Mapping

from engine.errors import StoreUnavailable

APPLICATION_ID = 0x57544343  # "WTCC": names the file as ours
SCHEMA_VERSION = 1
# To whom else is just opening the new file SQLite answers "busy" at once, whatever the timeout.
WAL_TRIES_MAX = 200
WAL_PAUSE_S = 0.01

_TABLES = """
CREATE TABLE wallets (
    account TEXT PRIMARY KEY,
    balance_cents INTEGER NOT NULL CHECK (balance_cents >= 0),
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE operation_log (
    operation_id TEXT NOT NULL,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount_cents INTEGER NOT NULL,
    before_cents INTEGER NOT NULL,
    after_cents INTEGER NOT NULL,
    version INTEGER NOT NULL,
    description TEXT NOT NULL,
    time_ms INTEGER NOT NULL,
    PRIMARY KEY (account, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE idempotency_keys (
    key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    receipt TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE leases (
    key TEXT PRIMARY KEY,
    owner TEXT,
    token INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE decisions (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""


def prepare(connection: sqlite3.Connection, path: str, synchronous: str) -> None:
    """Create the tables in an empty file, accept ours, refuse any other with StoreUnavailable."""
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    if _is_ours(connection, path):
        return
    _use_wal(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _is_ours(connection, path):  # another process may have been quicker
            for statement in _TABLES.split(";")[:-1]:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled it back already
            connection.execute("ROLLBACK")
        raise


def _use_wal(connection: sqlite3.Connection) -> None:
    """Let readers go on beside the one writer; the file itself remembers it."""
    for tried in range(1, WAL_TRIES_MAX + 1):
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or tried == WAL_TRIES_MAX:
                raise
            time.sleep(WAL_PAUSE_S)


def _is_ours(connection: sqlite3.Connection, path: str) -> bool:
    # Tables first: who made them has marked the file in the same transaction, so that another
    # process's file is never seen half made, though nothing is locked between these questions.
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
        return False
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    if mark != APPLICATION_ID:
        raise StoreUnavailable(f"{path} holds somebody else's tables", "name a file of its own")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != SCHEMA_VERSION:
        raise StoreUnavailable(
            f"{path} has schema {version}, this walletrace knows {SCHEMA_VERSION}",
            "name another file",
        )
    return True


def reset(connection: sqlite3.Connection, openings: Mapping[str, int], time_ms: int) -> None:
    """Empty every table and open the wallets `openings` (account to cents), in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table in ("wallets", "operation_log", "idempotency_keys", "leases", "decisions"):
            connection.execute(f"DELETE FROM {table}")
        connection.executemany("INSERT INTO wallets VALUES (?, ?, 1)", openings.items())
        connection.executemany(
            "INSERT INTO operation_log VALUES ('opening', ?, 'open', ?, 0, ?, 1, '', ?)",
            ((account, cents, cents, time_ms) for account, cents in openings.items()),
        )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled it back already
            connection.execute("ROLLBACK")
        raise
