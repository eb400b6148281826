"""The verdicts that scenarios expect of the built-in lock strategies.

A user's own strategy has no expectation: whatever is found is news.
"""

from engine.catalog import LOCK_STRATEGIES, NEGATIVE_CONTROLS
from engine.explore.faults import Faults
from engine.explore.scenario import Expected, Scenario
from engine.verdicts import Verdict

# Mutexes exclude within one service instance, and only there. All others that are built in, but
# `none`, leave it to the database, where all processes meet.
IN_MEMORY = ("global", "per-user", "per-user-unsorted")


def _known(lock: str) -> bool:
    return lock in LOCK_STRATEGIES | NEGATIVE_CONTROLS


def needs_exclusion(lock: str, topology: str) -> Verdict | None:
    """Two clients change the same wallet: safe where the strategy excludes them."""
    if not _known(lock):
        return None
    excludes = topology == "one-service" if lock in IN_MEMORY else lock != "none"
    return Verdict.SAFE if excludes else Verdict.BROKEN


def needs_one_order(lock: str, topology: str) -> Verdict | None:
    """As `needs_exclusion`, and locks must be taken in one order, or clients deadlock."""
    return Verdict.BROKEN if lock == "per-user-unsorted" else needs_exclusion(lock, topology)


def expected(scenario: Scenario, lock: str, topology: str, faults: Faults) -> Verdict | None:
    """The verdict declared for a cell under any faults.

    No fault excuses a strategy, and what breaks without a fault is among what can happen with one.
    So what a scenario declares holds for all of them, except where time passes by a lease: one
    without fencing protects no longer than it runs, and then it is no lock at all.
    """
    outlived = lock == "lease" and faults.expire
    return scenario.expected("none" if outlived else lock, topology)


def whatever_the_lock(verdict: Verdict) -> Expected:
    """Locks do not matter here."""
    return lambda lock, topology: verdict if _known(lock) else None


def needs_one_memory(lock: str, topology: str) -> Verdict | None:
    """Right where no second process keeps a cache of its own."""
    if not _known(lock):
        return None
    return Verdict.BROKEN if topology == "two-processes" else Verdict.SAFE
