"""From a long table, as it lies in a file, to a History: one row for each account of each record.

| column                       | holds                                                            |
|------------------------------|------------------------------------------------------------------|
| `record`                     | opening, call, log, balance or event; see below                  |
| `operation`                  | text; rows of one are one call, rows of none are one each        |
| `client`, `code`, `clock`    | text, empty where unknown                                        |
| `kind`                       | a Kind in small letters (of an event: a Step); null is change    |
| `account`                    | text (of an event: what was locked or put)                       |
| `amount`, `need`             | whole numbers; `amount` with its sign                            |
| `before`, `after`, `version` | whole numbers; `after` is what an opening or a balance holds     |
| `key`                        | text, the idempotency key                                        |
| `invoked`, `completed`       | ns; an event's moment stands in `invoked`                        |
| `outcome`                    | ok, refused or unknown; null is ok                               |

All but `account` may be missing, and all may be null. Without `record`, rows are calls where there
is a column `invoked` or `completed`, and an operation log where there is none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.errors import HistoryMalformed
from engine.histories.columns import FOREVER, MISSING, Events, History, Ints, Log
from engine.recording import Ended, Kind, Step

# Sums of a few of these stay clear of MISSING and FOREVER, and of 64 bits.
NUMBER_MAX = 2**61

RECORDS = ("opening", "call", "log", "balance", "event")
_OPENING, _CALL, _LOG, _BALANCE, _EVENT = range(len(RECORDS))
NUMBERS = ("amount", "need", "before", "after", "version", "invoked", "completed")
_MONEY = ("amount", "need", "before", "after", "version")

Columns = Mapping[str, Ints]


@dataclass(frozen=True, slots=True)
class Texts(Sequence[str]):
    """Texts that stay in Arrow's memory, and behind them names of what has none: "row 17"."""

    known: Any
    rows: Ints

    def __len__(self) -> int:
        return len(self.known) + len(self.rows)

    def __iter__(self) -> Iterator[str]:
        yield from self.known.to_pylist()
        yield from (f"row {row}" for row in self.rows.tolist())

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        at = range(len(self))[place]
        named = len(self.known)
        return str(self.known[at]) if at < named else f"row {self.rows[at - named]}"


def history_from_table(table: pa.Table, *, decimals: int = 2, complete: bool = False) -> History:
    """The history in `table`; `complete` and `decimals` as in History.

    The interval of a call that has several rows is the hull of theirs, and all else of it (but what
    it did to accounts) stands in its first row. HistoryMalformed names the row (from 1).
    """
    record = _records(table)
    events = table.filter(pa.array(record == _EVENT)) if (record == _EVENT).any() else None
    if events is not None:
        table, record = table.filter(pa.array(record != _EVENT)), record[record != _EVENT]
    columns, names = _columns(table)
    columns["operation"], operations = _operations(table)
    calls = _calls(_where(columns, record == _CALL), len(operations))
    calls["client"], clients = _used(calls["client"], names["client"])
    calls["clock"], clocks = _used(calls["clock"], names["clock"])
    logged = _where(columns, record == _LOG)
    accounts = len(names["account"])
    return History(
        **calls,
        **_balances(_where(columns, record == _OPENING), accounts, "opening"),
        **_balances(_where(columns, record == _BALANCE), accounts, "final"),
        operations=operations,
        clients=clients,
        accounts=names["account"],
        codes=names["code"],
        clocks=clocks or ("",),
        log=_log(logged) if len(logged["kind"]) else None,
        log_keys=logged["key"] if (logged["key"] >= 0).any() else None,
        events=None if events is None else _events(events, calls["operation"], operations),
        complete=complete,
        decimals=decimals,
    )


def _columns(table: pa.Table) -> tuple[dict[str, Ints], dict[str, Sequence[str]]]:
    """Everything but the operations as numbers, and the texts that some of them number."""
    columns = {name: _numbers(table, name) for name in NUMBERS}
    names: dict[str, Sequence[str]] = {}
    for name in ("client", "account", "clock"):
        columns[name], names[name] = _texts(table, name)
    columns["code"], names["code"] = _texts(table, "code", ("",))
    columns["key"], _ = _encoded(table, "key")
    columns["kind"] = _words(table, "kind", Kind, Kind.CHANGE)
    columns["outcome"] = _words(table, "outcome", Ended, Ended.OK)
    return columns, names


