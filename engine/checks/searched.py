"""A settled history for layers that search for an order: what is undecided may still happen."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.checks.settle import Settled
from engine.histories.columns import FOREVER, PER_CALL, PER_ENTRY, History, Ints
from engine.recording import Ended


def for_search(settled: Settled) -> tuple[History, Ints]:
    """Calls to be ordered, by invocation, and for each its place in the history asked about.

    Undecided calls are unknown and never answered; keys are settled, and gone.
    """
    asked, history, calls = settled.source, settled.history, settled.calls
    ended = history.ended
    if len(settled.undecided):
        mask = np.zeros(asked.calls, np.bool_)
        mask[settled.undecided] = True
        open_ended = asked.keep(mask)
        history, calls = _joined(history, open_ended), np.append(calls, settled.undecided)
        ended = np.append(ended, np.full(open_ended.calls, int(Ended.UNKNOWN)))
    # What the log knows has happened, whether it was answered or not.
    ended = np.where((ended == Ended.UNKNOWN) & _settled(settled, len(ended)), 0, ended)
    completed = np.where(ended == Ended.UNKNOWN, FOREVER, history.completed)
    history = replace(
        history, ended=ended, completed=completed, key=np.full(history.calls, -1), events=None
    )
    order = np.argsort(history.invoked, kind="stable")
    if (order[1:] > order[:-1]).all():
        return history, calls
    return _ordered(history, order), calls[order]


def _settled(settled: Settled, calls: int) -> NDArray[np.bool_]:
    return np.arange(calls) < settled.history.calls


def _joined(history: History, more: History) -> History:
    columns: dict[str, Any] = {
        name: np.concatenate((getattr(history, name), getattr(more, name)))
        for name in (*PER_CALL, *PER_ENTRY)
    }
    first = np.concatenate((history.first, more.first[1:] + history.entries))
    return replace(history, first=first, **columns)


def _ordered(history: History, order: Ints) -> History:
    width = np.diff(history.first)[order]
    first = np.concatenate(([0], np.cumsum(width)))
    entries = np.repeat(history.first[order] - first[:-1], width) + np.arange(history.entries)
    columns: dict[str, Any] = {name: getattr(history, name)[order] for name in PER_CALL}
    columns |= {name: getattr(history, name)[entries] for name in PER_ENTRY}
    return replace(history, first=first, **columns)
