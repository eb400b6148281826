"""Money and times of other people's files, as exact whole numbers; never through a float.

What a column's texts are is found for all of them at once by Arrow; only the first that cannot be
read is looked for, by halving.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import HistoryMalformed
from engine.histories.columns import MISSING, Ints
from engine.histories.mapping import DECIMALS_MAX, Money, Times
from engine.histories.table import NUMBER_MAX

DECIMALS_SHOWN = 2
# How far a number may be from what it is rounded to, in units of its last decimal.
ROUNDING_MAX = 1e-6
# Whole numbers beyond this have no neighbours in a float64.
_FLOAT_EXACT = 2.0**53
_DIGITS = {"s": 9, "ms": 6, "us": 3, "ns": 0}
_NUMBER = re.compile(r"\s*[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?\s*")
_ZONED = re.compile(r".*\d\d:\d\d.*(Z|[+-]\d\d(:?\d\d)?)\s*")

_EXACT = (
    f"write it like 12.50, with at most {DECIMALS_MAX} decimals, or see [money] in docs/check.md"
)

Convert = Callable[[Any], Any]


class Read(NamedTuple):
    """Numbers read from the top of a column, MISSING where null, with so many decimals.

    Fewer than the column holds if one cannot be read; `way_out` then says what would help.
    """

    numbers: Ints
    decimals: int = 0
    way_out: str = ""


def read_money(column: Any, money: Money) -> Read:
    """A column of money, in units of its last decimal.

    HistoryMalformed for a column of floats, unless they are to be rounded.
    """
    if pa.types.is_floating(column.type):
        return _floats(column, money)
    if pa.types.is_integer(column.type):
        return _units(column, lambda part: part.cast(pa.decimal128(38, 0)), 0)
    if pa.types.is_decimal(column.type):
        scale = max(0, column.type.scale)
        return _fewest(_units(column, lambda part: part.cast(pa.decimal128(38, scale)), scale))
    texts = _plain(column, money)
    if money.round is not None:
        return _rounded(texts, money.round)
    scale = money.decimals if money.decimals is not None else decimals_of(texts)
    read = _units(texts, lambda part: part.cast(pa.decimal128(38, scale)), scale)
    if money.decimals is not None:
        return read._replace(way_out=f"[money] decimals is {scale}")
    return _fewest(read)._replace(way_out=_EXACT)


def read_times(column: Any, times: Times) -> Read:
    """A column of moments, in ns: numbers, ISO 8601 texts, or texts of the mapping's format."""
    if pa.types.is_temporal(column.type):
        zone = getattr(column.type, "tz", None)
        return _whole(column, lambda part: part.cast(pa.timestamp("ns", zone)), "")
    if pa.types.is_floating(column.type):
        raise HistoryMalformed(
            "times are floating-point numbers, which do not tell neighbours apart",
            "write whole numbers or ISO 8601 texts",
        )
    if times.format:
        return _formatted(column, times.format)
    texts = column.cast(pa.string())
    first = next((text for text in texts.drop_null()[:1].to_pylist()), "0")
    if _NUMBER.fullmatch(first):
        scale = _DIGITS[times.unit]
        read = _units(texts, lambda part: _trim(part).cast(pa.decimal128(38, scale)), scale)
        return read._replace(way_out="times are numbers here; [times] unit says of what")
    kind = pa.timestamp("ns", "UTC" if _ZONED.fullmatch(first) else None)
    way_out = "write all times alike, as 2026-01-31T12:00:00.000001Z, or give [times] format"
    return _whole(texts, lambda part: _trim(part).cast(kind), way_out)


def read_whole(column: Any) -> Read:
    """A column of whole numbers, like versions."""
    kind = pa.decimal128(38, 0)
    if pa.types.is_integer(column.type) or pa.types.is_decimal(column.type):
        return _units(column, lambda part: part.cast(kind), 0)
    texts = _trim(column.cast(pa.string()))
    read = _units(texts, lambda part: part.cast(kind), 0)
    return read._replace(way_out="a whole number is expected")


def rescaled(numbers: Ints, by: int) -> Ints:
    """The same money with `by` more decimals. HistoryMalformed if that is too large."""
    if not by:
        return numbers
    known = numbers != MISSING
    if known.any() and np.abs(numbers[known]).max() > NUMBER_MAX // 10**by:
        raise HistoryMalformed(
            f"amounts are too large for {by} more decimals", "set [money] decimals in a mapping"
        )
    return np.where(known, numbers * 10**by, MISSING)


def decimals_of(texts: Any) -> int:
    """The most digits behind the point, at most DECIMALS_MAX."""
    point = pc.find_substring(texts, ".")
    behind = pc.subtract(pc.subtract(pc.utf8_length(texts), point), 1)
    most = pc.max(pc.if_else(pc.greater_equal(point, 0), behind, 0)).as_py()
    # An exponent says nothing of decimals.
    if pc.any(pc.match_substring(texts, "e", ignore_case=True)).as_py():
        return DECIMALS_MAX
    return min(most or 0, DECIMALS_MAX)


