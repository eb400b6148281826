"""What still holds of a judgement when rows of the history are missing.

A write that was cut off can explain a balance that nobody left, a version that nobody wrote and an
order that nobody finds. It explains neither a call that contradicts itself, nor what two calls did
to versions between which none is missing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.checks.verdict import Judgement, Violation
from engine.histories.columns import MISSING, History, Ints
from engine.recording import Ended, Kind
from engine.verdicts import Verdict

Mask = NDArray[np.bool_]

# How many accounts a call of each kind touches, where the kind tells.
WIDTHS = dict.fromkeys((Kind.BALANCE, Kind.CHECK, Kind.WITHDRAW, Kind.ADD, Kind.OPEN), 1)
WIDTHS[Kind.TRANSFER] = 2


def of_a_part(history: History, judgement: Judgement) -> Judgement:
    """The judgement of a history of which rows are missing: never clean, and broken only where
    no missing row can be the reason. What is set aside is counted in a note."""
    part = _Part(history, *_known_versions(history))
    kept = tuple(each for each in judgement.violations if _stands(part, each))
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


@dataclass(frozen=True, slots=True)
class _Part:
    """A history of which rows are missing.

    `whole`: of each account, whether no version is missing between those written or seen;
    `written`: the known writes, as (account, version) in columns.
    """

    history: History
    whole: Mask
    written: Ints


def _stands(part: _Part, violation: Violation) -> bool:
    stands = STANDS.get(violation.anomaly)
    return stands is not None and stands(part, violation)


def _by_itself(part: _Part, violation: Violation) -> bool:
    """Found in what one row says, or two of one key; unless it is that nothing was lacking."""
    refused = part.history.ended[list(violation.calls)] == Ended.REFUSED
    return (
        not refused.any()
        or violation.anomaly.startswith("forgotten key")
        or _in_whole_calls(part, violation)
    )


def _in_whole_calls(part: _Part, violation: Violation) -> bool:
    """No account of these calls is missing: another one may have lacked, or balanced, something."""
    history = part.history
    return all(
        int(history.first[call + 1] - history.first[call]) == WIDTHS.get(history.kind[call])
        for call in violation.calls
    )


def _with_both_sides(part: _Part, violation: Violation) -> bool:
    """A transfer that by itself does not come to nothing; not one that the log has by half."""
    answered = part.history.ended[list(violation.calls)] == Ended.OK
    known = len(answered) > 0 and bool(answered.all()) and violation.account < 0
    return known and _in_whole_calls(part, violation)


def _by_version(part: _Part, violation: Violation) -> bool:
    """Between calls, by the order that versions (or the rows of a log) force."""
    whole = part.whole
    return bool(whole.all() if violation.account < 0 else whole[violation.account])


def _of_a_known_write(part: _Part, violation: Violation) -> bool:
    """The last call saw a version whose write is there, and left something else."""
    history, account = part.history, violation.account
    if not violation.calls or account < 0:
        return False
    call = violation.calls[-1]
    entries = slice(int(history.first[call]), int(history.first[call + 1]))
    seen = history.version[entries][history.account[entries] == account]
    mine = part.written[1][part.written[0] == account]
    return bool(np.isin(seen, mine).any())


_Rule = Callable[[_Part, Violation], bool]

CYCLES = ("G0", "G1c", "G-single", "G-nonadjacent", "G2-item", "write skew")
# What judges say that may stand, and when. With EXPLAINED this is all that they say.
STANDS: Mapping[str, _Rule] = {
    "arithmetic": _by_itself,
    "overdraft": _by_itself,
    "wrong answer": _by_itself,
    "told otherwise": _by_itself,
    "forgotten key": _by_itself,
    "forgotten key-realtime": _by_itself,
    "wrong refusal": _in_whole_calls,
    "applied twice": _in_whole_calls,
    "torn transfer": _with_both_sides,
    "invented read": _of_a_known_write,
    "G1a": _of_a_known_write,
    "lost update": _by_version,
    "broken chain": _by_version,
    "stale read": _by_version,
    **dict.fromkeys(CYCLES, _by_version),
}
EXPLAINED = frozenset(
    {
        # by a write, by who asked for it, by its row in the log, or by a step in it;
        *("missing version", "wrong balance", "no order", "forgotten", "never asked"),
        *("boundary: unlock before commit", "boundary: snapshot before lock"),
        *("boundary: cache before commit", "boundary: release by a non-owner"),
        # by a first attempt, which began in time, or was granted.
        *("order violation", "early answer-realtime", "refused yet applied"),
        *(f"{cycle}-realtime" for cycle in CYCLES),
    }
)


def _known_versions(history: History) -> tuple[Mask, Ints]:
    """Of each account, whether no version is missing; and the known writes of all accounts."""
    log = history.log
    rows = np.repeat(history.ended == Ended.OK, np.diff(history.first))
    account, version = history.account[rows], history.version[rows]
    writes = ~np.isin(history.kind, (Kind.BALANCE, Kind.CHECK))[history.call_of_entry()[rows]]
    doubtful = np.zeros(len(history.accounts), np.bool_)
    doubtful[account[version == MISSING]] = True
    # Of attempts under one key the first, or the one that the log knows, may be missing.
    doubtful[account[(history.key >= 0)[history.call_of_entry()[rows]]]] = True
    if log is not None:
        if not history.calls and (log.version == MISSING).all():
            # The rows of a log by itself have an order without versions.
            return ~doubtful, np.empty((2, 0), np.int64)
        writes = np.concatenate((writes, np.ones(len(log), np.bool_)))
        account, version = np.append(account, log.account), np.append(version, log.version)
    known = version != MISSING
    pairs = np.unique(np.stack((account[known & writes], version[known & writes])), axis=1)
    told = np.bincount(pairs[0], minlength=len(doubtful))
    lowest, highest = np.full(len(told), 2**61), np.full(len(told), -1)
    np.minimum.at(lowest, pairs[0], pairs[1])
    np.maximum.at(highest, account[known], version[known])
    # What an account opened with says nothing of what was found behind missing versions.
    joined = (history.openings == MISSING) | (history.opening_versions == lowest - 1)
    whole = ~doubtful & joined & (told > 0) & (highest - lowest + 1 == told)
    touched = np.zeros(len(told), np.bool_)
    touched[history.account] = touched[account] = True
    return np.asarray(whole | ~touched), pairs
