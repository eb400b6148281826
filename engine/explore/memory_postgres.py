"""The model's database under PostgreSQL's rules, in memory, one step at a time.

Under READ COMMITTED each statement sees what is committed by then, under REPEATABLE READ what was
when the transaction's first one came; either sees its transaction's own writes too. Rows that are
written or read with a lock are locked until the transaction ends, and so is what it inserts: a
wallet, an idempotency key. Who needs a lock that is held waits. Who would change or lock a row
that was committed after his snapshot fails (40001), and so does who waits in a ring (40P01): any
one of the ring, since on a server that is decided by whose deadlock_timeout runs out first. A
transaction that has failed holds nothing and answers nothing until it is rolled back.

Left out on purpose:
- SERIALIZABLE. Which transactions are undone follows from PostgreSQL's graph of conflicts, and a
  guess would be no proof: `NotModelled`.
- A statement is sent when all its locks are free. On a server one that waits holds those of its
  locks that were free, and its snapshot is older than what it waits for: it may meet a deadlock
  or a 40001 more, errors that a strategy has to bear anyway.
"""

from typing import Any, Literal, NamedTuple

from engine.errors import (
    DeadlockVictim,
    LockTaken,
    SerializationFailed,
    StoreUnavailable,
    SystemFault,
    Undone,
    UsageError,
    WalletraceError,
)
from engine.explore.leases import decided, expired, given, lease_on, taken
from engine.explore.locking import STATEMENTS, Statement, statement
from engine.explore.steps import Step
from engine.explore.tables import Database, Lease, Pairs, Tables, dropped, lookup, stored
from engine.ports import inside_transactions, not_in_dialect, outside_transactions

# Locks that a statement shares with others; only `take` and `give` wait for them.
_SHARED = "lease "


class NotModelled(UsageError):
    """The model does not know what the database would do, and does not guess."""


class Seen(NamedTuple):
    """What a statement looks at."""

    tables: Tables
    leases: Pairs[Lease]


class Transaction(NamedTuple):
    """An open transaction. `over` says why only a rollback is of use, once that is so.

    `wrote` is what it has changed so far, `locks` what it holds.
    """

    level: str = "read-committed"
    over: Literal["", "failed", "lost"] = ""
    snapshot: Seen | None = None
    wrote: Tables = Tables(())
    locks: frozenset[str] = frozenset()


def can_go(db: Database, lane: str, step: Step) -> bool:
    """Whether the lane's step would not have to wait. NotModelled."""
    if step.kind == "begin" and step.args[0] == "serializable":
        raise NotModelled(
            "the model does not know whom PostgreSQL undoes under SERIALIZABLE",
            "explore it on a live server, with --store postgres",
        )
    if step.kind == "take" and not lease_on(db, step.args[0]).free:
        return _refusal(db, lane, step) is not None
    return waits_for(db, lane, step) is None


def waits_for(db: Database, lane: str, step: Step) -> str | None:
    """The lane whose transaction holds the lock that the step would wait for; None if none does."""
    own: Transaction | None = lookup(db.open, lane)
    if len(db.open) == (own is not None) or _refusal(db, lane, step) is not None:
        return None
    match step.kind:
        case "take":
            return _holder(db, lane, f"lease {step.args[0]}")
        case "give":
            changes = given(db, *step.args) is not db
            return _holder(db, lane, f"lease {step.args[0]}") if changes else None
        case kind if kind in STATEMENTS and ("lock", "nowait") not in step.options:
            own = _started(db, own)
            met = _obstacle(db, lane, own, _stated(db, own, step))
            return met if isinstance(met, str) else None
    return None


def performed(db: Database, lane: str, step: Step) -> tuple[Database, Any]:
    """The database after the step, and its answer; an error is an answer too.

    A step that would have to wait is a deadlock's victim.
    """
    refusal = _refusal(db, lane, step)
    if refusal is not None:
        return db, refusal
    match step.kind:
        case "take":
            return taken(db, lane, *step.args)
        case "give":
            return given(db, *step.args), None
        case "decide":
            return decided(db, *step.args)
        case "begin":
            assert lookup(db.open, lane) is None, "a transaction is open already"
            return db._replace(open=stored(db.open, lane, Transaction(step.args[0]))), None
        case "commit":
            return _commit(db, lane)
        case "rollback":
            return rolled_back(db, lane), None
    return _perform(db, lane, step)


def _refusal(db: Database, lane: str, step: Step) -> WalletraceError | None:
    """What a step is answered without any lock: it is not in its place, or too late."""
    own: Transaction | None = lookup(db.open, lane)
    match step.kind:
        case "take" | "give" | "decide" | "guarded" | "group" if own is not None:
            return outside_transactions(step.kind)
        case "read" if own is None and step.options:
            return inside_transactions("a read that locks")
        case "advisory" | "commit" if own is None:
            return inside_transactions(step.kind)
        case "begin" if step.args[0] in ("deferred", "immediate"):
            return not_in_dialect(f"isolation level {step.args[0]!r}", "postgres")
        case "commit" if own is not None and own.over == "lost":
            return StoreUnavailable(_LOST, "try again")
        case kind if kind in STATEMENTS and own is not None and own.over:
            return Undone(_LOST, "try again") if own.over == "lost" else Undone(*_FAILED)
    return None


_LOST = "the connection to the database was lost (connection is closed)"
_FAILED = (
    "the database failed (current transaction is aborted, commands ignored until end of"
    " transaction block)",
    "check the server's log",
)


