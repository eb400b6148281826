"""The store's verbs on one sqlite3 connection: plain functions, run in the connection's thread.

Each verb is one such function, so each costs one hop between threads. `own` says whether the verb
is its own transaction. No cursor stays open, since an unread one would pin the snapshot.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence

from engine.errors import (
    FenceLost,
    UnknownWallet,
    VersionChanged,
    WalletExists,
)
from engine.history import Entry, LogRow, Receipt
from engine.operations import Open, description_for, fingerprint
from engine.ports import Call, Change, Earlier, Row, Snapshot, applied
from engine.stores.guards import guards

Connection = sqlite3.Connection


def earlier_receipt(connection: Connection, key: str | None) -> Earlier | None:
    """What the idempotency key already stands for."""
    if key is None:
        return None
    found = connection.execute(
        "SELECT fingerprint, receipt FROM idempotency_keys WHERE key = ?", (key,)
    ).fetchall()
    if not found:
        return None
    call_id, entries = json.loads(found[0][1])
    return Earlier(Receipt(call_id, tuple(Entry(*entry) for entry in entries)), found[0][0])


def read(connection: Connection, accounts: tuple[str, ...], key: str | None, own: bool) -> Snapshot:
    """Balances and an earlier receipt, in one snapshot."""
    if own and (key is not None or len(accounts) > 1):
        connection.execute("BEGIN DEFERRED")
        try:
            return Snapshot(_rows(connection, accounts), earlier_receipt(connection, key))
        finally:
            connection.execute("COMMIT")
    return Snapshot(_rows(connection, accounts), earlier_receipt(connection, key))


def _rows(connection: Connection, accounts: tuple[str, ...]) -> dict[str, Row]:
    rows = {}
    for account in accounts:
        found = connection.execute(
            "SELECT balance_cents, version FROM wallets WHERE account = ?", (account,)
        ).fetchall()
        if found:
            rows[account] = Row(*found[0])
    return rows


def write(
    connection: Connection,
    call: Call,
    changes: tuple[Change, ...],
    if_version: bool,
    fence: Mapping[str, int],
    time_ms: int,
) -> Receipt:
    """Balances, log rows and key, inside the open transaction."""
    earlier = earlier_receipt(connection, call.key)
    if earlier is not None:
        return earlier.answer(call)
    _check_fence(connection, fence)
    entries = tuple(_change(connection, change, if_version) for change in changes)
    return _recorded(connection, call, entries, time_ms)


def guarded(connection: Connection, call: Call, time_ms: int) -> Receipt:
    """The call as guarded updates, inside the open transaction; raises what `apply` raises."""
    earlier = earlier_receipt(connection, call.key)
    if earlier is not None:
        return earlier.answer(call)
    operation = call.operation
    if isinstance(operation, Open):
        opened = Change(operation.account, 0, operation.opening, 0)
        return _recorded(connection, call, (_change(connection, opened, False),), time_ms)
    entries: list[Entry] = []
    for account, delta, least, most in guards(operation):
        written = connection.execute(
            "UPDATE wallets SET balance_cents = balance_cents + ?, version = version + 1"
            " WHERE account = ? AND balance_cents BETWEEN ? AND ? RETURNING balance_cents, version",
            (delta, account, least, most),
        ).fetchall()
        if not written:
            # Nobody else can have changed these rows: what the guard refused, `apply` refuses.
            undone = {each.account: Row(each.before, each.version - 1) for each in entries}
            applied(operation, _rows(connection, call.accounts) | undone)
            raise AssertionError(f"the guard refused what {operation} allows")
        [(after, version)] = written
        entries.append(Entry(account, after - delta, after, version))
    return _recorded(connection, call, tuple(entries), time_ms)


def _recorded(
    connection: Connection, call: Call, entries: tuple[Entry, ...], time_ms: int
) -> Receipt:
    """The receipt of what was changed, after log rows and key."""
    record(connection, [(call, entries)], time_ms)
    return Receipt(call.id, entries)


def record(
    connection: Connection, changed: Sequence[tuple[Call, tuple[Entry, ...]]], time_ms: int
) -> None:
    """Log rows and keys of calls that have changed balances."""
    connection.executemany(
        "INSERT INTO operation_log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            LogRow(
                call.id,
                entry.account,
                call.operation.kind,
                entry.after - entry.before,
                entry.before,
                entry.after,
                entry.version,
                description_for(call.operation, entry.account),
                time_ms,
            )
            for call, entries in changed
            for entry in entries
        ],
    )
    keyed = [
        (call.key, fingerprint(call.operation), json.dumps((call.id, entries)))
        for call, entries in changed
        if call.key is not None
    ]
    if keyed:
        connection.executemany("INSERT INTO idempotency_keys VALUES (?, ?, ?)", keyed)


def _change(connection: Connection, change: Change, if_version: bool) -> Entry:
    account, before, after, version = change
    if version == 0:
        try:
            connection.execute("INSERT INTO wallets VALUES (?, ?, 1)", (account, after))
        except sqlite3.IntegrityError:
            raise WalletExists(f"wallet {account!r} is there already", "use another name") from None
        return Entry(account, before, after, 1)
    condition = " AND version = ?" if if_version else ""
    written = connection.execute(
        "UPDATE wallets SET balance_cents = ?, version = version + 1 WHERE account = ?"
        f"{condition} RETURNING version",
        (after, account, version) if if_version else (after, account),
    ).fetchall()
    if written:
        return Entry(account, before, after, written[0][0])
    if if_version:
        raise VersionChanged(f"{account} is no longer at version {version}", "read it again")
    raise UnknownWallet(f"wallet {account!r} went away", "create it first")


def _check_fence(connection: Connection, fence: Mapping[str, int]) -> None:
    for key, token in fence.items():
        found = connection.execute("SELECT token FROM leases WHERE key = ?", (key,)).fetchall()
        if found != [(token,)]:
            raise FenceLost(f"the lease on {key!r} has passed to another owner", "try again")


def take(connection: Connection, key: str, owner: str, now_ms: int, expires_ms: int) -> int | None:
    """The lease's fencing token, or None while another owner has it."""
    if not lease_is_free(connection, key, now_ms):
        return None  # a read only: waiters that ask again do not queue for the write lock
    taken = connection.execute(
        "INSERT INTO leases VALUES (?, ?, 1, ?) ON CONFLICT (key) DO UPDATE"
        " SET owner = excluded.owner, token = token + 1, expires_ms = excluded.expires_ms"
        " WHERE owner IS NULL OR leases.expires_ms <= ? RETURNING token",
        (key, owner, expires_ms, now_ms),
    ).fetchall()
    return int(taken[0][0]) if taken else None


