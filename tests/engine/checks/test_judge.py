"""The judge: which layers run, what they leave unknown, and that nothing it meets makes it fall."""

from collections.abc import Callable
from typing import Any

import pytest

from engine.checks import judge
from engine.checks.verdict import Budget, CannotSay, Exceeded, Found, Level
from engine.histories.by_hand import OneCall, OneEntry, from_calls
from engine.histories.columns import INSUFFICIENT, MISSING
from engine.recording import Ended, Kind
from engine.verdicts import Verdict
from tests.engine.checks.calls import (
    ONE,
    TWO,
    add,
    call,
    judged,
    messages,
    read,
    row,
    unanswered,
    withdraw,
)

LOST = (withdraw("a", (0, 10), 1000, 500, 2), add("b", (5, 20), 1000, 300, 3))


def raising(error: Exception) -> Callable[..., Found]:
    def layer(*_: Any) -> Found:
        raise error

    return layer


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (ZeroDivisionError("oops"), "version sweep failed: ZeroDivisionError: oops"),
        (MemoryError(), "version sweep failed: MemoryError: "),
        (Exceeded("more than 1 s were needed"), "version sweep: more than 1 s were needed"),
        (CannotSay("no"), "version sweep: no"),
    ],
)
def test_a_layer_that_crashes_or_exceeds_leaves_unknown_and_never_clean(
    monkeypatch: pytest.MonkeyPatch, error: Exception, note: str
) -> None:
    monkeypatch.setitem(judge.__globals__, "check_versions", raising(error))
    judgement = judged(*LOST[:1])
    assert (judgement.verdict, judgement.level, judgement.notes) == (
        Verdict.UNKNOWN,
        None,
        (note,),
    )
    assert judged(*LOST).verdict is Verdict.BROKEN


def test_a_crash_before_any_layer_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(judge.__globals__, "settle", raising(ZeroDivisionError()))
    judgement = judged(*LOST)
    assert (judgement.verdict, judgement.layer, judgement.passed) == (Verdict.UNKNOWN, "", ())


def test_a_crash_between_layers_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(judge.__globals__, "chains", raising(RecursionError("deep")))
    judgement = judged(*LOST[:1])
    assert (judgement.verdict, judgement.level) == (Verdict.UNKNOWN, None)
    assert judgement.notes == ("judging failed: RecursionError: deep",)


def test_a_budget_that_is_used_up_leaves_unknown() -> None:
    moments = iter(range(0, 1000, 50))
    budget = Budget(seconds_max=10, clock=lambda: next(moments))
    judgement = judge(from_calls(LOST[:1], openings=ONE), budget=budget)
    assert judgement.verdict is Verdict.UNKNOWN
    assert judgement.notes[0] == "arithmetic: more than 10 s were needed"


def test_memory_that_is_used_up_leaves_unknown() -> None:
    budget = Budget(memory_mb_max=1, held_mb=lambda: 2.0)
    assert judge(from_calls(LOST[:1], openings=ONE), budget=budget).verdict is Verdict.UNKNOWN


def test_an_incomplete_final_phase_is_unknown_at_best() -> None:
    judgement = judged(*LOST[:1], complete=False)
    assert (judgement.verdict, judgement.passed[-1]) == (Verdict.UNKNOWN, "version sweep")
    assert judged(*LOST, complete=False).verdict is Verdict.BROKEN


def test_without_versions_the_event_order_decides() -> None:
    entry = OneEntry("u", -500, 1000, 500)
    judgement = judged(withdraw("a", (0, 10), 1000, 500, MISSING)._replace(entries=(entry,)))
    assert (judgement.verdict, judgement.layer) == (Verdict.CLEAN, "event order")
    assert judgement.level is Level.STRICT_SERIALIZABLE
    assert judgement.notes == (
        "no versions to go by: changes without a version or balance of their own: 1 of 1",
    )


def test_without_versions_across_accounts_the_only_versions_there_can_be_decide() -> None:
    transfer = call("t", Kind.TRANSFER, (0, 9), ("u", -500, 1000, 500), ("v", 500, 1000, 1500))
    torn = call("r", Kind.BALANCE, (0, 9), ("u", 0, 500, 500), ("v", 0, 1000, 1000))
    whole = torn._replace(entries=(OneEntry("u", 0, 500, 500), OneEntry("v", 0, 1500, 1500)))
    assert judged(transfer, whole, openings=TWO).verdict is Verdict.CLEAN
    assert messages(judged(transfer, torn, openings=TWO)) == [
        "t wrote what r read of u, and r read version 1 of v before t wrote 2: a contradiction"
    ]


def blind(name: str, interval: tuple[int, int | None], amount: int, ended: Ended) -> OneCall:
    code = INSUFFICIENT if ended is Ended.REFUSED else ""
    kind = Kind.ADD if amount > 0 else Kind.WITHDRAW
    return call(name, kind, interval, ("u", amount), ended=ended, code=code)


