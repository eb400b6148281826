"""Money is a whole number of cents inside and an exact decimal text at the edges; never a float.

>>> parse_cents("12.50")
1250
>>> show_cents(1250)
'12.50'
"""

import re

from engine.errors import InvalidAmount

# Below 2**53, so that every JSON reader and every float64 column holds each balance exactly.
BALANCE_CENTS_MAX = 9_000_000_000_000_000
AMOUNT_CENTS_MAX = 1_000_000_000_000

_DECIMAL = re.compile(r"(?P<whole>[0-9]{1,20})(?:\.(?P<part>[0-9]+))?", re.ASCII)


def parse_cents(text: object, *, least: int = 1, most: int = AMOUNT_CENTS_MAX) -> int:
    """The cents that `text` names: digits, then at most two decimals ("12", "12.5", "12.50").

    Raises InvalidAmount for anything else: floats and other types, signs, exponents, white space,
    a third decimal, and amounts outside `least` to `most` (both in cents).

    >>> parse_cents("0.001")
    Traceback (most recent call last):
        ...
    engine.errors.InvalidAmount: amount '0.001' has more than two decimals; write it like "12.50"
    """
    if not isinstance(text, str):
        raise InvalidAmount(f"amount {text!r} is not a text", 'send it as text, like "12.50"')
    shown = text if len(text) <= 40 else text[:40] + "…"
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise InvalidAmount(f"amount {shown!r} is not a decimal number", 'write it like "12.50"')
    part = match["part"] or ""
    if len(part) > 2:
        raise InvalidAmount(f"amount {shown!r} has more than two decimals", 'write it like "12.50"')
    return bounded_cents(int(match["whole"]) * 100 + int(part.ljust(2, "0")), least, most)


def parse_balance(text: str) -> int:
    """The cents of a balance or of a difference, which may be negative or zero. InvalidAmount.

    >>> parse_balance("-0.05")
    -5
    """
    size = parse_cents(text.removeprefix("-"), least=0, most=BALANCE_CENTS_MAX)
    return -size if text.startswith("-") else size


def bounded_cents(cents: int, least: int = 1, most: int = AMOUNT_CENTS_MAX) -> int:
    """`cents` itself if it is an int within the bounds, else InvalidAmount."""
    if type(cents) is not int:
        raise InvalidAmount(f"amount {cents!r} is not whole cents", "parse it with parse_cents")
    if not least <= cents <= most:
        raise InvalidAmount(
            f"amount {show_cents(cents)} is out of bounds",
            f"use {show_cents(least)} to {show_cents(most)}",
        )
    return cents


def show(amount: int, decimals: int) -> str:
    """The exact decimal text of `amount`, in the smallest unit of money with so many decimals.

    >>> show(-5, 2), show(1250, 0)
    ('-0.05', '1250')
    """
    sign, digits = "-" if amount < 0 else "", str(abs(amount)).rjust(decimals + 1, "0")
    return sign + (f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits)


def made_words(amount: int, decimals: int) -> str:
    """Money made (positive) or lost, in words; for both see `show`.

    >>> made_words(-50000, 2)
    '500.00 lost'
    """
    return f"{show(abs(amount), decimals)} {'lost' if amount < 0 else 'made'}"


def show_cents(cents: int) -> str:
    """The decimal text of `cents`, two decimals always.

    >>> show_cents(-5)
    '-0.05'
    """
    sign, size = ("-" if cents < 0 else ""), abs(cents)
    return f"{sign}{size // 100}.{size % 100:02d}"
