"""The model's database: SQLite's rules, in memory, one step at a time.

One writer at a time. A deferred transaction sees the snapshot of its first statement and is told
"busy" if it then writes while another one writes or has committed meanwhile. Statements outside a
transaction wait for the writer. Leases live in a table of their own.

`Database` is a value and the rules are functions from one to the next, so that a search can hash
it, keep it and go back to it; `MemoryDatabase` is the place where a single run keeps its own.
"""

from collections.abc import Mapping
from typing import Any

from engine.errors import (
    FenceLost,
    StoreBusy,
    StoreUnavailable,
    UnknownWallet,
    VersionChanged,
    WalletExists,
    WalletraceError,
)
from engine.explore.stage import Lane
from engine.explore.steps import Step
from engine.explore.tables import (
    Database,
    Lease,
    Rows,
    Tables,
    Transaction,
    dropped,
    lookup,
    opened,
    stored,
)
from engine.history import Entry, LogRow, Receipt
from engine.operations import fingerprint
from engine.ports import Call, Change, Earlier, Row, Snapshot, outside_transactions

_NO_TRANSACTION = "the database failed (cannot commit - no transaction is active)"


def can_go(db: Database, lane: str, step: Step) -> bool:
    """Whether the lane's step would not have to wait."""
    others_write = db.writer not in (None, lane)
    match step.kind:
        case "take":
            return not others_write and (lookup(db.leases, step.args[0]) or Lease()).free
        case "begin":
            return step.args[0] == "deferred" or db.writer is None
        case "write" | "give" | "decide":
            return not others_write or lookup(db.open, lane) is not None
    return True


def performed(db: Database, lane: str, step: Step) -> tuple[Database, Any]:
    """The database after the step, and its answer; an error is an answer too."""
    inside = lookup(db.open, lane) is not None
    match step.kind:
        case "read":
            return _read(db, lane, *step.args)
        case "write":
            return _write(db, lane, *step.args, **dict(step.options))
        case "take" | "give" | "decide" if inside:
            return db, outside_transactions(step.kind)
        case "take":
            return _take(db, lane, *step.args)
        case "give":
            return _give(db, *step.args), None
        case "decide":
            return _decide(db, *step.args)
        case "begin":
            return _begin(db, lane, *step.args), None
        case "commit" if not inside:  # its connection was lost meanwhile
            return db, StoreUnavailable(_NO_TRANSACTION, "check the file and its disk")
        case "commit":
            return _commit(db, lane), None
        case "rollback":
            return rolled_back(db, lane), None
    raise AssertionError(f"no database knows {step}")


def rolled_back(db: Database, lane: str) -> Database:
    """The lane's transaction, if there is one, never was."""
    writer = None if db.writer == lane else db.writer
    return db._replace(open=dropped(db.open, lane), writer=writer)


def expired(db: Database, lane: str) -> Database:
    """Time has passed the lane's leases by: whoever asks for one gets it."""
    leases = tuple(
        (key, lease._replace(expired=True) if lease.lane == lane and lease.owner else lease)
        for key, lease in db.leases
    )
    return db._replace(leases=leases)


def holds_lease(db: Database, lane: str) -> bool:
    """Whether the lane holds a lease that time could pass by."""
    return any(lease.lane == lane and not lease.free for _, lease in db.leases)


def buried(db: Database, lane: str) -> Database:
    """The lane is dead: its transaction is rolled back, its leases run out."""
    return expired(rolled_back(db, lane), lane)


def leaked(db: Database) -> list[str]:
    """What was never given back."""
    leases = [f"lease on {key}" for key, lease in db.leases if not lease.free]
    return leases + [f"transaction of {lane}" for lane, _ in db.open]


def _changed(db: Database) -> Database:
    """Somebody has committed: every open snapshot is out of date."""
    if not db.open:
        return db
    stale = tuple(
        (lane, transaction if transaction.view is None else transaction._replace(stale=True))
        for lane, transaction in db.open
    )
    return db._replace(open=stale)


def _seen(db: Database, lane: str) -> tuple[Database, Tables]:
    """What the lane sees; its transaction's snapshot is taken by its first statement."""
    transaction = lookup(db.open, lane)
    if transaction is None:
        return db, db.tables
    if transaction.view is None:
        transaction = Transaction(db.tables)
        db = db._replace(open=stored(db.open, lane, transaction))
    assert transaction.view is not None
    return db, transaction.view


def _read(
    db: Database, lane: str, accounts: tuple[str, ...], key: str | None
) -> tuple[Database, Any]:
    db, view = _seen(db, lane)
    rows = Rows((account, row) for account, row in view.rows if account in accounts)
    return db, Snapshot(rows, lookup(view.keys, key) if key is not None else None)


