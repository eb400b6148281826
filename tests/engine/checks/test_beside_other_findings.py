"""One finding hides no other, and no level is claimed that was not looked for to the end."""

import pytest

from engine.checks import judge
from engine.checks.judging import GRAPH
from engine.checks.verdict import Exceeded, Found, Level
from engine.histories.by_hand import OneCall, OneEntry
from engine.histories.columns import INSUFFICIENT, MISSING
from engine.recording import Ended, Kind
from engine.verdicts import Verdict
from tests.engine.checks.calls import TWO, add, call, judged, messages, read, withdraw

BLIND = (
    add("o2", (3, 6), 1000, 50, MISSING),
    add("o3", (4, 7), 1000, 30, MISSING),
)
LOST = "u: o2 (add 0.50) and o3 (add 0.30) both found 10.00, and 10.30 was written over 10.50"


def covered(name: str, interval: tuple[int, int], before: int, amount: int) -> OneCall:
    entry = ("u", -amount, before)
    return call(name, Kind.WITHDRAW, interval, entry, ended=Ended.REFUSED, code=INSUFFICIENT)


def test_a_refusal_that_contradicts_itself_is_told_once_and_hides_no_lost_update() -> None:
    judgement = judged(*BLIND, covered("o4", (8, 9), 1030, 20))
    assert messages(judgement) == [
        "u: o4 (withdraw 0.20) was refused for too little, though 10.30 covered it",
        f"{LOST}: 0.50 lost",
    ]


def test_a_change_or_question_that_contradicts_itself_hides_no_lost_update() -> None:
    overdrawn = withdraw("o5", (8, 9), 1030, 2000, MISSING)
    astray = OneCall("o6", "A", Kind.ADD, 10, 11, entries=(OneEntry("u", 5, -970, -900),))
    torn_read = OneCall("o7", "A", Kind.BALANCE, 12, 13, entries=(OneEntry("u", 0, -900, -1),))
    judgement = judged(*BLIND, overdrawn, astray, torn_read)
    assert [each.anomaly for each in judgement.violations] == [
        "overdraft",
        "arithmetic",
        "arithmetic",
        "lost update",
    ]


def test_what_contradicts_itself_is_no_reason_for_anything_else() -> None:
    judgement = judged(add("o1", (0, 1), 1000, 50, MISSING), covered("o2", (8, 9), 1050, 20))
    assert [each.anomaly for each in judgement.violations] == ["wrong refusal"]
    assert judgement.passed == ("ledger", "event order")


def test_a_stale_answer_below_zero_is_still_searched_for() -> None:
    low = read("o2", (8, 9), -100, MISSING)
    judgement = judged(withdraw("o1", (0, 1), 1000, 400, MISSING), low)
    assert [each.anomaly for each in judgement.violations] == ["stale read"]


def test_an_account_seen_below_zero_held_too_little_for_a_refusal_that_tells_nothing() -> None:
    overdrawn = withdraw("o1", (0, 1), 1000, 1050, MISSING)
    entry = ("u", -100)
    low = call("o2", Kind.WITHDRAW, (2, 3), entry, ended=Ended.REFUSED, code=INSUFFICIENT)
    assert [each.anomaly for each in judged(overdrawn, low).violations] == ["overdraft"]


def test_no_level_is_claimed_where_the_graph_did_not_run_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost = (withdraw("a", (0, 10), 1000, 500, 2), add("b", (5, 20), 1000, 300, 3))
    assert judged(*lost).level is Level.READ_COMMITTED

    def late(*_: object) -> Found:
        raise Exceeded("more than 1 s were needed")

    monkeypatch.setitem(judge.__globals__, "check_graph", late)
    judgement = judged(*lost)
    assert (judgement.verdict, judgement.level) == (Verdict.BROKEN, None)


def test_no_level_is_claimed_where_hidden_balances_have_no_order() -> None:
    blind = OneCall("r", "A", Kind.BALANCE, 30, 40, entries=(OneEntry("u", 0, 77, 77),))
    judgement = judged(withdraw("a", (0, 10), 1000, 500, 2), blind)
    assert (judgement.verdict, judgement.level) == (Verdict.BROKEN, None)


def test_a_search_that_finds_nothing_takes_no_finding_of_the_graph_away() -> None:
    transfer = call(
        "t", Kind.TRANSFER, (0, 9), ("u", -500, 1000, 500, 2), ("v", 500, 1000, 1500, 2)
    )
    torn = call("r", Kind.BALANCE, (0, 9), ("u", 0, 500, 500, 2), ("v", 0, 1000, 1000, 1))
    blind = call("s", Kind.BALANCE, (20, 29), ("u", 0, 500, 500))
    judgement = judged(transfer, torn, blind, openings=TWO)
    assert (judgement.verdict, judgement.layer) == (Verdict.BROKEN, GRAPH)
    assert judgement.level is not Level.STRICT_SERIALIZABLE


def test_where_no_order_is_left_effects_that_were_taken_for_one_are_named() -> None:
    one, other = (
        call(name, Kind.ADD, interval, ("u", 10), key="k")
        for name, interval in (("o1", (1, 2)), ("o2", (3, 4)))
    )
    twice = judged(one, other, read("o3", (5, 6), 1020, MISSING))
    told = (
        "o1 (add 0.10) and o2 (add 0.10) have one idempotency key and count as one effect;"
        " applied twice, they may be the reason"
    )
    assert (twice.verdict, told in twice.notes) == (Verdict.BROKEN, True)
    assert told not in judged(one, other, read("o3", (5, 6), 1010, MISSING)).notes