def rolled_back(db: Database, lane: str) -> Database:
    """The lane's transaction, if there is one, never was."""
    return db._replace(open=dropped(db.open, lane))


def failed(db: Database, lane: str) -> Database:
    """A statement was stopped: the lane's transaction, if there is one, is over."""
    own: Transaction | None = lookup(db.open, lane)
    if own is None or own.over:
        return db
    return db._replace(open=stored(db.open, lane, Transaction(own.level, "failed")))


def hung_up(db: Database, lane: str) -> Database:
    """The lane's connection is lost, and with it what its transaction, if there is one, did."""
    own: Transaction | None = lookup(db.open, lane)
    if own is None:
        return db
    return db._replace(open=stored(db.open, lane, Transaction(own.level, "lost")))


def buried(db: Database, lane: str) -> Database:
    """The lane is dead: its transaction is rolled back, its leases run out."""
    return expired(rolled_back(db, lane), lane)


def locks_of(db: Database, lane: str) -> tuple[str, ...]:
    """The locks that the lane's transaction holds, sorted."""
    own: Transaction | None = lookup(db.open, lane)
    return () if own is None else tuple(sorted(own.locks))


def _started(db: Database, own: Transaction | None) -> Transaction:
    """The transaction in which a statement runs, with its snapshot if it keeps one."""
    own = own or Transaction()
    if own.snapshot is None and own.level == "repeatable-read":
        return own._replace(snapshot=Seen(db.tables, db.leases))
    return own


def _stated(db: Database, own: Transaction, step: Step) -> Statement:
    tables, leases = own.snapshot or Seen(db.tables, db.leases)
    return statement(_over(tables, own.wrote), leases, step)


def _obstacle(
    db: Database, lane: str, own: Transaction, wanted: Statement
) -> str | SerializationFailed | None:
    """The first thing in the statement's way: a lane that holds a lock, or a newer row."""
    for thing in wanted.locks:
        if thing in own.locks:
            continue
        if own.snapshot is not None and _is_newer(db, own.snapshot, thing):
            return SerializationFailed(
                "no serial order explains the transaction"
                " (could not serialize access due to concurrent update)",
                "try again",
            )
        if not thing.startswith(_SHARED) and (holder := _holder(db, lane, thing)) is not None:
            return holder
    return None


def _holder(db: Database, lane: str, thing: str) -> str | None:
    """Another lane whose transaction has locked it."""
    return next((name for name, other in db.open if name != lane and thing in other.locks), None)


def _is_newer(db: Database, snapshot: Seen, thing: str) -> bool:
    """Whether what is committed there is not what the snapshot shows."""
    kind, _, name = thing.partition(" ")
    match kind:
        case "row":
            return lookup(db.tables.rows, name) != lookup(snapshot.tables.rows, name)
        case "key":
            return lookup(db.tables.keys, name) != lookup(snapshot.tables.keys, name)
        case "lease":
            now, then = lease_on(db, name), lookup(snapshot.leases, name) or Lease()
            return (now.owner, now.token) != (then.owner, then.token)
    return False


def _perform(db: Database, lane: str, step: Step) -> tuple[Database, Any]:
    alone = lookup(db.open, lane) is None
    own = _started(db, lookup(db.open, lane))
    wanted = _stated(db, own, step)
    met = _obstacle(db, lane, own, wanted)
    if met is not None:
        assert not alone, "a statement that commits on its own waits"
        return failed(db, lane), met if isinstance(met, SystemFault) else _not_granted(step)
    if alone:
        changed = wanted.after is not db.tables
        return db._replace(tables=wanted.after) if changed else db, wanted.answer
    seen = own.snapshot.tables if own.snapshot is not None else db.tables
    wrote, locks = _difference(seen, wanted.after), own.locks.union(wanted.locks)
    own = own._replace(wrote=wrote, locks=locks)
    return db._replace(open=stored(db.open, lane, own)), wanted.answer


def _not_granted(step: Step) -> SystemFault:
    if ("lock", "nowait") in step.options:
        what = f"another transaction has locked {' or '.join(step.args[0])}"
        return LockTaken(what, "try again")
    what = "the transaction was undone to end a deadlock (deadlock detected)"
    return DeadlockVictim(what, "try again")


def _commit(db: Database, lane: str) -> tuple[Database, Any]:
    own: Transaction | None = lookup(db.open, lane)
    assert own is not None
    db = rolled_back(db, lane)
    if own.over:
        return db, UsageError("commit after an error inside the transaction", "roll it back")
    wrote_nothing = not own.wrote.rows and not own.wrote.keys
    return db if wrote_nothing else db._replace(tables=_over(db.tables, own.wrote)), None


def _over(tables: Tables, wrote: Tables) -> Tables:
    """The tables with what a transaction wrote."""
    if not wrote.rows and not wrote.keys:
        return tables
    log = None if tables.log is None else tables.log + (wrote.log or ())
    rows, keys = (
        {**dict(tables.rows), **dict(wrote.rows)},
        {**dict(tables.keys), **dict(wrote.keys)},
    )
    gap = tables.gap or wrote.gap
    return Tables(tuple(sorted(rows.items())), tuple(sorted(keys.items())), gap, log)


def _difference(tables: Tables, after: Tables) -> Tables:
    """What a transaction wrote, if these are the tables without it and with it."""
    if after is tables:
        return Tables(())
    rows = tuple(pair for pair in after.rows if pair not in tables.rows)
    keys = tuple(pair for pair in after.keys if pair not in tables.keys)
    log = None if tables.log is None else (after.log or ())[len(tables.log) :]
    return Tables(rows, keys, after.gap, log)