def _where(columns: Columns, rows: NDArray[np.bool_]) -> dict[str, Ints]:
    """These rows alone; where they lie together, as they do in our own files, without a copy."""
    (places,) = np.nonzero(rows)
    together = len(places) and places[-1] - places[0] == len(places) - 1
    kept = slice(places[0], places[-1] + 1) if together else places
    return {name: column[kept] for name, column in columns.items()}


def _records(table: pa.Table) -> Ints:
    absent = _CALL if {"invoked", "completed"} & set(table.column_names) else _LOG
    return _places(table, "record", RECORDS, absent)


def _numbers(table: pa.Table, name: str) -> Ints:
    """A column of whole numbers, MISSING where null."""
    if name not in table.column_names:
        return np.full(len(table), MISSING)
    found: Ints = pc.fill_null(pc.cast(table[name], pa.int64()), MISSING).to_numpy()
    far = (found < -NUMBER_MAX) | (found > NUMBER_MAX)
    far &= found != MISSING
    if far.any():
        row = int(far.argmax())
        raise HistoryMalformed(
            f"row {row + 1}: {name} {found[row]} is out of bounds", f"at most {NUMBER_MAX}"
        )
    return found


def _encoded(table: pa.Table, name: str) -> tuple[Ints, Any]:
    """A column's places in the texts that occur in it (-1 where null), and those texts."""
    if name not in table.column_names or not len(table):
        return np.full(len(table), -1), pa.array([], pa.string())
    column = table[name]
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    else:
        column = column.dictionary_encode()
    places = [pc.fill_null(chunk.indices, -1).to_numpy() for chunk in column.chunks]
    return np.concatenate(places).astype(np.int64), column.chunk(0).dictionary


def _texts(table: pa.Table, name: str, first: tuple[str, ...] = ()) -> tuple[Ints, tuple[str, ...]]:
    """Places in texts that begin with `first`; null, where it occurs, is the empty text."""
    places, known = _encoded(table, name)
    numbered = {text: place for place, text in enumerate(first)}
    to = [numbered.setdefault(text, len(numbered)) for text in known.to_pylist()]
    if (places < 0).any() or not numbered:
        to.append(numbered.setdefault("", len(numbered)))
    return np.array(to)[places], tuple(numbered)


def _used(places: Ints, names: Sequence[str]) -> tuple[Ints, tuple[str, ...]]:
    """The same without the names of which there is no place: of rows that are no calls."""
    used = np.flatnonzero(np.bincount(places, minlength=len(names)))
    to = np.zeros(len(names), np.int64)
    to[used] = np.arange(len(used))
    return to[places], tuple(names[place] for place in used.tolist())


def _operations(table: pa.Table) -> tuple[Ints, Texts]:
    """Places of the operations; each row of none is an operation of its own."""
    places, known = _encoded(table, "operation")
    (nameless,) = np.nonzero(places < 0)
    places[nameless] = len(known) + np.arange(len(nameless))
    return places, Texts(known, nameless + 1)


def _words(table: pa.Table, name: str, words: type[IntEnum], absent: int) -> Ints:
    return _places(table, name, tuple(word.name.lower() for word in words), absent)


def _places(table: pa.Table, name: str, known: tuple[str, ...], absent: int) -> Ints:
    """A column of words as their places in `known`, null as `absent`."""
    places, texts = _encoded(table, name)
    wrong = [place for place, text in enumerate(texts.to_pylist()) if text not in known]
    rows = np.isin(places, wrong)
    if rows.any():
        row = int(rows.argmax())
        text = texts[int(places[row])].as_py()
        raise HistoryMalformed(f"row {row + 1}: no {name} {text!r}", f"known: {', '.join(known)}")
    to = [known.index(text) if text in known else absent for text in texts.to_pylist()]
    return np.array([*to, absent])[places]