def _write(
    db: Database,
    lane: str,
    call: Call,
    changes: tuple[Change, ...],
    if_version: bool,
    fence: Mapping[str, int],
) -> tuple[Database, Any]:
    db, view = _seen(db, lane)
    transaction = lookup(db.open, lane)
    if transaction is not None:
        if db.writer not in (None, lane):
            return db, StoreBusy("another transaction is writing", "try again")
        if transaction.stale:
            return db, StoreBusy("the snapshot is out of date", "try again")
        db = db._replace(writer=lane)
    earlier = lookup(view.keys, call.key) if call.key is not None else None
    if earlier is not None:
        try:
            return db, earlier.answer(call)
        except WalletraceError as error:
            return db, error
    refusal = _refused(db, dict(view.rows), changes, if_version, fence)
    if refusal is not None:
        return db, refusal
    view, receipt = _applied(view, call, changes)
    if transaction is not None:
        return db._replace(open=stored(db.open, lane, Transaction(view))), receipt
    db = _changed(db)
    return Database(view, db.leases, db.decisions, db.open, db.writer), receipt


def _refused(
    db: Database,
    rows: Mapping[str, Row],
    changes: tuple[Change, ...],
    if_version: bool,
    fence: Mapping[str, int],
) -> WalletraceError | None:
    for key, token in fence.items():
        if (lookup(db.leases, key) or Lease()).token != token:
            return FenceLost(f"the lease on {key!r} has passed to another owner", "try again")
    for account, _, _, version in changes:
        row = rows.get(account)
        if version == 0 and row is not None:
            return WalletExists(f"wallet {account!r} is there already", "use another name")
        if version > 0 and row is None:
            return UnknownWallet(f"wallet {account!r} went away", "create it first")
        if if_version and row is not None and row.version != version:
            return VersionChanged(f"{account} is no longer at version {version}", "read again")
    return None


def _applied(view: Tables, call: Call, changes: tuple[Change, ...]) -> tuple[Tables, Receipt]:
    rows, gap, log = dict(view.rows), view.gap, list(view.log or ())
    entries = []
    for account, before, after, _ in changes:
        held = rows.get(account, Row(0, 0))
        gap = gap or held.balance != before
        version = held.version + 1
        rows[account] = Row(after, version)
        entries.append(Entry(account, before, after, version))
        if view.log is not None:
            kind = call.operation.kind
            log.append(
                LogRow(call.id, account, kind, after - before, before, after, version, "", 0)
            )
    receipt = Receipt(call.id, tuple(entries))
    keys = view.keys
    if call.key is not None:
        keys = stored(keys, call.key, Earlier(receipt, fingerprint(call.operation)))
    kept = None if view.log is None else tuple(log)
    return Tables(tuple(sorted(rows.items())), keys, gap, kept), receipt


def _take(db: Database, lane: str, key: str, owner: str) -> tuple[Database, Any]:
    token = (lookup(db.leases, key) or Lease()).token + 1
    taken = stored(db.leases, key, Lease(owner, lane, token))
    return _changed(db)._replace(leases=taken), token


def _give(db: Database, key: str, owner: str) -> Database:
    lease = lookup(db.leases, key)
    if lease is None or lease.owner != owner:
        return db
    given = stored(db.leases, key, Lease(token=lease.token))
    return _changed(db)._replace(leases=given)


def _decide(db: Database, key: str, value: str) -> tuple[Database, Any]:
    standing = lookup(db.decisions, key)
    if standing is not None:
        return db, standing
    return _changed(db)._replace(decisions=stored(db.decisions, key, value)), value


def _begin(db: Database, lane: str, level: str) -> Database:
    db = db._replace(open=stored(db.open, lane, Transaction()))
    if level == "immediate":
        db, _ = _seen(db._replace(writer=lane), lane)
    return db


def _commit(db: Database, lane: str) -> Database:
    transaction = lookup(db.open, lane)
    assert transaction is not None
    wrote = db.writer == lane
    db = rolled_back(db, lane)
    if wrote:
        assert transaction.view is not None
        return _changed(db)._replace(tables=transaction.view)
    return db


class MemoryDatabase:
    """The database of one run, with its whole operation log."""

    def __init__(self, openings: Mapping[str, int]) -> None:
        self.state = opened(openings, keep_log=True)

    @property
    def tables(self) -> Tables:
        return self.state.tables

    def ready(self, lane: Lane, step: Step) -> bool:
        return can_go(self.state, lane.name, step)

    def perform(self, lane: Lane, step: Step) -> Any:
        """Take the step; its answer, or the error it is answered with is raised."""
        self.state, answer = performed(self.state, lane.name, step)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def leaked(self) -> list[str]:
        return leaked(self.state)

    def bury(self, lane: Lane) -> None:
        """The lane's connection is gone: its transaction is rolled back, its leases run out."""
        self.state = buried(self.state, lane.name)

    def hang_up(self, lane: Lane) -> None:
        """The lane's connection is lost: its transaction is rolled back, its leases stay."""
        self.state = rolled_back(self.state, lane.name)

    def in_transaction(self, lane: Lane) -> bool:
        return lookup(self.state.open, lane.name) is not None

    def holds_lease(self, lane: Lane) -> bool:
        return holds_lease(self.state, lane.name)

    def expire(self, lane: Lane) -> None:
        """The clock has run past the lane's leases."""
        self.state = expired(self.state, lane.name)
