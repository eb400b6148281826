"""Calls and the rows of the operation log, matched by operation id and account."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.histories.columns import (
    FOREVER,
    MISSING,
    History,
    Ints,
    Log,
)
from engine.recording import Ended, Kind

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of the log that no entry of a call accounts for, and what is known of their calls.

    `row`: places in the log, in order of their operations, repeats last. `call`: the call asked
    about that has the row's operation id, -1 if there is none. `again`: another row tells the same
    already. `wrong`: there should be no such row.
    """

    row: Ints
    call: Ints
    again: Mask
    wrong: Mask


def match_rows(settled: History, asked: History, happened: Mask) -> tuple[Ints, Rows]:
    """For each entry of the calls that `happened` its row, -1 for none; and the rows left over."""
    row = np.full(settled.entries, -1)
    log = asked.log
    if log is None:
        nothing = np.empty(0, np.int64)
        return row, Rows(nothing, nothing, nothing.astype(np.bool_), nothing.astype(np.bool_))
    calls = np.flatnonzero(happened)
    call_of = np.full(len(asked.operations), -1)
    call_of[settled.operation[calls]] = calls
    entry = _entries_of(settled, call_of[log.operation], log.account)
    found = np.flatnonzero(entry >= 0)
    # Backwards, so that of several rows for one entry the first one stands.
    row[entry[found[::-1]]] = found[::-1]
    again = np.zeros(len(log), np.bool_)
    again[found] = row[entry[found]] != found
    left = np.flatnonzero(((entry < 0) | again) & ~_before_the_history(asked))
    again[left] |= _repeats(log, left)
    left = left[np.lexsort((log.operation[left], again[left]))]
    asked_of = np.full(len(asked.operations), -1)
    changes = np.flatnonzero(asked.kind > Kind.CHECK)
    asked_of[asked.operation[changes]] = changes
    called = asked_of[log.operation[left]]
    return row, Rows(left, called, again[left], again[left] | _unasked(asked, left, called))


def _unasked(asked: History, rows: Ints, called: Ints) -> Mask:
    """Which rows nobody asked for: of no known call, of a refused one, or of another account."""
    log = asked.log
    assert log is not None
    known = called >= 0
    # Where the calls, or the log, are only a part of what happened, others may have asked.
    everything = asked.complete and asked.calls > 0
    strange = ~known & (log.kind[rows] != Kind.OPEN) & everything
    refused = known & (np.append(asked.ended, 0)[called] == Ended.REFUSED)
    # A call that was never answered and names no account is told of by its rows, as it should be.
    elsewhere = known & (np.append(np.diff(asked.first), 0)[called] > 0)
    return np.asarray(strange | refused | elsewhere)


def _entries_of(history: History, call: Ints, account: Ints) -> Ints:
    """The entry of each call on each account, -1 where there is none (or the call is -1)."""
    entry = np.full(len(call), -1)
    pending = np.flatnonzero(call >= 0)
    width = np.diff(history.first)
    for place in range(int(width.max(initial=0))):
        pending = pending[width[call[pending]] > place]
        candidate = history.first[call[pending]] + place
        hit = history.account[candidate] == account[pending]
        entry[pending[hit]] = candidate[hit]
        pending = pending[~hit]
    return entry


def _repeats(log: Log, rows: Ints) -> Mask:
    """Which of these rows tell again what their operation did to their account.

    An operation may change an account in several steps, like a withdrawal and its fee, each by
    another amount and from where the one before ended. Else it was applied more than once.
    """
    repeats = np.zeros(len(rows), np.bool_)
    pairs = log.operation[rows] * (int(log.account.max(initial=0)) + 1) + log.account[rows]
    several = in_several_places(pairs)
    pairs, rows = pairs[several], rows[several]
    amount, version = log.amount[rows], log.version[rows]
    order = np.lexsort((version, pairs))
    earlier, later = order[:-1], order[1:]
    step = version[later] == version[earlier] + 1
    step &= log.before[rows[later]] == log.after[rows[earlier]]
    repeats[several[later]] = (pairs[later] == pairs[earlier]) & ~step
    order = np.lexsort((version, amount, pairs))
    earlier, later = order[:-1], order[1:]
    same = (pairs[later] == pairs[earlier]) & (amount[later] == amount[earlier])
    repeats[several[later]] |= same
    return repeats


def in_several_places(values: Ints) -> Ints:
    """The places of values that occur more than once; quick where there are none."""
    ordered = np.sort(values)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.flatnonzero(np.isin(values, twice)) if len(twice) else twice


def _before_the_history(history: History) -> Mask:
    """The log's rows that lie behind the balances with which the history opens."""
    log = history.log
    assert log is not None
    opening, version = history.openings[log.account], history.opening_versions[log.account]
    opened = (log.kind == Kind.OPEN) & (log.version == MISSING)
    # Whoever knows the opening balance, but not its version, means the one that this row left.
    opened |= (log.kind == Kind.OPEN) & (version == MISSING) & (log.after == opening)
    known = (version != MISSING) & (log.version != MISSING) & (log.version <= version)
    return np.asarray((opening != MISSING) & (opened | known))


def append_rows(
    settled: History, asked: History, calls: Ints, row: Ints, strays: Rows
) -> tuple[History, Ints, Ints, Mask]:
    """Let the operations that only the log tells of join the history, at an unknown time.

    Each begins when its call was invoked, if there was one, and never ends. Also returns which of
    all calls should not have happened.
    """
    log = asked.log
    if log is None or not len(strays.row):
        return settled, calls, row, np.zeros(settled.calls, np.bool_)
    # A row that repeats another is an effect of its own.
    apart = np.cumsum(strays.again)
    group = log.operation[strays.row] + apart * (len(asked.operations) + 1)
    starts = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1])))
    lead, called = strays.row[starts], strays.call[starts]
    known = called >= 0
    per_call = {
        "operation": log.operation[lead],
        "client": np.where(known, asked.client[called], -1) if asked.calls else _all(lead, -1),
        "kind": log.kind[lead],
        "ended": _all(lead, 0),
        "code": _all(lead, 0),
        "key": _all(lead, -1) if asked.calls or asked.log_keys is None else asked.log_keys[lead],
        "invoked": np.where(known, asked.invoked[called], MISSING)
        if asked.calls
        else _all(lead, MISSING),
        "completed": _all(lead, FOREVER),
        "clock": np.where(known, asked.clock[called], 0) if asked.calls else _all(lead, 0),
    }
    amount = log.amount[strays.row]
    per_entry = {
        "account": log.account[strays.row],
        "amount": amount,
        "need": np.where(amount == MISSING, MISSING, np.maximum(0, -amount)),
        "before": log.before[strays.row],
        "after": log.after[strays.row],
        "version": log.version[strays.row],
    }
    ends = np.concatenate((starts[1:], [len(strays.row)])) + settled.entries
    joined: dict[str, Any] = {
        name: np.concatenate((getattr(settled, name), column))
        for name, column in (per_call | per_entry).items()
    }
    history = replace(settled, first=np.concatenate((settled.first, ends)), **joined)
    return (
        history,
        np.concatenate((calls, called)),
        np.concatenate((row, strays.row)),
        np.concatenate((np.zeros(settled.calls, np.bool_), strays.wrong[starts])),
    )


def _all(like: Ints, value: int) -> Ints:
    return np.full(len(like), value)
