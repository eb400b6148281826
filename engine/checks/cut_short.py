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
    return RULES.get(violation.anomaly, _explained_by_a_row)(part, violation)


def _explained_by_a_row(part: _Part, violation: Violation) -> bool:
    return False


def _by_itself(part: _Part, violation: Violation) -> bool:
    """Found in what one row says, or two of one key; unless it is that nothing was lacking."""
    refused = part.history.ended[list(violation.calls)] == Ended.REFUSED
    return (
        not refused.any()
        or violation.anomaly.startswith("forgotten key")
        or (_in_whole_calls(part, violation))
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


def _by_version_and_time(part: _Part, violation: Violation) -> bool:
    """A first attempt under the same key may be missing, which began in time."""
    return _by_version(part, violation) and bool(
        (part.history.key[list(violation.calls)] < 0).all()
    )


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

# Everything that judges say, and when it stands.
RULES: Mapping[str, _Rule] = {
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
    "order violation": _by_version_and_time,
    **dict.fromkeys(
        ("G0", "G1c", "G-single", "G-nonadjacent", "G2-item", "write skew"), _by_version
    ),
    **dict.fromkeys(
        (
            *("G0-realtime", "G1c-realtime", "G-single-realtime", "G-nonadjacent-realtime"),
            *("G2-item-realtime", "write skew-realtime", "lost update-realtime"),
        ),
        _by_version_and_time,
    ),
    # A write, an attempt, a question for it, the log's row of it or a step of it may be missing.
    **dict.fromkeys(
        (
            *("missing version", "wrong balance", "no order", "forgotten", "never asked"),
            *("refused yet applied", "early answer-realtime"),
            *("boundary: unlock before commit", "boundary: snapshot before lock"),
            *("boundary: cache before commit", "boundary: release by a non-owner"),
        ),
        _explained_by_a_row,
    ),
}


def _known_versions(history: History) -> tuple[Mask, Ints]:
    """Of each account, whether no version is missing; and the known writes of all accounts."""
    log = history.log
    rows = np.repeat(history.ended == Ended.OK, np.diff(history.first))
    account, version = history.account[rows], history.version[rows]
    writes = ~np.isin(history.kind, (Kind.BALANCE, Kind.CHECK))[history.call_of_entry()[rows]]
    doubtful = np.zeros(len(history.accounts), np.bool_)
    doubtful[account[version == MISSING]] = True
    if log is not None:
        if not history.calls and (log.version == MISSING).all():
            # The rows of a log by itself have an order without versions.
            return ~doubtful, np.empty((2, 0), np.int64)
        # The attempt that the log knows of may be missing, beside another one under its key.
        doubtful[account[(history.key >= 0)[history.call_of_entry()[rows]]]] = True
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
    return np.asarray(whole), pairs
