"""The model's database: SQLite's rules, in memory, one step at a time.

One writer at a time. A deferred transaction sees the snapshot of its first statement and is told
"busy" if it then writes while another one writes or has committed meanwhile. Statements outside a
transaction wait for the writer. Leases live in a table of their own.

`Database` is a value and the rules are functions from one to the next, so that a search can hash
it, keep it and go back to it; `MemoryDatabase` is the place where a single run keeps its own.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from engine.errors import LockTaken, StoreBusy, StoreUnavailable, WalletraceError
from engine.explore.stage import Lane
from engine.explore.statements import grouped, guarded, written
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
from engine.ports import Call, Change, Snapshot, not_in_dialect, outside_transactions

T = TypeVar("T")

_NO_TRANSACTION = "the database failed (cannot commit - no transaction is active)"


def can_go(db: Database, lane: str, step: Step) -> bool:
    """Whether the lane's step would not have to wait."""
    others_write = db.writer not in (None, lane)
    match step.kind:
        case "take":
            return not others_write and (lookup(db.leases, step.args[0]) or Lease()).free
        case "begin":
            waits = step.args[0] == "immediate" and not step.options
            return not waits or db.writer is None
        case "write" | "give" | "decide" | "guarded" | "group":
            return not others_write or lookup(db.open, lane) is not None
    return True


def performed(db: Database, lane: str, step: Step) -> tuple[Database, Any]:
    """The database after the step, and its answer; an error is an answer too."""
    refusal = _out_of_place(db, lane, step)
    if refusal is not None:
        return db, refusal
    match step.kind:
        case "read":
            return _read(db, lane, *step.args)
        case "write":
            return _write(db, lane, *step.args, **dict(step.options))
        case "guarded":
            return _changed(db, *guarded(db.tables, *step.args))
        case "group":
            return _changed(db, *grouped(db.tables, *step.args))
        case "take":
            return _take(db, lane, *step.args)
        case "give":
            return _give(db, *step.args), None
        case "decide":
            return _decide(db, *step.args)
        case "begin":
            return _begin(db, lane, step.args[0])
        case "commit":
            return _commit(db, lane), None
        case "rollback":
            return rolled_back(db, lane), None
    raise AssertionError(f"no database knows {step}")


def _out_of_place(db: Database, lane: str, step: Step) -> WalletraceError | None:
    """What a step is answered that SQLite does not know, or not here."""
    inside = lookup(db.open, lane) is not None
    match step.kind:
        case "take" | "give" | "decide" | "guarded" | "group" if inside:
            return outside_transactions(step.kind)
        case "commit" if not inside:  # its connection was lost meanwhile
            return StoreUnavailable(_NO_TRANSACTION, "check the file and its disk")
        case "read" if step.options:
            return not_in_dialect("row locks", "sqlite")
        case "advisory":
            return not_in_dialect("advisory locks", "sqlite")
        case "begin" if step.args[0] not in ("deferred", "immediate"):
            return not_in_dialect(f"isolation level {step.args[0]!r}", "sqlite")
    return None


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


def _changed(db: Database, tables: Tables, answer: T) -> tuple[Database, T]:
    """Somebody has committed these tables, and is given that answer."""
    return (db if tables is db.tables else _outdated(db)._replace(tables=tables)), answer


def _outdated(db: Database) -> Database:
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
    wanted: tuple[Change, ...],
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
    after, answer = written(view, db.leases, call, wanted, if_version, fence)
    if transaction is None:
        return _changed(db, after, answer)
    return db._replace(open=stored(db.open, lane, Transaction(after))), answer


def _take(db: Database, lane: str, key: str, owner: str) -> tuple[Database, Any]:
    token = (lookup(db.leases, key) or Lease()).token + 1
    taken = stored(db.leases, key, Lease(owner, lane, token))
    return _outdated(db)._replace(leases=taken), token


def _give(db: Database, key: str, owner: str) -> Database:
    lease = lookup(db.leases, key)
    if lease is None or lease.owner != owner:
        return db
    given = stored(db.leases, key, Lease(token=lease.token))
    return _outdated(db)._replace(leases=given)


def _decide(db: Database, key: str, value: str) -> tuple[Database, Any]:
    standing = lookup(db.decisions, key)
    if standing is not None:
        return db, standing
    return _outdated(db)._replace(decisions=stored(db.decisions, key, value)), value


def _begin(db: Database, lane: str, level: str) -> tuple[Database, Any]:
    if level == "immediate" and db.writer is not None:
        return db, LockTaken("somebody else is writing", "try again")
    db = db._replace(open=stored(db.open, lane, Transaction()))
    if level == "immediate":
        db, _ = _seen(db._replace(writer=lane), lane)
    return db, None


def _commit(db: Database, lane: str) -> Database:
    transaction = lookup(db.open, lane)
    assert transaction is not None
    wrote = db.writer == lane
    db = rolled_back(db, lane)
    if wrote:
        assert transaction.view is not None
        return _outdated(db)._replace(tables=transaction.view)
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
