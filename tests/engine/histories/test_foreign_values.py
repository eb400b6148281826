"""Money and times of other people's files: exact, or refused."""

import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import HistoryMalformed
from engine.histories.columns import MISSING
from engine.histories.foreign_values import read_money, read_times, read_whole, rescaled
from engine.histories.mapping import Money, Times

DECIMALS = st.decimals(-(10**9), 10**9, allow_nan=False, places=None).map(
    lambda number: number.quantize(Decimal(1).scaleb(-9)).normalize()
)


def money(values: list[Any] | pa.Array, **rules: Any) -> tuple[list[int], int]:
    column = values if isinstance(values, pa.Array) else pa.array(values)
    read = read_money(column, Money(**rules))
    return read.numbers.tolist(), read.decimals


def times(values: list[Any] | pa.Array, **rules: Any) -> list[int]:
    column = values if isinstance(values, pa.Array) else pa.array(values)
    numbers: list[int] = read_times(column, Times(**rules)).numbers.tolist()
    return numbers


@given(st.lists(st.none() | DECIMALS, min_size=1))
def test_every_decimal_text_is_read_exactly(numbers: list[Decimal | None]) -> None:
    texts = pa.array([None if n is None else f"{n:f}" for n in numbers], pa.string())
    units, decimals = money(texts)
    assert units == [
        MISSING if number is None else int(number.scaleb(decimals)) for number in numbers
    ]


@pytest.mark.parametrize(
    ("values", "rules", "units", "decimals"),
    [
        (["1000.10", "-5", None, "+3.5"], {}, [100010, -500, MISSING, 350], 2),
        (["1.000,50", "2"], {"point": ",", "thousands": "."}, [100050, 200], 2),
        (["500.00000000", "1.5"], {}, [50000, 150], 2),
        (["5.0", "7.0"], {}, [5, 7], 0),
        (["1e3", "1E-3"], {}, [1000000, 1], 3),
        ([" 7 "], {"decimals": 2}, [700], 2),
        ([Decimal("1.50"), None], {}, [150, MISSING], 2),
        ([12, None], {}, [12, MISSING], 0),
        ([0.1, None, 0.30000000000000004], {"round": 2}, [10, MISSING, 30], 2),
        (["0.30000000000000004", "0.31"], {"round": 2}, [30, 31], 2),
    ],
)
def test_money_keeps_every_decimal(
    values: list[Any], rules: dict[str, Any], units: list[int], decimals: int
) -> None:
    assert money(values, **rules) == (units, decimals)


@pytest.mark.parametrize(
    ("values", "rules", "good"),
    [
        (["1", "x", "2"], {}, 1),
        (["0.1", "0.1234567891"], {}, 1),
        (["1.234"], {"decimals": 2}, 0),
        (["12,5"], {}, 0),
        (["1", "99999999999999999999"], {}, 1),
        ([0.1, 0.125], {"round": 2}, 1),
        (["0.125"], {"round": 2}, 0),
        ([1e300], {"round": 2}, 0),
        ([float("nan")], {"round": 2}, 0),
    ],
)
def test_the_first_number_that_is_none_ends_a_column(
    values: list[Any], rules: dict[str, Any], good: int
) -> None:
    read = read_money(pa.array(values), Money(**rules))
    assert len(read.numbers) == good
    assert read.way_out


def test_floating_point_money_is_refused_unless_it_is_to_be_rounded() -> None:
    with pytest.raises(HistoryMalformed, match=r"do not hold 0\.10; .* round = 2"):
        money([0.1])


def test_money_that_would_not_fit_with_more_decimals_is_told() -> None:
    assert rescaled(pa.array([5, MISSING]).to_numpy(), 2).tolist() == [500, MISSING]
    with pytest.raises(HistoryMalformed, match="too large for 9 more decimals"):
        rescaled(pa.array([10**10]).to_numpy(), 9)


NEW_YEAR_NS = 1_767_225_600_000_000_000


@pytest.mark.parametrize(
    ("values", "rules", "moments"),
    [
        (["5", None], {}, [5, MISSING]),
        ([1, 2], {"unit": "ms"}, [1_000_000, 2_000_000]),
        (["1767225600.000000001"], {"unit": "s"}, [NEW_YEAR_NS + 1]),
        (["2026-01-01T00:00:00.000000002Z"], {}, [NEW_YEAR_NS + 2]),
        (["2026-01-01T02:00:00+02:00"], {}, [NEW_YEAR_NS]),
        (["2026-01-01 00:00:00.5"], {}, [NEW_YEAR_NS + 500_000_000]),
        (["01.01.2026 00:00:01"], {"format": "%d.%m.%Y %H:%M:%S"}, [NEW_YEAR_NS + 10**9]),
        (pa.array([datetime.date(2026, 1, 1)]), {}, [NEW_YEAR_NS]),
        (pa.array([NEW_YEAR_NS // 1000], pa.timestamp("us", "UTC")), {}, [NEW_YEAR_NS]),
        # With and without a zone: which of them is meant how, nobody knows.
        (["2026-01-01T00:00:00Z", "2026-01-01T00:00:00"], {}, [NEW_YEAR_NS]),
        (["yesterday"], {}, []),
        (["1.5"], {"unit": "ns"}, []),
    ],
)
def test_times_are_read_to_the_nanosecond(
    values: Any, rules: dict[str, Any], moments: list[int]
) -> None:
    assert times(values, **rules) == moments


def test_floating_point_times_are_refused() -> None:
    with pytest.raises(HistoryMalformed, match="do not tell neighbours apart"):
        times([1.5])


def test_versions_are_whole_numbers() -> None:
    assert read_whole(pa.array(["1", "2.5"])).numbers.tolist() == [1]
