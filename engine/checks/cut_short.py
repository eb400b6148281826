"""What still holds of a judgement when rows of the history are missing.

A write that was cut off can explain a balance that nobody left, a version that nobody wrote and an
order that nobody finds. It explains neither a call that contradicts itself, nor what two calls did
to versions between which none is missing.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.checks.verdict import Judgement, Violation
from engine.histories.columns import MISSING, History
from engine.recording import Ended, Kind
from engine.verdicts import Verdict

# Found in one call, or in two with one key.
ALONE = frozenset({"arithmetic", "wrong refusal", "applied twice"})
# Found between calls, by the order that versions (or the rows of a log) force.
BY_VERSION = frozenset(
    name + ending
    for name in (
        *("lost update", "broken chain", "stale read", "order violation"),
        *("G0", "G1c", "G-single", "G-nonadjacent", "G2-item", "write skew"),
    )
    for ending in ("", "-realtime")
)


def of_a_part(history: History, judgement: Judgement) -> Judgement:
    """The judgement of a history of which rows are missing: never clean, and broken only where
    no missing row can be the reason. What is set aside is counted in a note."""
    whole = _whole_accounts(history)
    kept = tuple(each for each in judgement.violations if _stands(each, whole))
    aside = judgement.count - len(kept)
    note = f"missing rows may explain what else looks wrong ({aside:,} in all)"
    return replace(
        judgement,
        verdict=Verdict.BROKEN if kept else Verdict.UNKNOWN,
        level=None,
        violations=kept,
        count=len(kept),
        notes=(*judgement.notes, *([note] if aside else [])),
        lost=None,
        lost_on={},
    )


def _stands(violation: Violation, whole: NDArray[np.bool_]) -> bool:
    if violation.anomaly in ALONE:
        return True
    known = whole.all() if violation.account < 0 else whole[violation.account]
    return violation.anomaly in BY_VERSION and bool(known)


def _whole_accounts(history: History) -> NDArray[np.bool_]:
    """Of each account, whether no version is missing between those that were written or seen.

    The rows of an operation log have an order without versions; calls have none.
    """
    log = history.log
    rows = np.repeat(history.ended == Ended.OK, np.diff(history.first))
    account, version = history.account[rows], history.version[rows]
    asks = np.isin(history.kind, (Kind.BALANCE, Kind.CHECK))[history.call_of_entry()[rows]]
    told = np.zeros(len(history.accounts), np.int64)
    unversioned = np.zeros(len(history.accounts), np.bool_)
    unversioned[account[version == MISSING]] = True
    writes = ~asks
    if log is not None:
        writes = np.concatenate((writes, np.ones(len(log), np.bool_)))
        account, version = np.append(account, log.account), np.append(version, log.version)
    known = version != MISSING
    pairs = np.unique(np.stack((account[known & writes], version[known & writes]), axis=1), axis=0)
    np.add.at(told, pairs[:, 0], 1)
    lowest, highest = np.full(len(told), 2**61), np.full(len(told), -1)
    np.minimum.at(lowest, pairs[:, 0], pairs[:, 1])
    np.maximum.at(highest, account[known], version[known])
    return np.asarray(~unversioned & ((told == 0) | (highest - lowest + 1 == told)))
