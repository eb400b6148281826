"""What is shown of a judged history: which calls, which times, and the money lost until when."""

import random

import pytest

from engine.checks import judge
from engine.checks.verdict import Judgement, Link, Violation
from engine.checks.view import STEP_NS, view_of
from engine.histories.by_hand import OneCall, OneEntry, OneRow, from_calls
from engine.histories.columns import MISSING, History
from engine.recording import Ended, Kind
from engine.verdicts import Break, Verdict
from tests.reports.history_samples import NAMES, OPENING, broken, linear, racing


def adds(count: int) -> History:
    """One addition after another, each to an account of its own."""
    return from_calls(
        (
            OneCall(
                f"op-{i}",
                f"c{i % 3}",
                Kind.ADD,
                10 * i,
                10 * i + 9,
                entries=(OneEntry(f"u{i}", 5, 0, 5, 2),),
            )
            for i in range(count)
        ),
        openings={f"u{i}": 0 for i in range(count)},
    )


def wrong(*calls: int, account: int = -1, amount: int = 0) -> Violation:
    return Violation(Break.ORDER, "G-single", "no order", calls, account, amount)


def test_a_short_history_is_shown_whole() -> None:
    view = view_of(adds(7), broken())
    assert view.calls.operation == [f"op-{i}" for i in range(7)]
    assert view.calls_total == 7
    assert view.calls.first == list(range(8))


def test_a_long_history_is_shown_around_its_first_violation() -> None:
    view = view_of(adds(50), broken(wrong(30)), calls_max=5)
    assert view.calls.operation == ["op-28", "op-29", "op-30", "op-31", "op-32"]
    assert view.calls_total == 50
    assert view.violations[0].calls == (2,)


def test_calls_of_every_violation_are_shown_however_far_they_are() -> None:
    links = (Link(3, 40, "read it before"), Link(40, 3, "returned before"))
    far = Violation(Break.READS, "stale read", "…", (3, 40), 40, links=links)
    view = view_of(adds(50), broken(far, wrong(20)), calls_max=7)
    shown = view.calls.operation
    assert len(shown) == 7
    assert [shown[call] for call in view.violations[0].calls] == ["op-3", "op-40"]
    assert [shown[call] for call in view.violations[1].calls] == ["op-20"]
    assert [(shown[one], shown[other]) for one, other, _ in view.violations[0].links] == [
        ("op-3", "op-40"),
        ("op-40", "op-3"),
    ]
    assert view.accounts[view.violations[0].account] == "u40"


def test_half_of_a_long_history_is_around_the_first_violation_and_half_around_the_others() -> None:
    view = view_of(adds(2_000), broken(wrong(1_000), wrong(100), wrong(1_900)), calls_max=120)
    shown = [int(name.removeprefix("op-")) for name in view.calls.operation]
    around = [sum(abs(call - place) < 90 for call in shown) for place in (1_000, 100, 1_900)]
    assert sum(around) == len(shown) == 120
    assert around == pytest.approx([72, 24, 24], abs=3)


def test_names_that_no_shown_call_uses_are_left_out() -> None:
    view = view_of(adds(50), broken(wrong(30)), calls_max=1)
    assert (view.clients, view.accounts) == (("c0",), ("u30",))
    assert view.calls.client == [0]


def test_what_was_not_recorded_is_none() -> None:
    call = OneCall("a", "A", Kind.ADD, 5, None, Ended.UNKNOWN, entries=(OneEntry("u", 3),))
    calls = view_of(from_calls([call], openings={"u": 0}), broken()).calls
    assert calls.completed_ns == [None]
    assert (calls.before, calls.after, calls.version) == ([None], [None], [None])
    assert calls.amount == [3]


def test_each_clock_is_drawn_from_its_own_first_call() -> None:
    calls = [
        OneCall("a", "A", Kind.ADD, 1_000, 1_010, clock="one"),
        OneCall("b", "A", Kind.ADD, 1_020, 1_030, clock="one"),
        OneCall("c", "B", Kind.ADD, 9_000_000, 9_000_007, clock="two"),
    ]
    view = view_of(from_calls(calls, openings={}), broken())
    assert view.calls.invoked_ns == [0, 20, 0]
    assert view.calls.completed_ns == [10, 30, 7]
    assert any("2 clocks" in note for note in view.notes)


