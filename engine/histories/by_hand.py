"""Histories that people write, call by call: for tests and small tools.

>>> history = from_calls([
...     OneCall("a", "A", Kind.WITHDRAW, 0, 10, entries=(OneEntry("u", -500, 1000, 500, 2),)),
...     OneCall("b", "B", Kind.ADD, 5, 20, entries=(OneEntry("u", 300, 1000, 1300, 3),)),
... ], openings={"u": 1000})
>>> history.calls, history.after.tolist(), history.accounts
(2, [500, 1300], ('u',))
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from engine.histories.columns import FOREVER, MISSING, PER_CALL, PER_ENTRY, History, Ints, Log
from engine.recording import Ended, Kind


class OneEntry(NamedTuple):
    """One account of one call, for histories that are written by hand; see History."""

    account: str
    amount: int = 0
    before: int = MISSING
    after: int = MISSING
    version: int = MISSING
    need: int = MISSING


class OneCall(NamedTuple):
    """One call, for histories that are written by hand; `completed` None is never."""

    operation: str
    client: str
    kind: Kind
    invoked: int
    completed: int | None
    ended: Ended = Ended.OK
    code: str = ""
    key: str | None = None
    entries: tuple[OneEntry, ...] = ()
    clock: str = ""


class OneRow(NamedTuple):
    """One row of an operation log that is written by hand."""

    operation: str
    account: str
    kind: Kind
    amount: int
    before: int
    after: int
    version: int = MISSING


@dataclass(slots=True)
class _Numbers:
    """Texts numbered in the order in which they come."""

    places: dict[str, int] = field(default_factory=dict)

    def __call__(self, text: str) -> int:
        return self.places.setdefault(text, len(self.places))


def from_calls(
    calls: Iterable[OneCall],
    *,
    openings: Mapping[str, int],
    finals: Mapping[str, int] | None = None,
    log: Iterable[OneRow] | None = None,
    complete: bool = True,
    opening_version: int = 1,
) -> History:
    """A history written by hand: for tests and small tools. Amounts in cents.

    `need` is derived where it is MISSING: what the entry takes away.
    """
    rows = sorted(calls, key=lambda call: call.invoked)
    names = _Names()
    for account in openings:
        names.accounts(account)
    per_call = [names.of_call(call) for call in rows]
    per_entry = [names.of_entry(entry) for call in rows for entry in call.entries]
    logged = [
        (names.operations(row.operation), names.accounts(row.account), int(row.kind), *row[3:])
        for row in log or ()
    ]
    known = tuple(names.accounts.places)
    opened = dict.fromkeys(openings, opening_version)
    return History(
        **_columns(PER_CALL, per_call),
        **_columns(PER_ENTRY, per_entry),
        first=np.cumsum([0, *(len(call.entries) for call in rows)]),
        operations=tuple(names.operations.places),
        clients=tuple(names.clients.places),
        accounts=known,
        codes=tuple(names.codes.places),
        openings=_for_each(known, openings),
        opening_versions=_for_each(known, opened),
        finals=_for_each(known, finals or {}),
        final_versions=_for_each(known, {}),
        log=None if log is None else Log(**_columns(Log.__slots__, logged)),
        complete=complete,
        clocks=tuple(names.clocks.places) or ("",),
    )


@dataclass(slots=True)
class _Names:
    operations: _Numbers = field(default_factory=_Numbers)
    clients: _Numbers = field(default_factory=_Numbers)
    accounts: _Numbers = field(default_factory=_Numbers)
    codes: _Numbers = field(default_factory=lambda: _Numbers({"": 0}))
    keys: _Numbers = field(default_factory=_Numbers)
    clocks: _Numbers = field(default_factory=_Numbers)

    def of_call(self, call: OneCall) -> tuple[int, ...]:
        return (
            self.operations(call.operation),
            self.clients(call.client),
            int(call.kind),
            int(call.ended),
            self.codes(call.code),
            -1 if call.key is None else self.keys(call.key),
            call.invoked,
            FOREVER if call.completed is None else call.completed,
            self.clocks(call.clock),
        )

    def of_entry(self, entry: OneEntry) -> tuple[int, ...]:
        return (
            self.accounts(entry.account),
            entry.amount,
            max(0, -entry.amount) if entry.need == MISSING else entry.need,
            entry.before,
            entry.after,
            entry.version,
        )


def _for_each(names: Iterable[str], known: Mapping[str, int]) -> Ints:
    return np.array([known.get(name, MISSING) for name in names], np.int64)


def _columns(names: Iterable[str], rows: Sequence[tuple[int, ...]]) -> dict[str, Any]:
    names = tuple(names)
    table = np.array(rows, np.int64).reshape(-1, len(names))
    return {name: np.ascontiguousarray(table[:, place]) for place, name in enumerate(names)}
