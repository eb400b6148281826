"""Four stories about money: two withdrawals of 80 from 100, bare and behind a perfect lock.

A lock that is taken inside the transaction can come too late: a REPEATABLE READ transaction takes
its snapshot when its first statement *starts*, so whoever waits for the lock has a snapshot from
before it was granted. An advisory lock stands for any lock here, also for a mutex in memory.
"""

from engine.isolation.scripts import Anomaly, Ended, Script, Session, Statement
from engine.isolation.statements import READ_ALL, withdraw

LOCK = Statement("lock", "SELECT pg_advisory_xact_lock(80)")
# Of the session, not of the transaction: it is given back when the transaction has ended.
LOCK_BEFORE_BEGIN = Statement("lock", "SELECT pg_advisory_lock(80)", outside=True)


def overdrawn(ended: Ended) -> bool:
    return sum(ended.final.values()) < 0


def _withdrawals(
    name: str, title: str, *, lock: tuple[Statement, ...], rows: tuple[int, int]
) -> Anomaly:
    """Each session reads what there is, all in all, and takes 80 from its row if that covers it."""
    first, second = rows
    opening = tuple((key, 100 // len(set(rows))) for key in sorted(set(rows)))
    sessions = (
        Session("T1", (*lock, READ_ALL, withdraw(first))),
        Session("T2", (*lock, READ_ALL, withdraw(second))),
    )
    meaning = "both read 100 and took 80: 60 too much"
    return Anomaly(name, title, (Script(name, sessions, overdrawn, meaning, None, opening),))


MONEY = (
    _withdrawals("withdrawals", "two of 80 from 100", lock=(), rows=(1, 1)),
    _withdrawals("lock-one-row", "snapshot, then lock", lock=(LOCK,), rows=(1, 1)),
    # No row is written twice, so below SERIALIZABLE the database has nothing to object to.
    _withdrawals("lock-two-rows", "snapshot, then lock", lock=(LOCK,), rows=(1, 2)),
    _withdrawals("lock-first", "lock, then snapshot", lock=(LOCK_BEFORE_BEGIN,), rows=(1, 2)),
)
