"""Rows of somebody else's log in our own columns and words (see `table`), as a `mapping` says.

A part of a file is translated at a time, a column at a time. What cannot be read ends it: rows
behind a hole cannot be judged as if there were none.
"""

from collections.abc import Callable
from collections.abc import Mapping as Named
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.errors import HistoryMalformed, UsageError
from engine.histories.columns import MISSING, Ints
from engine.histories.foreign_values import Read, read_money, read_times, read_whole, rescaled
from engine.histories.mapping import COLUMNS, EXTRA, KINDS, MONEY, OTHERS, OUTCOMES, TIMES, Mapping
from engine.histories.table import RECORDS
from engine.recording import Ended, Step

_STEPS = tuple(step.name.lower() for step in Step)
_TEXTS = ("operation", "client", "account", "key", "clock", "code")
_NUMBERS = ("amount", "need", "before", "after", "version", *TIMES)
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows in our columns. `fault`: why the row behind them, `at` in the file's part, cannot be
    read."""

    table: pa.Table
    decimals: int
    fault: str = ""
    at: int = 0


class _Fault(NamedTuple):
    row: int
    column: str
    value: Any
    way_out: str


@dataclass(slots=True)
class _Reading:
    """Their rows on the way to ours, and the first of them that cannot be read, so far."""

    rows: pa.Table
    mapping: Mapping
    fault: _Fault | None = None
    texts: dict[str, Any] = field(default_factory=dict)
    numbers: dict[str, Ints] = field(default_factory=dict)

    def has(self, ours: str) -> bool:
        return ours in self.mapping.constants or self.mapping.theirs(ours) in self.rows.column_names

    def column(self, ours: str) -> Any:
        """Their column, whole and of plain values; a constant where the mapping says so."""
        if ours in self.mapping.constants:
            return pa.repeat(pa.scalar(self.mapping.constants[ours]), len(self.rows))
        return _plain(self.rows[self.mapping.theirs(ours)])

    def text(self, ours: str) -> Any:
        return _as_text(self.column(ours))

    def wrong(self, ours: str, row: int, way_out: str) -> None:
        """Note that nothing can be read from `row` on, unless nothing could before it."""
        if self.fault is None or row < self.fault.row:
            value = self.column(ours)[row].as_py() if self.has(ours) else None
            self.fault = _Fault(row, self.mapping.theirs(ours), value, way_out)

    def wrong_where(self, ours: str, rows: Mask, way_out: str) -> None:
        if rows.any():
            self.wrong(ours, int(rows.argmax()), way_out)

    def read(self, ours: str, read: Callable[[Any], Read]) -> Read:
        """Numbers for every row, MISSING from the first on that is none. HistoryMalformed."""
        try:
            found = read(self.column(ours))
        except HistoryMalformed as error:
            raise HistoryMalformed(f"column {self.mapping.theirs(ours)!r}: {error}") from error
        numbers = np.full(len(self.rows), MISSING)
        numbers[: len(found.numbers)] = found.numbers
        if len(found.numbers) < len(self.rows):
            self.wrong(ours, len(found.numbers), found.way_out)
        return found._replace(numbers=numbers)


def translated(rows: pa.Table, mapping: Mapping) -> Part:
    """Rows of theirs (columns of text, or typed) as ours, up to the first that cannot be read.

    HistoryMalformed where a column cannot be read at all, UsageError where [signs] has none.
    """
    kept = _kept(rows, mapping.only)
    reading = _Reading(rows if len(kept) == len(rows) else rows.take(kept), mapping)
    if not len(kept):
        return Part(pa.table({}), 0)
    for name in _TEXTS:
        if reading.has(name):
            reading.texts[name] = reading.text(name)
    decimals = _read_numbers(reading)
    _read_words(reading)
    _sign(reading)
    _check(reading)
    _leave_alone(reading)
    table = pa.table(
        {name: pa.array(n, mask=n == MISSING) for name, n in reading.numbers.items()}
        | reading.texts
    )
    if reading.fault is None:
        return Part(table, decimals)
    row, column, value, way_out = reading.fault
    shown = "nothing" if value is None else repr(value)
    fault = f"{column} is {shown}; {way_out}"
    return Part(table.slice(0, row), decimals, fault, int(kept[row].as_py()))


def _kept(rows: pa.Table, only: Named[str, str | list[str]]) -> Any:
    """Which rows the mapping wants."""
    kept = np.ones(len(rows), np.bool_)
    for column, words in only.items():
        if column not in rows.column_names:
            # In a log of JSON lines it may come later.
            return pa.array([], pa.int64())
        wanted = pa.array([words] if isinstance(words, str) else words, pa.string())
        kept &= pc.is_in(_as_text(_plain(rows[column])), wanted).to_numpy(zero_copy_only=False)
    return pa.array(np.flatnonzero(kept))


def _plain(column: Any) -> Any:
    column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column


def _as_text(column: Any) -> Any:
    texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _read_numbers(reading: _Reading) -> int:
    """All numbers; the decimals of money, which are those of the column that has most."""
    mapping = reading.mapping
    # Whoever has amounts may mean something else by columns of these names.
    others = {"debit", "credit"} - {*mapping.columns} if reading.has("amount") else set()
    money = {
        name: reading.read(name, lambda column: read_money(column, mapping.money))
        for name in MONEY
        if reading.has(name) and name not in others
    }
    decimals = max((read.decimals for read in money.values()), default=0)
    units = {name: rescaled(read.numbers, decimals - read.decimals) for name, read in money.items()}
    debit, credit = units.pop("debit", None), units.pop("credit", None)
    if debit is not None or credit is not None:
        units["amount"] = _netted(debit, credit)
    reading.numbers |= units
    if reading.has("version"):
        reading.numbers["version"] = reading.read("version", read_whole).numbers
    for name in TIMES:
        if reading.has(name):
            read = reading.read(name, lambda column: read_times(column, mapping.times))
            reading.numbers[name] = read.numbers
    return decimals


def _netted(debit: Ints | None, credit: Ints | None) -> Ints:
    """What was given less what was taken; some write what was taken with its sign."""
    sides = [side for side in (debit, credit) if side is not None]
    unknown = np.logical_and.reduce([side == MISSING for side in sides])
    taken, given = (0 if s is None else np.where(s == MISSING, 0, s) for s in (debit, credit))
    return np.where(unknown, MISSING, given - np.abs(taken))


def _read_words(reading: _Reading) -> None:
    mapping = reading.mapping
    if reading.has("record"):
        _translate(reading, "record", {}, RECORDS)
    if reading.has("kind"):
        steps = _STEPS if reading.has("record") else ()
        _translate(reading, "kind", mapping.kinds, (*KINDS, *steps))
    if reading.has("outcome"):
        _translate(reading, "outcome", mapping.outcomes, OUTCOMES)
        words = reading.texts["outcome"].dictionary_encode()
        pairs = [word.partition(":") for word in words.dictionary.to_pylist()]
        reading.texts["outcome"] = pa.array([p[0] for p in pairs], pa.string()).take(words.indices)
        codes = pa.array([p[2] or None for p in pairs], pa.string()).take(words.indices)
        own = reading.texts.get("code")
        reading.texts["code"] = codes if own is None else pc.coalesce(own, codes)


def _translate(
    reading: _Reading, ours: str, words: Named[str, str], known: tuple[str, ...]
) -> None:
    """A column of their words as ours, which need no translation."""
    column = reading.text(ours).dictionary_encode()
    theirs = column.dictionary.to_pylist()
    coded = ours == "outcome"  # "refused:insufficient_funds"

    def ours_of(word: str) -> str | None:
        own = word.lower()
        if word not in words and (own.partition(":")[0] if coded else own) in known:
            return own
        return words.get(word, words.get(OTHERS))

    mapped = [ours_of(word) for word in theirs]
    strange = [place for place, word in enumerate(mapped) if word is None]
    places = pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False)
    way_out = f"known: {', '.join(known)}; others need [{ours}s] in a mapping"
    reading.wrong_where(ours, np.isin(places, strange), way_out)
    reading.texts[ours] = pa.array(mapped, pa.string()).take(column.indices)


def _sign(reading: _Reading) -> None:
    """Amounts that stand without a sign get the one that their word, or their kind, gives them."""
    amount = reading.numbers.get("amount")
    if amount is None:
        return
    known = amount != MISSING
    if signs := reading.mapping.signs:
        ours = "sign" if reading.has("sign") else "kind"
        if not reading.has(ours):
            raise UsageError("[signs] needs a column `sign` or `kind`", "see docs/check.md")
        words = reading.text(ours)
        minus, plus = (_is(words, [w for w, s in signs.items() if s == sign]) for sign in "-+")
        way_out = f"its sign is not known; see [signs] ({', '.join(signs)})"
        reading.wrong_where(ours, known & ~minus & ~plus, way_out)
        amount = np.where(known & minus, -np.abs(amount), amount)
        amount = np.where(known & plus, np.abs(amount), amount)
    if (kinds := reading.texts.get("kind")) is not None:
        amount = np.where(known & _is(kinds, ["withdraw"]), -np.abs(amount), amount)
        asks = known & _is(kinds, ["check"])
        if asks.any():
            need = reading.numbers.get("need", np.full(len(amount), MISSING))
            reading.numbers["need"] = np.where(asks & (need == MISSING), np.abs(amount), need)
            amount = np.where(asks, 0, amount)
    reading.numbers["amount"] = amount


def _is(words: Any, which: list[str]) -> Mask:
    found: Mask = pc.is_in(words, pa.array(which, pa.string())).to_numpy(zero_copy_only=False)
    return found


def _check(reading: _Reading) -> None:
    """Rows of no account; intervals that end before they begin, and those that never end."""
    account = reading.texts.get("account", pa.nulls(len(reading.rows), pa.string()))
    nameless = account.is_null().to_numpy(zero_copy_only=False)
    way_out = "every row needs an account; [only] in a mapping names the rows to read"
    reading.wrong_where("account", nameless, way_out)
    if all(name in reading.numbers for name in TIMES):
        invoked, completed = (reading.numbers[name] for name in TIMES)
        backwards = (completed != MISSING) & (completed < invoked)
        reading.wrong_where("completed", backwards, "that is before it was invoked")
        unanswered = pa.array((completed == MISSING) & (invoked != MISSING))
        said = reading.texts.get("outcome", pa.nulls(len(completed), pa.string()))
        ended = pc.if_else(unanswered, OUTCOMES[Ended.UNKNOWN], None)
        reading.texts["outcome"] = pc.coalesce(said, ended)


def _leave_alone(reading: _Reading) -> None:
    """A refusal leaves what it found, also where it names only one of the two."""
    before, after = reading.numbers.get("before"), reading.numbers.get("after")
    if before is None or after is None or "outcome" not in reading.texts:
        return
    refused = _is(reading.texts["outcome"], [OUTCOMES[Ended.REFUSED]])
    reading.numbers["after"] = np.where(refused & (after == MISSING), before, after)
    reading.numbers["before"] = np.where(refused & (before == MISSING), after, before)


def present(names: list[str], mapping: Mapping) -> tuple[str, ...]:
    """Which columns of ours their file has."""
    there = {*names}
    found = {
        ours
        for ours in (*COLUMNS, *EXTRA)
        if mapping.theirs(ours) in there or ours in mapping.constants
    }
    if found & {"debit", "credit"}:
        found.add("amount")
    return tuple(ours for ours in COLUMNS if ours in found)
