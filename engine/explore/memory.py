"""The model's database: SQLite's rules, in memory, one step at a time.

One writer at a time. A deferred transaction sees the snapshot of its first statement and is told
"busy" if it then writes while another one writes or has committed meanwhile. Statements outside a
transaction wait for the writer. Leases live in a table of their own.

`Database` is a value and the rules are functions from one to the next, so that a search can hash
it, keep it and go back to it. PostgreSQL's are in `memory_postgres`.
"""

from typing import Any, TypeVar

from engine.errors import LockTaken, StoreBusy, StoreUnavailable, WalletraceError
from engine.explore.leases import decided, expired, given, lease_on, taken
from engine.explore.statements import grouped, guarded, looked_up, written
from engine.explore.steps import Step
from engine.explore.tables import (
    Database,
    Tables,
    Transaction,
    dropped,
    lookup,
    stored,
)
from engine.ports import not_in_dialect, outside_transactions

T = TypeVar("T")

# What commits at once, and waits for whoever writes; inside a transaction only `write` is in place.
_WRITES_ALONE = frozenset({"write", "take", "give", "decide", "guarded", "group"})
_NO_TRANSACTION = "the database failed (cannot commit - no transaction is active)"


def can_go(db: Database, lane: str, step: Step) -> bool:
    """Whether the lane's step would not have to wait."""
    if step.kind == "begin":
        waits = step.args[0] == "immediate" and not step.options
        return not waits or db.writer is None
    if step.kind not in _WRITES_ALONE:
        return True
    may_write = db.writer is None or db.writer == lane
    if step.kind == "take":
        return may_write and lease_on(db, step.args[0]).free
    return may_write or lookup(db.open, lane) is not None


def performed(db: Database, lane: str, step: Step) -> tuple[Database, Any]:
    """The database after the step, and its answer; an error is an answer too."""
    if step.kind != "write" and (refusal := _out_of_place(db, lane, step)) is not None:
        return db, refusal
    match step.kind:
        case "read":
            db, view = _seen(db, lane)
            return db, looked_up(view, *step.args)
        case "write":
            return _write(db, lane, step)
        case "guarded":
            return _changed(db, *guarded(db.tables, *step.args))
        case "group":
            return _changed(db, *grouped(db.tables, *step.args))
        case "take":
            after, token = taken(db, lane, *step.args)
            return _told(db, after), token
        case "give":
            return _told(db, given(db, *step.args)), None
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
    if step.kind == "read":
        return not_in_dialect("row locks", "sqlite") if step.options else None
    inside = lookup(db.open, lane) is not None
    if inside and step.kind in _WRITES_ALONE:
        return outside_transactions(step.kind)
    match step.kind:
        case "commit" if not inside:  # its connection was lost meanwhile
            return StoreUnavailable(_NO_TRANSACTION, "check the file and its disk")
        case "advisory":
            return not_in_dialect("advisory locks", "sqlite")
        case "begin" if step.args[0] not in ("deferred", "immediate"):
            return not_in_dialect(f"isolation level {step.args[0]!r}", "sqlite")
    return None


def rolled_back(db: Database, lane: str) -> Database:
    """The lane's transaction, if there is one, never was."""
    writer = None if db.writer == lane else db.writer
    return db._replace(open=dropped(db.open, lane), writer=writer)


def buried(db: Database, lane: str) -> Database:
    """The lane is dead: its transaction is rolled back, its leases run out."""
    return expired(rolled_back(db, lane), lane)


def locks_of(db: Database, lane: str) -> tuple[str, ...]:
    """The locks that the lane's transaction holds."""
    return ("the write lock",) if db.writer == lane else ()


def _changed(db: Database, tables: Tables, answer: T) -> tuple[Database, T]:
    """Somebody has committed these tables, and is given that answer."""
    if tables is db.tables:
        return db, answer
    _, leases, decisions, open_, writer = _outdated(db)
    return Database(tables, leases, decisions, open_, writer), answer


def _told(before: Database, after: Database) -> Database:
    """Somebody has committed a lease or a decision, unless nothing is changed."""
    return after if after is before else _outdated(after)


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


def _write(db: Database, lane: str, step: Step) -> tuple[Database, Any]:
    (call, wanted), ((_, if_version), (_, fence)) = step.args, step.options
    transaction = lookup(db.open, lane)
    if transaction is None:
        return _changed(db, *written(db.tables, db.leases, call, wanted, if_version, fence))
    if db.writer not in (None, lane):
        return db, StoreBusy("another transaction is writing", "try again")
    if transaction.stale:
        return db, StoreBusy("the snapshot is out of date", "try again")
    db, view = _seen(db._replace(writer=lane), lane)
    after, answer = written(view, db.leases, call, wanted, if_version, fence)
    return db._replace(open=stored(db.open, lane, Transaction(after))), answer


def _decide(db: Database, key: str, value: str) -> tuple[Database, str]:
    after, standing = decided(db, key, value)
    return _told(db, after), standing


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