def as_far_as_possible(column: Any, convert: Convert) -> Any:
    """What `convert` makes of the longest top of the column that it does not choke on."""
    try:
        return convert(column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        good, bad = 0, len(column)
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            convert(column.slice(good, middle - good))
            good = middle
        except pa.ArrowInvalid:
            bad = middle
    return convert(column.slice(0, good))


def _trim(texts: Any) -> Any:
    return pc.utf8_trim_whitespace(texts)


def _plain(column: Any, money: Money) -> Any:
    """Texts as Arrow reads numbers: no separators of thousands, a point before the decimals."""
    texts = _trim(column.cast(pa.string()))
    if money.thousands:
        texts = pc.replace_substring(texts, money.thousands, "")
    if money.point == ",":
        texts = pc.replace_substring(texts, ",", ".")
    return texts


def _units(column: Any, convert: Convert, decimals: int) -> Read:
    """Decimals as numbers of their last unit: the low words of Arrow's 128 bits, if high are not
    needed."""
    found = as_far_as_possible(column, convert)
    way_out = f"an exact number is expected, with at most {decimals} decimals"
    if not len(found):
        return Read(np.empty(0, np.int64), decimals, way_out)
    words = np.frombuffer(found.buffers()[1], np.int64).reshape(-1, 2)
    words = words[found.offset : found.offset + len(found)]
    known = found.is_valid().to_numpy(zero_copy_only=False)
    low = np.where(known, words[:, 0], 0)
    large = known & ((words[:, 1] != words[:, 0] >> 63) | (np.abs(low) > NUMBER_MAX))
    if large.any():
        low, known = low[: large.argmax()], known[: large.argmax()]
        way_out = f"at most {NUMBER_MAX} of the smallest unit can be judged"
    return Read(np.where(known, low, MISSING), decimals, way_out)


def _fewest(read: Read) -> Read:
    """Without decimals that are zero in every row; two are left, as people are used to."""
    numbers, decimals, way_out = read
    while decimals not in (0, DECIMALS_SHOWN) and not np.any((numbers % 10) * (numbers != MISSING)):
        numbers = np.where(numbers == MISSING, MISSING, numbers // 10)
        decimals -= 1
    if decimals > DECIMALS_MAX:
        raise HistoryMalformed(
            f"money has {decimals} decimals", f"at most {DECIMALS_MAX}; see [money] round"
        )
    return Read(numbers, decimals, way_out)


def _floats(column: Any, money: Money) -> Read:
    if money.round is None:
        raise HistoryMalformed(
            "money is in floating-point numbers, which do not hold 0.10",
            "export decimals or texts, or set round = 2 under [money] in a mapping",
        )
    floats = column.to_numpy(zero_copy_only=False) * 10.0**money.round
    known = column.is_valid().to_numpy(zero_copy_only=False)
    whole = np.rint(np.where(known, floats, 0.0))
    wrong = known & ~((np.abs(floats - whole) <= ROUNDING_MAX) & (np.abs(whole) < _FLOAT_EXACT))
    end = int(wrong.argmax()) if wrong.any() else len(whole)
    numbers = np.where(known[:end], whole[:end].astype(np.int64), MISSING)
    return Read(numbers, money.round, _rounding(money.round))


def _rounded(texts: Any, decimals: int) -> Read:
    """Texts that came from floats ("0.30000000000000004")."""

    def convert(part: Any) -> Any:
        exact = part.cast(pa.decimal128(37, 18))
        whole = pc.round(exact, decimals)
        off = pc.abs(pc.subtract(exact, whole)).cast(pa.float64())
        if pc.any(pc.greater(off, ROUNDING_MAX * 10.0**-decimals)).as_py():
            raise pa.ArrowInvalid("not close to a rounded number")
        return whole.cast(pa.decimal128(38, decimals))

    return _units(texts, convert, decimals)._replace(way_out=_rounding(decimals))


def _rounding(decimals: int) -> str:
    return f"round = {decimals} takes numbers within {ROUNDING_MAX:g} of the last decimal only"


def _whole(column: Any, convert: Convert, way_out: str) -> Read:
    found = as_far_as_possible(column, convert).cast(pa.int64())
    return Read(pc.fill_null(found, MISSING).to_numpy(zero_copy_only=False), 0, way_out)


def _formatted(column: Any, pattern: str) -> Read:
    known = column.is_valid().to_numpy(zero_copy_only=False)
    texts = pd.Series(_trim(column.cast(pa.string())).to_pandas())
    try:
        found = pd.DatetimeIndex(pd.to_datetime(texts, format=pattern, utc=True, errors="coerce"))
    except ValueError as error:
        raise HistoryMalformed(f"[times] format {pattern!r}: {error}", "see strptime") from error
    wrong = known & np.asarray(found.isna())
    end = int(wrong.argmax()) if wrong.any() else len(known)
    numbers = np.where(known, found.as_unit("ns").asi8, MISSING)[:end]
    return Read(numbers, 0, f"[times] format is {pattern!r}")