def lease_is_free(connection: Connection, key: str, now_ms: int) -> bool:
    """Nobody holds the lease, or its holder has outlived it."""
    held = connection.execute(
        "SELECT 1 FROM leases WHERE key = ? AND owner IS NOT NULL AND expires_ms > ?",
        (key, now_ms),
    ).fetchall()
    return not held


def give(connection: Connection, key: str, owner: str) -> None:
    """Give the lease back, if `owner` has it. The row stays: its token must only ever rise."""
    connection.execute("UPDATE leases SET owner = NULL WHERE key = ? AND owner = ?", (key, owner))


def decide(connection: Connection, key: str, value: str) -> str:
    """The first value stands."""
    connection.execute("INSERT INTO decisions VALUES (?, ?) ON CONFLICT DO NOTHING", (key, value))
    (standing,) = connection.execute("SELECT value FROM decisions WHERE key = ?", (key,)).fetchall()
    return str(standing[0])


def balances(connection: Connection) -> dict[str, Row]:
    """Every wallet."""
    found = connection.execute("SELECT account, balance_cents, version FROM wallets").fetchall()
    return {account: Row(balance, version) for account, balance, version in found}


def books(connection: Connection) -> tuple[dict[str, Row], list[LogRow]]:
    """Every wallet and the whole log. Two snapshots of them could look like a broken ledger."""
    connection.execute("BEGIN DEFERRED")
    try:
        return balances(connection), log_rows(connection, None, 0, None)
    finally:
        connection.execute("COMMIT")


def log_rows(
    connection: Connection, account: str | None, after_version: int, limit: int | None
) -> list[LogRow]:
    """The operation log by account, then version."""
    where = "version > ?" if account is None else "version > ? AND account = ?"
    found = connection.execute(
        f"SELECT * FROM operation_log WHERE {where} ORDER BY account, version LIMIT ?",
        (
            after_version,
            *(() if account is None else (account,)),
            -1 if limit is None else limit,
        ),
    ).fetchall()
    return [LogRow(*row) for row in found]
