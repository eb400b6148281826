"""Each operation by itself: sums, coverage, refusals, transfers."""

from engine.histories.columns import MISSING
from engine.recording import Ended, Kind
from engine.verdicts import Break, Verdict
from tests.engine.checks.calls import TWO, add, call, judged, messages, read, refused, withdraw


def test_an_operation_that_leaves_another_balance_than_it_should_is_broken() -> None:
    judgement = judged(call("a", Kind.WITHDRAW, (0, 10), ("u", -500, 1000, 600, 2)))
    assert judgement.layer == "arithmetic"
    assert messages(judgement) == ["u: a (withdraw 5.00) went from 10.00 to 6.00: 1.00 made"]
    assert judgement.violations[0].amount == 100
    assert judgement.lost == -100


def test_a_withdrawal_that_was_not_covered_is_an_overdraft() -> None:
    judgement = judged(withdraw("a", (0, 10), 1000, 1500, 2))
    assert messages(judgement) == [
        "u: a (withdraw 15.00) was accepted, though 10.00 did not cover it"
    ]
    assert judgement.violations[0].kind is Break.MONEY


def test_a_refusal_although_enough_was_there_is_a_wrong_refusal() -> None:
    judgement = judged(refused("a", (0, 10), 1000, 1000, 1))
    assert messages(judgement) == [
        "u: a (withdraw 10.00) was refused for too little, though 10.00 covered it"
    ]
    assert judged(refused("a", (0, 10), 1000, 1001, 1)).verdict is Verdict.CLEAN


def test_a_refused_transfer_is_right_if_one_side_held_too_little() -> None:
    sides = (("u", -2000, 1000, 1000, 1), ("v", 2000, 1000, 1000, 1))
    poor = call("a", Kind.TRANSFER, (0, 9), *sides, ended=Ended.REFUSED, code="insufficient_funds")
    assert judged(poor, openings=TWO).verdict is Verdict.CLEAN


def test_a_check_answered_wrongly_is_broken_reads() -> None:
    yes = call("a", Kind.CHECK, (0, 10), ("u", 0, 1000, 1000, 1, 1500))
    assert messages(judged(yes)) == [
        "u: a (check 15.00) was answered yes, though 10.00 are less than 15.00"
    ]
    no = yes._replace(ended=Ended.REFUSED)
    assert judged(no).verdict is Verdict.CLEAN


def test_a_transfer_that_does_not_come_to_nothing_is_torn() -> None:
    sides = (("u", -500, 1000, 500, 2), ("v", 400, 1000, 1400, 2))
    judgement = judged(call("a", Kind.TRANSFER, (0, 10), *sides), openings=TWO)
    assert messages(judgement) == [
        "a (transfer) has 2 sides that come to -1.00, not to nothing: 1.00 lost"
    ]
    judgement = judged(call("a", Kind.TRANSFER, (0, 10), sides[0]), openings=TWO)
    assert messages(judgement) == [
        "a (transfer 5.00) has one side that comes to -5.00, not to nothing: 5.00 lost"
    ]


def test_books_of_one_account_know_one_side_of_each_transfer() -> None:
    side = call("a", Kind.TRANSFER, (0, 10), ("u", -500, 1000, 500, 2))
    assert judged(side).verdict is Verdict.CLEAN


def test_whoever_starts_below_zero_is_not_to_blame_for_it() -> None:
    history = (withdraw("a", (0, 1), 1000, 1500, 2), add("b", (2, 3), -500, 100, 3))
    assert [violation.calls for violation in judged(*history).violations] == [(0,)]


def test_what_was_left_out_is_derived_and_not_complained_about() -> None:
    bare = call("a", Kind.WITHDRAW, (0, 10), ("u", -500, MISSING, 500, 2))
    judgement = judged(bare, read("b", (11, 12), 500, 2))
    assert (judgement.verdict, judgement.layer) == (Verdict.CLEAN, "version sweep")