def test_too_little_has_no_place_after_the_effect_of_its_key_nor_before_it() -> None:
    never = blind("never", (0, None), -300, Ended.UNKNOWN)._replace(key="k")
    again = blind("again", (0, 3), -300, Ended.REFUSED)._replace(key="k")
    judgement = judged(never, again, openings={"u": 500}, finals={"u": 200})
    assert (judgement.verdict, judgement.layer, judgement.level) == (
        Verdict.BROKEN,
        "general search",
        None,
    )
    assert messages(judgement) == [
        "no order is left when again (withdraw 3.00) returns; possible until then:"
        " u 5.00, the key free; u 2.00, the key granted"
    ]
    added = blind("d", (2, 4), 500, Ended.OK)
    assert judged(never, again, added, openings={"u": 100}, finals={"u": 300}).verdict is (
        Verdict.CLEAN
    )


def test_too_little_beside_versions_that_it_does_not_tell_leaves_its_key_unknown() -> None:
    granted = withdraw("a", (0, 3), 1000, 900, 2, key="k")
    again = blind("b", (1, 4), -900, Ended.REFUSED)._replace(key="k")
    judgement = judged(granted, again)
    assert judgement.verdict is Verdict.UNKNOWN
    assert judgement.notes[-1] == "refusals that may have come after their key's effect: 1"


def test_of_several_accounts_one_must_have_held_too_little() -> None:
    entries = (("u", -400), ("v", -400))
    batch = call("b", Kind.BATCH, (0, 1), *entries, ended=Ended.REFUSED, code=INSUFFICIENT)
    taken = blind("w", (2, 3), -700, Ended.OK)
    assert judged(batch, taken, openings=TWO).verdict is Verdict.BROKEN
    assert judged(batch._replace(completed=4), taken, openings=TWO).verdict is Verdict.CLEAN


def test_a_broken_key_is_told_of_though_the_links_are_open() -> None:
    open_ended = unanswered("x", 0, -100)
    once = withdraw("a", (0, 1), 1000, 500, 2, key="k")
    twice = withdraw("b", (2, 4), 400, 300, 4, key="k")
    judgement = judged(open_ended, once, twice)
    assert "ledger: gaps that calls without an answer" in " ".join(judgement.notes)
    assert [violation.anomaly for violation in judgement.violations] == ["applied twice"]


def test_where_the_time_is_used_up_it_is_said_what_was_tried_and_how_to_give_more() -> None:
    transfer = call("t", Kind.TRANSFER, (0, 9), ("u", -1), ("v", 1))
    moments = iter([0.0] * 4 + [99.0] * 99)
    budget = Budget(seconds_max=10, clock=lambda: next(moments))
    judgement = judge(from_calls([transfer], openings=TWO), budget=budget)
    assert judgement.verdict is Verdict.UNKNOWN
    assert judgement.notes[-1] == (
        "no search decided: tried black box, general search, for 10 s in all;"
        " --budget-s gives them more"
    )


def test_where_only_answers_are_known_the_black_box_decides() -> None:
    answered = call("a", Kind.WITHDRAW, (0, 10), ("u", -500))
    told = call("r", Kind.BALANCE, (11, 12), ("u", 0, 500, 500))
    judgement = judged(answered, told)
    assert (judgement.verdict, judgement.layer) == (Verdict.CLEAN, "black box")
    assert judged(answered, told, finals={"u": 400}).violations[0].message == (
        "u: should hold 5.00 in the end, but holds 4.00: 1.00 lost"
    )


def test_an_answer_without_a_version_is_judged_beside_those_with_one() -> None:
    blind = call("b", Kind.WITHDRAW, (20, 30), ("u", -400), ended=Ended.REFUSED, code=INSUFFICIENT)
    judgement = judged(LOST[0], blind)
    assert (judgement.verdict, judgement.level) == (Verdict.BROKEN, None)
    assert judgement.violations[0].calls == (1,)
    right = judged(LOST[0], blind._replace(entries=(OneEntry("u", -600),)))
    assert (right.verdict, right.layer) == (Verdict.CLEAN, "version sweep")


def test_violations_name_calls_of_the_history_asked_about() -> None:
    dropped = call("x", Kind.ADD, (0, 1), ("u", 7), ended=Ended.REFUSED, code="conflict")
    assert judged(dropped, *LOST).violations[0].calls == (1, 2)
    values = [
        each._replace(entries=tuple(entry._replace(version=MISSING) for entry in each.entries))
        for each in (withdraw("a", (2, 3), 1000, 500, 2), read("r", (5, 6), 1000, 1))
    ]
    assert judged(dropped, *values).violations[0].calls == (2,)


def test_the_prefix_before_the_first_violation_is_consistent() -> None:
    calls = (*LOST[:1], add("c", (11, 12), 500, 1, 3), add("b", (13, 20), 500, 300, 4))
    assert judged(*calls).consistent == 2
    assert judged(*calls[:2]).consistent == 2


def test_of_a_log_by_itself_no_prefix_of_calls_is_known_unless_all_of_it_is_consistent() -> None:
    rows = [row("a", 1000, -500, 2), row("b", 1000, 300, 3)]
    assert judged(log=rows).consistent is None
    assert judged(log=rows[:1]).consistent == 1


def test_a_history_in_which_nothing_is_wrong_is_clean_at_the_layer_named() -> None:
    judgement = judged(LOST[0], read("r", (11, 12), 500, 2), finals={"u": 500})
    assert judgement.verdict is Verdict.CLEAN
    assert judgement.layer == "version sweep"
    assert judgement.passed == ("arithmetic", "ledger", "version sweep")
    assert (judgement.operations, judgement.lost, dict(judgement.lost_on)) == (2, 0, {})