def _calls(rows: dict[str, Ints], operations: int) -> dict[str, Any]:
    """Per call and per entry, in order of invocation. `operations`: how many there may be."""
    order, first = _grouped(rows["operation"], operations)
    if order is not None:
        rows = {name: column[order] for name, column in rows.items()}
    invoked, completed = _intervals(rows, first)
    rows |= dict(zip(("amount", "before", "after", "need"), _filled(rows), strict=True))
    sooner = np.argsort(invoked, kind="stable")
    heads, sizes = first[:-1][sooner], np.diff(first)[sooner]
    starts = np.concatenate(([0], np.cumsum(sizes)))
    entries = np.repeat(heads - starts[:-1], sizes) + np.arange(starts[-1])
    per_call = ("operation", "client", "kind", "code", "key", "clock")
    return {
        **{name: rows[name][heads] for name in per_call},
        **{name: rows[name][entries] for name in ("account", *_MONEY)},
        "ended": rows["outcome"][heads],
        "invoked": invoked[sooner],
        "completed": completed[sooner],
        "first": starts,
    }


def _grouped(operation: Ints, operations: int) -> tuple[Ints | None, Ints]:
    """An order that brings each operation's rows together (None if they are), and their ends."""
    seen = np.zeros(operations, np.bool_)
    seen[operation] = True
    order = None
    begins = np.flatnonzero(np.diff(operation, prepend=-1))
    if len(begins) != np.count_nonzero(seen):
        order = np.argsort(operation, kind="stable")
        begins = np.flatnonzero(np.diff(operation[order], prepend=-1))
    return order, np.append(begins, len(operation))


def _intervals(rows: Columns, first: Ints) -> tuple[Ints, Ints]:
    invoked, completed, heads = rows["invoked"], rows["completed"], first[:-1]
    if not len(heads):
        return invoked, completed
    # No answer: it may happen at any time after it was invoked. Without either it has no interval.
    open_end = (completed == MISSING) & (invoked != MISSING) | (rows["outcome"] == Ended.UNKNOWN)
    ends = np.where(open_end, FOREVER, completed)
    return np.minimum.reduceat(invoked, heads), np.maximum.reduceat(ends, heads)


def _filled(rows: Columns) -> tuple[Ints, Ints, Ints, Ints]:
    """Amount, before, after, need: where one is missing that the others of a success imply."""
    amount, before, after, need = (rows[name] for name in ("amount", "before", "after", "need"))
    asks = (rows["kind"] == Kind.BALANCE) | (rows["kind"] == Kind.CHECK)
    amount = np.where(asks & (amount == MISSING), 0, amount)
    ok = rows["outcome"] == Ended.OK
    no_amount, no_before, no_after = (column == MISSING for column in (amount, before, after))
    return (
        amount := np.where(no_amount & ok & ~no_before & ~no_after, after - before, amount),
        np.where(no_before & ok & ~no_amount & ~no_after, after - amount, before),
        np.where(no_after & ok & ~no_amount & ~no_before, before + amount, after),
        np.where((need == MISSING) & (amount != MISSING), np.maximum(0, -amount), need),
    )


def _balances(rows: Columns, accounts: int, what: str) -> dict[str, Ints]:
    """Per account, what the rows of openings or balances say."""
    held, version = np.full(accounts, MISSING), np.full(accounts, MISSING)
    held[rows["account"]] = rows["after"]
    version[rows["account"]] = rows["version"]
    return {f"{what}s": held, f"{what}_versions": version}


def _log(rows: Columns) -> Log:
    amount, before, after, _ = _filled(rows)
    same = {name: rows[name] for name in ("operation", "account", "kind", "version")}
    return Log(amount=amount, before=before, after=after, **same)


def _events(table: pa.Table, operation: Ints, operations: Texts) -> Events:
    """The steps of calls that are there; others are left out."""
    place_of_call = np.full(len(operations) + 1, -1)
    place_of_call[operation] = np.arange(len(operation))
    asked = pc.cast(table["operation"], operations.known.type)
    found = pc.index_in(asked, value_set=operations.known)
    call = place_of_call[pc.fill_null(found, len(operations)).to_numpy()]
    step = _words(table, "kind", Step, -1)
    name, names = _texts(table, "account")
    at, kept = _numbers(table, "invoked"), (call >= 0) & (step >= 0)
    return Events(call[kept], step[kept], name[kept], at[kept], names)