def test_calls_without_times_are_drawn_in_their_order() -> None:
    calls = [OneCall(name, "A", Kind.ADD, MISSING, MISSING) for name in "abc"]
    view = view_of(from_calls(calls, openings={}), broken())
    assert view.calls.invoked_ns == [0, STEP_NS, 2 * STEP_NS]
    assert view.step_ns == STEP_NS
    assert any("in their order" in note for note in view.notes)


def test_a_log_by_itself_is_drawn_by_account_and_its_broken_link_names_both_operations() -> None:
    rows = [
        OneRow("t1", "u", Kind.CHANGE, 10, 100, 110),
        OneRow("t2", "v", Kind.CHANGE, 5, 100, 105),
        OneRow("t3", "u", Kind.CHANGE, 10, 100, 110),
        OneRow("t4", "u", Kind.CHANGE, 10, 110, 120),
    ]
    history = from_calls([], openings={"u": 100, "v": 100}, log=rows)
    view = view_of(history, judge(history))
    assert view.verdict is Verdict.BROKEN
    assert view.calls.operation == ["t1", "t2", "t3", "t4"]
    assert [view.clients[lane] for lane in view.calls.client] == ["u", "v", "u", "u"]
    assert [view.calls.operation[call] for call in view.violations[0].calls] == ["t1", "t3"]
    assert view.money[0][2] == [-10]
    assert view.consistent_ns == view.calls.completed_ns[2]


def test_a_lost_update_is_seen_once_both_were_answered() -> None:
    calls = [
        OneCall("a", "A", Kind.WITHDRAW, 0, 40, entries=(OneEntry("u", -500, 1000, 500, 2),)),
        OneCall("b", "B", Kind.ADD, 5, 20, entries=(OneEntry("u", 300, 1000, 1300, 3),)),
        OneCall("c", "B", Kind.BALANCE, 50, 60, entries=(OneEntry("u", 0, 1300, 1300, 3),)),
    ]
    history = from_calls(calls, openings={"u": 1000})
    view = view_of(history, judge(history))
    assert view.money == (("", [40], [500]), ("u", [40], [500]))
    assert view.consistent_ns == 40
    assert view.until_ns == 60


@pytest.mark.parametrize("seed", range(12))
def test_the_money_made_over_time_ends_at_the_total_of_the_judge(seed: int) -> None:
    history = racing(200, seed=seed)
    judgement = judge(history)
    view = view_of(history, judgement)
    assert judgement.lost is not None
    assert view.money[0][2][-1] == -judgement.lost
    by_name = {name: made[-1] for name, _, made in view.money[1:]}
    lost_on = {history.accounts[place]: -lost for place, lost in judgement.lost_on.items()}
    assert {name: made for name, made in by_name.items() if made} == {
        name: made for name, made in lost_on.items() if name in by_name
    }
    assert all(at == sorted(at) for _, at, _ in view.money)


def test_money_that_no_write_explains_is_seen_in_the_end() -> None:
    call = OneCall("a", "A", Kind.ADD, 0, 10, entries=(OneEntry("u", 5, 0, 5, 2),))
    history = from_calls([call], openings={"u": 0}, finals={"u": 9})
    view = view_of(history, judge(history))
    assert view.money[0] == ("", [10], [4])


def test_a_right_history_loses_nothing_and_is_consistent_throughout() -> None:
    history = from_calls(
        linear(150, 4, 3, random.Random(1), unknown=0), openings=dict.fromkeys(NAMES, OPENING)
    )
    judgement = judge(history)
    view = view_of(history, judgement)
    assert (judgement.verdict, view.money, view.consistent_ns) == (Verdict.CLEAN, (), None)


def test_an_empty_history_can_be_shown() -> None:
    history = from_calls([], openings={})
    view = view_of(history, Judgement(Verdict.CLEAN, "", None, (), 0, (), ()))
    assert (view.calls.operation, view.until_ns, view.money) == ([], 0, ())
