"""The store's verbs on one connection: one round trip each where one suffices."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg

from engine.errors import (
    Conflict,
    FenceLost,
    LockTaken,
    UnknownWallet,
    VersionChanged,
    WalletExists,
)
from engine.history import Entry, LogRow, Receipt
from engine.operations import Open, description_for, fingerprint
from engine.ports import Call, Change, Earlier, Row, RowLocking, Snapshot, applied
from engine.stores import postgres_sql as sql
from engine.stores.guards import guards
from engine.stores.postgres_wire import Wire

# A statement that was refused for a reason that has gone when one looks for it is sent again.
TRIES_MAX = 10


def earlier_of(found: Mapping[str, Any]) -> Earlier:
    """What an idempotency key stands for, from its row."""
    call_id, entries = json.loads(found["receipt"])
    return Earlier(
        Receipt(call_id, tuple(Entry(*entry) for entry in entries)), found["fingerprint"]
    )


async def read(
    connection: Wire, accounts: tuple[str, ...], key: str | None, lock: RowLocking = ""
) -> Snapshot:
    """Balances and an earlier receipt, in one snapshot; with `lock` as they are under the locks."""
    if lock:
        try:
            return await _read_locking(connection, accounts, key, lock)
        except asyncpg.LockNotAvailableError:
            if lock == "wait":
                raise
            what = f"another transaction has locked {' or '.join(accounts)}"
            raise LockTaken(what, "try again") from None
    if key is None:
        return await _read(connection, accounts, sql.READ_ONE, sql.READ)
    return _snapshot(await connection.rows(sql.READ_WITH_KEY, accounts, key))


async def _read(connection: Wire, accounts: tuple[str, ...], one: str, several: str) -> Snapshot:
    """The answer of the statement for so many accounts, which looks up no key."""
    if len(accounts) == 1:
        found = await connection.rows(one, accounts[0])
    else:
        found = await connection.rows(several, accounts)
    return Snapshot(_rows(found), None)


async def _read_locking(
    connection: Wire, accounts: tuple[str, ...], key: str | None, lock: RowLocking
) -> Snapshot:
    if key is None:
        one, several = sql.READ_LOCKING_ONE[lock], sql.READ_LOCKING[lock]
        return await _read(connection, accounts, one, several)
    found = await connection.rows(sql.READ_LOCKING_WITH_KEY[lock], accounts, key)
    seen = _snapshot(found)
    if seen.earlier is not None or not any(row["changed"] for row in found):
        return seen
    again = await connection.rows(sql.READ_KEY, key)
    return Snapshot(seen.rows, earlier_of(again[0]) if again else None)


def _rows(found: Iterable[Any]) -> dict[str, Row]:
    """From rows that begin with account, balance and version; null where there is no wallet."""
    return {row[0]: Row(row[1], row[2]) for row in found if row[0] is not None}


def _snapshot(found: list[Any]) -> Snapshot:
    earlier = None if found[0]["receipt"] is None else earlier_of(found[0])
    return Snapshot(_rows(found), earlier)


async def write(
    connection: Wire,
    call: Call,
    changes: tuple[Change, ...],
    if_version: bool,
    fence: Mapping[str, int],
    time_ms: int | None,
) -> Receipt:
    """Balances, log rows and key, in one statement; a second one asks why it was refused."""
    assert changes, "a write changes something"
    texts = [description_for(call.operation, change.account) for change in changes]
    statements, own = _absolute(changes, texts, if_version, fence)
    for _ in range(TRIES_MAX):
        entries = await _entries(connection, statements, call, time_ms, own)
        if entries:
            return Receipt(call.id, entries)
        seen = await read(connection, call.accounts, call.key)
        if seen.earlier is not None:
            return seen.earlier.answer(call)
        await _check_fence(connection, fence)
        _check_rows(changes, seen.rows, if_version)
    raise _never_still(call)


def _absolute(
    changes: tuple[Change, ...], texts: list[str], if_version: bool, fence: Mapping[str, int]
) -> tuple[dict[bool, str], tuple[Any, ...]]:
    """The statement for these changes, and its own parameters."""
    if len(changes) == 1 and changes[0].version and not fence:
        [(account, before, after, version)] = changes
        own = (account, texts[0], before, after, version if if_version else None)
        return sql.WRITE_ONE, own
    accounts, befores, afters, versions = zip(*changes, strict=True)
    leases = sorted(fence.items())
    keys, tokens = [key for key, _ in leases], [token for _, token in leases]
    return sql.WRITE, (accounts, texts, befores, afters, versions, if_version, keys, tokens)


async def _entries(
    connection: Wire,
    statements: dict[bool, str],
    call: Call,
    time_ms: int | None,
    own: tuple[Any, ...],
) -> tuple[Entry, ...]:
    """What the statement changed; nothing if it was refused."""
    key = () if call.key is None else (call.key, fingerprint(call.operation))
    try:
        found = await connection.rows(
            statements[bool(key)], call.id, call.operation.kind, time_ms, *own, *key
        )
    except asyncpg.UniqueViolationError:
        # Key or wallet came from elsewhere after the statement's snapshot was taken.
        if connection.is_in_transaction():
            raise
        return ()
    return tuple(sorted(Entry(*row) for row in found))


async def _check_fence(connection: Wire, fence: Mapping[str, int]) -> None:
    if not fence:
        return
    tokens = dict(await connection.rows(sql.TOKENS, list(fence)))
    for key, token in fence.items():
        if tokens.get(key) != token:
            raise FenceLost(f"the lease on {key!r} has passed to another owner", "try again")


def _check_rows(changes: tuple[Change, ...], rows: Mapping[str, Row], if_version: bool) -> None:
    for account, _, _, version in changes:
        row = rows.get(account)
        if version == 0 and row is not None:
            raise WalletExists(f"wallet {account!r} is there already", "use another name")
        if version and if_version and (row is None or row.version != version):
            raise VersionChanged(f"{account} is no longer at version {version}", "read it again")
        if version and row is None:
            raise UnknownWallet(f"wallet {account!r} went away", "create it first")


def _never_still(call: Call) -> Conflict:
    return Conflict(
        f"others changed {' and '.join(call.accounts)} in each of {TRIES_MAX} tries", "try again"
    )


async def guarded(connection: Wire, call: Call, time_ms: int | None) -> Receipt:
    """The call as guarded updates in one statement; raises what `apply` raises."""
    operation = call.operation
    if isinstance(operation, Open):
        opened = (Change(operation.account, 0, operation.opening, 0),)
        return await write(connection, call, opened, False, {}, time_ms)
    asked = [
        (account, description_for(operation, account), *guard)
        for account, *guard in guards(operation)
    ]
    single = len(asked) == 1
    own: tuple[Any, ...] = asked[0] if single else tuple(zip(*asked, strict=True))
    statements = sql.GUARDED_ONE if single else sql.GUARDED
    for _ in range(TRIES_MAX):
        entries = await _entries(connection, statements, call, time_ms, own)
        if entries:
            return Receipt(call.id, entries)
        seen = await read(connection, call.accounts, call.key)
        if seen.earlier is not None:
            return seen.earlier.answer(call)
        applied(operation, seen.rows)
    raise _never_still(call)


async def decide(connection: Wire, key: str, value: str) -> str:
    """The first value stands."""
    found = await connection.rows(sql.DECIDE, key, value)
    if not found:  # set by somebody else after this statement's snapshot
        found = await connection.rows(sql.DECISION, key)
    [(standing,)] = found
    return str(standing)


async def balances(connection: Wire) -> dict[str, Row]:
    """Every wallet."""
    return _rows(await connection.rows(sql.BALANCES))


async def books(connection: Wire) -> tuple[dict[str, Row], list[LogRow]]:
    """Every wallet and the whole log. Two snapshots of them could look like a broken ledger."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return await balances(connection), await log_rows(connection, None, 0, None)


async def log_rows(
    connection: Wire, account: str | None, after_version: int, limit: int | None
) -> list[LogRow]:
    """The operation log by account, then version."""
    found = await connection.rows(sql.LOG, account, after_version, limit)
    return [LogRow(*row) for row in found]
