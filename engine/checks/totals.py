"""Money lost or made: what the accounts hold, beside what they should after all that happened."""

import numpy as np

from engine.checks.settle import Settled
from engine.checks.telling import made_or_lost, shown_account
from engine.checks.verdict import VIOLATIONS_MAX, Found, Violation, nothing_satisfied
from engine.histories.columns import MISSING, Ints
from engine.money import show
from engine.verdicts import Break


def lost_on(settled: Settled) -> Ints:
    """By how much each account holds less (positive) or more than it should, MISSING if unknown.

    Should: the opening and every amount that was granted, once. Hold: the balance in the end, or
    what the last version left.
    """
    history = settled.history
    writes = settled.writes
    granted = writes & ~settled.extra[history.call_of_entry()]
    account, amount = history.account[granted], history.amount[granted]
    due = history.openings.copy()
    np.add.at(due, account, amount)
    holds = _holds(settled)
    unknown = (history.openings == MISSING) | (holds == MISSING) | (settled.undecided_on > 0)
    unknown[account[amount == MISSING]] = True
    # Of an account that nobody wrote to and nobody read in the end, nothing can be missing.
    idle = np.bincount(history.account[writes], minlength=len(due)) == 0
    idle &= (history.finals == MISSING) & (settled.undecided_on == 0)
    return np.where(idle, 0, np.where(unknown, MISSING, due - holds))


def check_totals(settled: Settled) -> Found:
    """Each account must hold what it opened with and all that was granted, in whatever order."""
    lost = lost_on(settled)
    wrong, holds = np.flatnonzero((lost != 0) & (lost != MISSING)), _holds(settled)
    found = [
        _told(settled, int(at), int(holds[at]), int(lost[at])) for at in wrong[:VIOLATIONS_MAX]
    ]
    return nothing_satisfied(Found(found, len(wrong)))


def _told(settled: Settled, account: int, final: int, lost: int) -> Violation:
    history, digits = settled.history, settled.history.decimals
    return Violation(
        Break.MONEY,
        "wrong balance",
        f"{shown_account(history, account)}: should hold {show(final + lost, digits)} in the end,"
        f" but holds {show(final, digits)}" + made_or_lost(-lost, digits),
        (),
        account,
        -lost,
    )


def _holds(settled: Settled) -> Ints:
    history = settled.history
    holds = np.where(history.finals == MISSING, history.openings, history.finals)
    open_ended = np.flatnonzero(settled.writes & (history.finals == MISSING)[history.account])
    if not len(open_ended):
        return holds
    account, version = history.account[open_ended], history.version[open_ended]
    order = np.lexsort((version, account))
    last = order[np.append(np.diff(account[order]) != 0, True)]
    after = history.after[open_ended[last]]
    holds[account[last]] = after
    # Where one change has no version, nobody knows which was the last.
    holds[account[version == MISSING]] = MISSING
    return holds
