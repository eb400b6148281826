"""The isolation levels, and the table of verdicts that is expected of them.

PostgreSQL's rows are what ept/hermitage found by hand, SQLite's and the money columns what was
measured with PostgreSQL 18 and SQLite 3.40. `walletrace isolation` marks every difference.
"""

from dataclasses import dataclass

from engine.isolation.anomalies import ANOMALIES
from engine.ports import Dialect

PREVENTED, POSSIBLE, NOT_ASKED = "✓", "—", "·"


@dataclass(frozen=True, slots=True)
class IsolationLevel:
    """`begin` opens a transaction; None: every statement is one. `journal`: SQLite's mode."""

    name: str
    begin: str | None
    journal: str = ""


LEVELS: dict[Dialect, tuple[IsolationLevel, ...]] = {
    "postgres": (
        IsolationLevel("read-committed", "BEGIN ISOLATION LEVEL READ COMMITTED"),
        IsolationLevel("repeatable-read", "BEGIN ISOLATION LEVEL REPEATABLE READ"),
        IsolationLevel("serializable", "BEGIN ISOLATION LEVEL SERIALIZABLE"),
    ),
    "sqlite": (
        IsolationLevel("autocommit", None, "WAL"),
        IsolationLevel("deferred", "BEGIN DEFERRED", "WAL"),
        IsolationLevel("deferred-journal", "BEGIN DEFERRED", "DELETE"),
        IsolationLevel("immediate", "BEGIN IMMEDIATE", "WAL"),
    ),
}

# G0, G1a, G1b, G1c, OTV, PMP, P4, G-single, G2-item, G2; then withdrawals, and with a lock: one
# row, two rows, lock first.
_TABLE = {
    "read-committed": "✓ ✓ ✓ ✓ ✓ — — — — —  — ✓ ✓ ✓",
    "repeatable-read": "✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ — —  ✓ ✓ — ✓",
    "serializable": "✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓  ✓ ✓ ✓ ✓",
    "autocommit": "· · · · · · · · · ·  — · · ·",
    "deferred": "✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓  ✓ · · ·",
    "deferred-journal": "✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓  ✓ · · ·",
    "immediate": "✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓  ✓ · · ·",
}
EXPECTED: dict[str, dict[str, str]] = {
    level: dict(zip(ANOMALIES, row.split(), strict=True)) for level, row in _TABLE.items()
}
