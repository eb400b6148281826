"""Money goes through text and back exactly; whatever is not an exact, bounded amount is refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BalanceTooLarge, InvalidAmount
from engine.money import (
    AMOUNT_CENTS_MAX,
    BALANCE_CENTS_MAX,
    bounded_cents,
    parse_cents,
    show_cents,
)
from engine.operations import Add


@given(st.integers(1, AMOUNT_CENTS_MAX))
def test_every_amount_survives_the_way_through_text(cents: int) -> None:
    assert parse_cents(show_cents(cents)) == cents


@given(st.integers(-BALANCE_CENTS_MAX, BALANCE_CENTS_MAX))
def test_the_shown_text_is_the_exact_decimal(cents: int) -> None:
    assert Decimal(show_cents(cents)) * 100 == cents


@given(st.text(max_size=12))
def test_a_text_is_either_an_exact_amount_or_refused(text: str) -> None:
    try:
        cents = parse_cents(text)
    except InvalidAmount:
        return
    assert Decimal(text) * 100 == cents


@pytest.mark.parametrize(
    ("text", "cents"),
    [("12", 1200), ("12.5", 1250), ("12.50", 1250), ("0.01", 1), ("007", 700)],
)
def test_decimals_may_be_left_out(text: str, cents: int) -> None:
    assert parse_cents(text) == cents


@pytest.mark.parametrize(
    "amount",
    [
        *("", ".", ".5", "5.", "1.234", "1.000", "1..2", "1.2.3", "0x10", "1_000", "1,50", "abc"),
        *("+1", "-1", "-0", "1e3", "1E3", "inf", "nan", "12.50€"),
        *(" 1", "1 ", "1\n", "\t1", "1 000"),
        *("１２", "١٢", "1²", "½"),
        *(12, 12.5, float("nan"), True, None, b"12", Decimal("12.50"), ["12"]),
    ],
)
def test_what_is_not_a_plain_decimal_text_is_refused(amount: object) -> None:
    with pytest.raises(InvalidAmount):
        parse_cents(amount)


@pytest.mark.parametrize("text", ["0", "0.00", "10000000000.01", "9" * 20, "9" * 21])
def test_zero_and_amounts_beyond_the_bound_are_refused(text: str) -> None:
    with pytest.raises(InvalidAmount):
        parse_cents(text)


def test_the_message_names_the_bounds_and_keeps_an_endless_text_short() -> None:
    with pytest.raises(InvalidAmount, match=r"0\.00 is out of bounds; use 0\.01 to 10000000000\.0"):
        parse_cents("0")
    for endless in ("9" * 10_000, "0." + "1" * 10_000):
        with pytest.raises(InvalidAmount) as refusal:
            parse_cents(endless)
        assert len(str(refusal.value)) < 120


@pytest.mark.parametrize("cents", [1.0, 0.1 + 0.2, "1", True, None, Decimal(1)])
def test_only_whole_numbers_are_cents(cents: object) -> None:
    with pytest.raises(InvalidAmount, match="is not whole cents"):
        bounded_cents(cents)  # type: ignore[arg-type]


@pytest.mark.parametrize("cents", [0, -1, AMOUNT_CENTS_MAX + 1, 2**63])
def test_cents_out_of_bounds_are_refused(cents: int) -> None:
    with pytest.raises(InvalidAmount, match="out of bounds"):
        bounded_cents(cents)


def test_every_allowed_balance_is_exact_as_a_float_and_fits_a_database_integer() -> None:
    assert int(float(BALANCE_CENTS_MAX)) == BALANCE_CENTS_MAX < 2**53
    assert BALANCE_CENTS_MAX + AMOUNT_CENTS_MAX < 2**63


def test_a_balance_grows_up_to_its_bound_and_not_beyond() -> None:
    nearly = {"u": BALANCE_CENTS_MAX - 1}
    assert Add("u", 1).apply(nearly) == {"u": BALANCE_CENTS_MAX}
    with pytest.raises(BalanceTooLarge, match="at most 90000000000000"):
        Add("u", 2).apply(nearly)
