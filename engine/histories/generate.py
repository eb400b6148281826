"""Histories from a seed, by the million: what a wallet that is right, or one that races, records.

Closed-loop clients ask one call after the other; each call takes effect at one hidden moment within
its interval, in whose order they are carried out one by one. So the history has a right order by
construction. With `racing`, some calls read earlier than they write, as without any lock.

>>> history = generate(Shape(calls=1000, clients=4, accounts=3), seed=7)
>>> history.calls, history.complete, history.log is not None
(1000, True, True)
>>> bool((hide(history, Known.VALUES).version == MISSING).all())
True
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from engine.histories.columns import FOREVER, INSUFFICIENT, MISSING, History, Ints, Log
from engine.histories.drawing import (
    OPENING_VERSION,
    QUESTIONS,
    Requests,
    Shape,
    Times,
    drawn_order,
    drawn_requests,
    drawn_times,
)
from engine.recording import Ended, Kind


class Known(Enum):
    """What a history tells of each call that ended: the columns that layers of judges need."""

    VERSIONS = "before, after and version of every account, and the log"
    VALUES = "before and after, no versions"
    ANSWERS = "what was asked, ok or insufficient, and what questions were answered"


def generate(shape: Shape, *, seed: int) -> History:
    """A history with everything that can be recorded: versions, final balances and the log."""
    rng = np.random.default_rng(seed)
    times = drawn_times(shape, rng)
    asked = drawn_requests(shape, rng)
    order = drawn_order(shape, times, asked, rng)
    return _history(shape, times, asked, order.unknown, _carried_out(shape, asked, order.steps))


def hide(history: History, known: Known) -> History:
    """What remains of `history` where less was recorded. Balances in the end stay known."""
    if known is Known.VERSIONS:
        return history
    missing = np.full(history.entries, MISSING)
    none = np.full(len(history.accounts), MISSING)
    less = replace(history, version=missing, log=None, opening_versions=none, final_versions=none)
    if known is Known.VALUES:
        return less
    answered = (history.kind == Kind.BALANCE)[history.call_of_entry()]
    before, after = (np.where(answered, column, MISSING) for column in (less.before, less.after))
    return replace(less, before=before, after=after)


class _Done(NamedTuple):
    """What calls found and left, per entry; which were refused; entries as they were logged."""

    before: list[int]
    after: list[int]
    version: list[int]
    refused: list[bool]
    logged: list[int]
    balances: list[int]
    versions: list[int]


def _carried_out(shape: Shape, asked: Requests, steps: Sequence[int]) -> _Done:
    """Every call in turn, as a store would: the one part that cannot be done all at once."""
    entries, calls = len(asked.account), shape.calls
    account, amount, need, first = (
        column.tolist() for column in (asked.account, asked.amount, asked.need, asked.first)
    )
    changes = (~np.isin(asked.kind, QUESTIONS)).tolist()
    before, after, version = ([MISSING] * entries for _ in range(3))
    refused = [False] * calls
    balances, versions = [shape.opening] * shape.accounts, [OPENING_VERSION] * shape.accounts
    logged: list[int] = []
    for step in steps:
        call = step % calls
        touched = range(first[call], first[call + 1])
        for entry in touched:
            # A call that has read before found what was there then, be it overwritten by now.
            if step >= calls or before[entry] == MISSING:
                before[entry] = after[entry] = balances[account[entry]]
                version[entry] = versions[account[entry]]
        if step >= calls:
            continue
        if any(before[entry] < need[entry] for entry in touched):
            refused[call] = True
        elif changes[call]:
            for entry in touched:
                place = account[entry]
                after[entry] = balances[place] = before[entry] + amount[entry]
                version[entry] = versions[place] = versions[place] + 1
            logged += touched
    return _Done(before, after, version, refused, logged, balances, versions)


def _history(
    shape: Shape, times: Times, asked: Requests, unknown: NDArray[np.bool_], done: _Done
) -> History:
    invoked, completed = _clock(shape, times)
    ended = np.where(done.refused, Ended.REFUSED, Ended.OK)
    ended[unknown] = Ended.UNKNOWN
    unseen = np.repeat(unknown, np.diff(asked.first))
    found = {
        name: np.array(getattr(done, name), np.int64) for name in ("before", "after", "version")
    }
    opening = np.full(shape.accounts, shape.opening)
    return History(
        operation=np.arange(shape.calls),
        client=times.client,
        ended=ended,
        code=(ended == Ended.REFUSED).astype(np.int64),
        key=np.full(shape.calls, -1),
        invoked=invoked,
        completed=np.where(unknown, FOREVER, completed),
        clock=np.zeros(shape.calls, np.int64),
        **asked._asdict(),
        before=np.where(unseen, MISSING, found["before"]),
        after=np.where(unseen, MISSING, found["after"]),
        version=np.where(unseen, MISSING, found["version"]),
        operations=Numbered("op", shape.calls + shape.accounts),
        clients=Numbered("client", shape.clients),
        accounts=Numbered("account", shape.accounts),
        codes=("", INSUFFICIENT),
        openings=opening,
        opening_versions=np.full(shape.accounts, OPENING_VERSION),
        finals=np.array(done.balances, np.int64),
        final_versions=np.array(done.versions, np.int64),
        log=_log(asked, done.logged, found, opening),
        complete=True,
    )


def _clock(shape: Shape, times: Times) -> tuple[Ints, Ints]:
    """Beginnings and ends as whole numbers: the place of each moment among all of them."""
    moments = np.concatenate((times.invoked, times.completed))
    place = np.empty(len(moments), np.int64)
    place[np.argsort(moments, kind="stable")] = np.arange(len(moments))
    place //= shape.tick
    return place[: shape.calls], place[shape.calls :]


def _log(asked: Requests, logged: Sequence[int], found: Mapping[str, Ints], opening: Ints) -> Log:
    """The openings, then every change in the order in which it was written."""
    rows = np.array(logged, np.int64)
    call = np.repeat(np.arange(len(asked.kind)), np.diff(asked.first))[rows]
    accounts = np.arange(len(opening))

    def column(opened: Ints, changed: Ints) -> Ints:
        return np.concatenate((opened, changed))

    return Log(
        operation=column(len(asked.kind) + accounts, call),
        account=column(accounts, asked.account[rows]),
        kind=column(np.full(len(opening), Kind.OPEN), asked.kind[call]),
        amount=column(opening, asked.amount[rows]),
        before=column(np.zeros_like(opening), found["before"][rows]),
        after=column(opening, found["after"][rows]),
        version=column(np.full(len(opening), OPENING_VERSION), found["version"][rows]),
    )


class Numbered(Sequence[str]):
    """The texts `op-0`, `op-1`, … without a million of them in memory."""

    def __init__(self, what: str, count: int) -> None:
        self._what = what
        self._places = range(count)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return [f"{self._what}-{each}" for each in self._places[place]]
        return f"{self._what}-{self._places[place]}"

    def __iter__(self) -> Iterator[str]:
        return (f"{self._what}-{place}" for place in self._places)
