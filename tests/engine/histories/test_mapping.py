"""Mappings: what they may say, and how a mistake in one is told."""

import pytest

from engine.errors import UsageError
from engine.histories.mapping import parse_mapping


def test_an_empty_mapping_leaves_columns_their_names() -> None:
    mapping = parse_mapping("")
    assert mapping.theirs("account") == "account"
    assert mapping.money.point == "."


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[colums]\na = 'b'", "no section 'colums'; did you mean 'columns'?"),
        ("[columns]\nacount = 'b'", "no column of ours 'acount'; did you mean 'account'?"),
        ("[money]\ndecimal = 2", "no key 'decimal'; did you mean 'decimals'?"),
        ("[money]\ndecimals = 12", "Expected `int` <= 9 - at `$.money.decimals`"),
        ("[money]\npoint = ';'", "at `$.money.point`"),
        ("[kinds]\nD = 'debit'", "kinds: balance, check, withdraw, add, transfer"),
        ("[outcomes]\nX = 'fine'", "no outcome 'fine'; known: ok, refused, unknown"),
        ("[signs]\nD = 'minus'", "signs: +, -"),
        ("[times]\nunit = 'h'", "at `$.times.unit`"),
        ("money = 2", "[money] is 2; write it as a section"),
        ("columns = ", "is no TOML"),
    ],
)
def test_a_mistake_is_told_with_what_is_known(text: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_mapping(text, "map.toml")
    assert told in str(error.value)
    assert str(error.value).startswith("map.toml")
