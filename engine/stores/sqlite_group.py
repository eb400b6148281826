"""Several calls in one SQLite transaction: rows are read once, and written once.

With the write lock held nothing changes meanwhile, so the calls are applied to the rows in memory,
one after the other. What a hot account costs is then one update for all of them.
"""

import json
import sqlite3

from engine.errors import BusinessError, WalletraceError
from engine.history import Entry, Receipt
from engine.operations import fingerprint
from engine.ports import Call, Earlier, Row, applied
from engine.stores.sqlite_statements import earlier_receipt, record

_NO_ROW = Row(0, 0)


def group(
    connection: sqlite3.Connection, calls: tuple[Call, ...], time_ms: int
) -> tuple[Receipt | WalletraceError, ...]:
    """The answer to each call, inside the open transaction; one that is refused changes nothing."""
    rows = _rows(connection, {account for call in calls for account in call.accounts})
    answers: list[Receipt | WalletraceError] = []
    changed: list[tuple[Call, tuple[Entry, ...]]] = []
    keys: dict[str, Earlier] = {}  # those of this very group
    for call in calls:
        try:
            earlier = call.key and (keys.get(call.key) or earlier_receipt(connection, call.key))
            if earlier:
                answers.append(earlier.answer(call))
                continue
            entries = _applied(call, rows)
        except BusinessError as refused:
            answers.append(refused)
            continue
        changed.append((call, entries))
        answers.append(receipt := Receipt(call.id, entries))
        if call.key is not None:
            keys[call.key] = Earlier(receipt, fingerprint(call.operation))
    touched = {entry.account for _, entries in changed for entry in entries}
    connection.executemany(
        "INSERT INTO wallets VALUES (?, ?, ?) ON CONFLICT (account) DO UPDATE"
        " SET balance_cents = excluded.balance_cents, version = excluded.version",
        [(account, *rows[account]) for account in touched],
    )
    record(connection, changed, time_ms)
    return tuple(answers)


def _rows(connection: sqlite3.Connection, accounts: set[str]) -> dict[str, Row]:
    found = connection.execute(
        "SELECT account, balance_cents, version FROM wallets"
        " WHERE account IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(accounts)),),
    ).fetchall()
    return {account: Row(balance, version) for account, balance, version in found}


def _applied(call: Call, rows: dict[str, Row]) -> tuple[Entry, ...]:
    """What the call does to `rows`, which it changes; raises what `apply` raises."""
    held = {account: rows[account] for account in call.accounts if account in rows}
    after = applied(call.operation, held)
    entries = []
    for account in sorted(after):
        before, version = rows.get(account, _NO_ROW)
        rows[account] = Row(after[account], version + 1)
        entries.append(Entry(account, before, after[account], version + 1))
    return tuple(entries)
