"""Memory as values: what is equal when frozen, and what comes back when it is thawed."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum
from typing import Any, NamedTuple

import pytest

from engine.errors import Conflict, StoreBusy
from engine.explore.frozen import Unfit, freeze, freeze_item, thaw, thaw_item
from engine.operations import Batch, Transfer, Withdraw


@dataclass(frozen=True)
class Ticket:
    number: int = 0
    owner: str = field(default="", compare=False)


@dataclass(frozen=True)
class Holder:
    held: object


@dataclass
class Loose:
    number: int = 0


class Level(IntEnum):
    """Equal to a number."""

    LOW = 1


class Pair(NamedTuple):
    """Keeps its kind."""

    left: object
    right: object


PLAIN = [1, True, 1.0, Decimal(1), Decimal("1.0"), Level.LOW, "1", b"1", None, 0.0, -0.0, False, 0]


def test_frozen_values_are_equal_only_if_no_code_could_tell_them_apart() -> None:
    assert len(set(map(freeze_item, PLAIN))) == len(PLAIN)
    assert freeze_item(Ticket(0, "A")) != freeze_item(Ticket(0, "B"))
    assert freeze_item(Ticket(0, "A")) == freeze_item(Ticket(0, "A"))


@pytest.mark.parametrize(
    "value",
    [
        *PLAIN,
        *(Pair(1, (2.0, True)), Ticket(1, "A"), frozenset({1, 2})),
        *([1, True], deque(["a"]), {"a": Pair(1, 2)}, {1, 2}, OrderedDict(b=1, a=2)),
    ],
)
def test_what_is_frozen_and_thawed_is_what_it_was(value: Any) -> None:
    thawed = thaw(freeze(value), lambda mutex_id: None)
    assert (type(thawed), repr(thawed)) == (type(value), repr(value))
    if isinstance(value, tuple):
        assert repr(thaw_item(freeze_item(value), lambda mutex_id: None)) == repr(value)


def test_operations_and_errors_of_ours_are_values_too() -> None:
    batch = Batch((Withdraw("u", 1), Transfer("u", "v", 2)))
    assert thaw_item(freeze_item(("c", batch)), lambda mutex_id: None) == ("c", batch)
    assert freeze_item(batch) != freeze_item(Batch((Withdraw("u", 1), Transfer("u", "v", 3))))
    busy = freeze_item(StoreBusy("busy", "try again"))
    assert busy == freeze_item(StoreBusy("busy", "try again"))
    assert busy not in (freeze_item(StoreBusy("busy")), freeze_item(Conflict("busy", "try again")))
    # Whoever raises an error changes it, so each gets one of their own.
    one, other = (thaw_item(busy, lambda mutex_id: None) for _ in range(2))
    assert (repr(one), one is other) == (repr(other), False)
    assert str(one) == "busy; try again"


def test_what_could_change_inside_a_frozen_value_is_refused() -> None:
    for hidden in ([], Loose(), Pair(1, [])):
        with pytest.raises(Unfit, match="holds more than plain values"):
            freeze_item(Holder(hidden))


def test_the_order_in_a_dict_is_part_of_it_and_that_in_a_set_is_not() -> None:
    assert freeze({"a": 1, "b": 2}) != freeze({"b": 2, "a": 1})
    assert freeze({0, 8}) == freeze({8, 0})
