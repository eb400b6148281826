"""What one operation, or one idempotency key, may do to an account more than once."""

from typing import Any

import pyarrow as pa
import pytest

from engine.checks import judge
from engine.checks.verdict import Judgement, Level
from engine.histories.by_hand import OneRow
from engine.histories.table import history_from_table
from engine.recording import Kind
from engine.verdicts import Verdict
from tests.engine.checks.calls import TWO, call, judged, messages

COLUMNS = ("operation", "account", "amount", "before", "after", "key", "version")


def log_alone(*rows: tuple[Any, ...]) -> Judgement:
    columns = zip(*rows, strict=True)
    table = pa.table(dict(zip(COLUMNS, columns, strict=True)))
    return judge(history_from_table(table, complete=True))


def test_in_a_log_alone_two_operations_of_one_key_were_applied_twice() -> None:
    judgement = log_alone(
        ("o2", "a", 1000, 1000, 2000, "k1", 2),
        ("o1", "a", 1000, 0, 1000, "k1", 1),
        ("o3", "a", 500, 2000, 2500, "k2", 3),
        ("o4", "a", 500, 2500, 3000, None, 4),
        ("o5", "a", 500, 3000, 3500, None, 5),
    )
    assert (judgement.verdict, judgement.level) == (Verdict.BROKEN, Level.NONE)
    assert messages(judgement) == [
        "o1 (change 10.00) and o2 (change 10.00) are one idempotency key, applied twice: 10.00 made"
    ]
    assert (judgement.count, judgement.violations[0].amount) == (1, 1000)


def test_each_further_operation_of_one_key_in_a_log_is_told_of_beside_the_first() -> None:
    rows = [(f"o{n}", "a", 10, 10 * n, 10 * n + 10, "k", n) for n in range(3)]
    judgement = log_alone(*rows)
    assert [message.split(" (")[0] for message in messages(judgement)] == ["o0", "o0"]
    assert [each.amount for each in judgement.violations] == [10, 10]


def test_the_rows_of_one_operation_may_name_its_key_each() -> None:
    judgement = log_alone(
        ("t", "a", -10, 100, 90, "k", 2),
        ("t", "b", 10, 0, 10, "k", 1),
    )
    assert judgement.verdict is Verdict.CLEAN


def paid(*steps: tuple[int, int, int]) -> Judgement:
    """The log of one withdrawal in steps of (amount, before, version)."""
    log = [
        OneRow("o", "u", Kind.WITHDRAW, amount, before, before + amount, version)
        for amount, before, version in steps
    ]
    return judged(log=log)


def test_an_operation_may_take_its_fee_in_a_step_of_its_own() -> None:
    assert paid((-100, 1000, 2), (-1, 900, 3)).verdict is Verdict.CLEAN


@pytest.mark.parametrize(
    "steps",
    [
        [(-100, 1000, 2), (-100, 900, 3)],
        [(-100, 1000, 2), (-1, 900, 3), (-100, 899, 4), (-1, 799, 5)],
        [(-100, 1000, 2), (-1, 900, 4)],
    ],
)
def test_the_same_amount_again_or_a_step_apart_is_applied_twice(
    steps: list[tuple[int, int, int]],
) -> None:
    judgement = paid(*steps)
    assert any(each.endswith(") stands in the log more than once") for each in messages(judgement))
    assert {each.anomaly for each in judgement.violations} >= {"applied twice"}


def sides(*entries: tuple[str, int, int]) -> Judgement:
    """One transfer whose sides are (account, amount, before)."""
    told = [(name, amount, before, before + amount) for name, amount, before in entries]
    return judged(call("t", Kind.TRANSFER, (0, 9), *told), openings={**TWO, "w": 0})


def test_a_transfer_of_three_sides_that_come_to_nothing_is_even() -> None:
    assert sides(("u", -100, 1000), ("v", 99, 1000), ("w", 1, 0)).verdict is Verdict.CLEAN


def test_a_transfer_whose_sides_do_not_come_to_nothing_is_torn_whatever_their_number() -> None:
    torn = sides(("u", -100, 1000), ("v", 99, 1000), ("w", 2, 0))
    assert [each.anomaly for each in torn.violations] == ["torn transfer"]
    assert [each.anomaly for each in sides(("u", -100, 1000)).violations] == ["torn transfer"]


def test_a_transfer_posted_twice_in_one_call_was_applied_twice_and_is_not_torn() -> None:
    twice = sides(("u", -100, 1000), ("v", 100, 1000), ("u", -100, 900), ("v", 100, 1100))
    assert [each.message for each in twice.violations] == [
        "u: t (transfer 1.00) changed it more than once by -1.00: 1.00 lost",
        "v: t (transfer 1.00) changed it more than once by 1.00: 1.00 made",
    ]


def test_a_transfer_posted_twice_in_the_log_was_applied_twice_and_is_not_torn() -> None:
    def leg(account: str, amount: int, before: int, version: int) -> OneRow:
        return OneRow("t", account, Kind.TRANSFER, amount, before, before + amount, version)

    log = [leg("u", -100, 1000, 2), leg("v", 100, 1000, 2)]
    log += [leg("u", -100, 900, 3), leg("v", 100, 1100, 3)]
    judgement = judged(openings=TWO, log=log)
    assert {each.anomaly for each in judgement.violations} == {"applied twice"}


def test_a_change_is_named_with_its_sign() -> None:
    judgement = log_alone(
        ("x", "a", -7099, 50000, 42901, None, 2),
        ("y", "a", -1000, 50000, 49000, None, 3),
    )
    assert messages(judgement) == [
        "a: y (change -10.00) began from 500.00 and overwrote x (change -70.99), which had left"
        " 429.01: 70.99 made"
    ]
    again = log_alone(*[("x", "a", -7099, 50000, 42901, None, 2)] * 2)
    assert "a: x (change -70.99) stands in the log more than once" in messages(again)
