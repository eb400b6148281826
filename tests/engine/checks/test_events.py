"""Before and after, no versions: an order of each account's calls, or where none is left."""

from dataclasses import replace

import numpy as np
import pytest

from engine.checks.events import check_events
from engine.checks.events_versions import infer_versions
from engine.checks.verdict import Budget, CannotSay, Exceeded, Level, Violation
from engine.histories.by_hand import OneCall, OneEntry, from_calls
from engine.histories.columns import INSUFFICIENT, MISSING, History
from engine.histories.drawing import Shape
from engine.histories.generate import Known, generate, hide
from engine.recording import Ended, Kind
from engine.verdicts import Break


def changed(
    name: str, amount: int, before: int, invoked: int, completed: int | None, account: str = "u"
) -> OneCall:
    """A deposit or a withdrawal that told what it found and left; None: it was never answered."""
    kind = Kind.ADD if amount > 0 else Kind.WITHDRAW
    if completed is None:
        entry = OneEntry(account, amount)
        return OneCall(name, name, kind, invoked, None, Ended.UNKNOWN, entries=(entry,))
    entry = OneEntry(account, amount, before, before + amount)
    return OneCall(name, name, kind, invoked, completed, entries=(entry,))


def read(name: str, balance: int, invoked: int, completed: int) -> OneCall:
    entry = OneEntry("u", 0, balance, balance)
    return OneCall(name, name, Kind.BALANCE, invoked, completed, entries=(entry,))


def moved(name: str, source: int, target: int, invoked: int, completed: int) -> OneCall:
    """A transfer of 1.00 from u to v that found these balances."""
    entries = (
        OneEntry("u", -100, source, source - 100),
        OneEntry("v", 100, target, target + 100),
    )
    return OneCall(name, name, Kind.TRANSFER, invoked, completed, entries=entries)


def history(*calls: OneCall, final: int | None = None, complete: bool = True) -> History:
    finals = None if final is None else {"u": final}
    return from_calls(calls, openings={"u": 1000, "v": 0}, finals=finals, complete=complete)


def only_violation(judged: History) -> Violation:
    found = check_events(judged, Budget())
    assert found.count == 1
    return found.violations[0]


def test_overlapping_calls_that_follow_from_each_other_are_strictly_serializable() -> None:
    judged = history(
        changed("b", 300, 500, 0, 20), changed("a", -500, 1000, 0, 20), read("r", 500, 5, 9)
    )
    found = check_events(judged, Budget())
    assert (found.count, found.level) == (0, Level.STRICT_SERIALIZABLE)


def test_a_lost_update_names_both_operations_and_the_amount() -> None:
    judged = history(changed("a", -500, 1000, 0, 10), changed("b", 300, 1000, 5, 20), final=1300)
    violation = only_violation(judged)
    assert violation.message == (
        "u: a (withdraw 5.00) and b (add 3.00) both found 10.00, and 13.00 was written over 5.00:"
        " 5.00 made"
    )
    assert (violation.kind, violation.anomaly) == (Break.MONEY, "lost update")
    assert (violation.calls, violation.amount) == ((0, 1), 500)


def test_whose_update_was_lost_is_told_by_what_was_found_later() -> None:
    judged = history(
        changed("a", -500, 1000, 0, 10), changed("b", 300, 1000, 5, 20), read("r", 500, 30, 40)
    )
    violation = only_violation(judged)
    assert (violation.calls, violation.amount) == ((1, 0), -300)


def test_a_lost_update_is_told_of_before_both_have_returned() -> None:
    judged = history(
        changed("a", -500, 1000, 0, 10),
        changed("b", 300, 1000, 5, 90),
        changed("c", 1, 1300, 20, 30),
    )
    violation = only_violation(judged)
    assert (violation.anomaly, violation.calls, violation.amount) == ("lost update", (0, 1), 500)


def test_a_stale_read_names_the_earliest_point_and_what_was_possible() -> None:
    judged = history(
        changed("a", -500, 1000, 0, 10), changed("b", 300, 500, 15, 40), read("r", 1000, 20, 30)
    )
    violation = only_violation(judged)
    assert violation.message == (
        "u: no order of the calls is left when r (balance) returns, which found 10.00; possible"
        " until then: 5.00 with b (add 3.00) to come"
    )
    assert (violation.kind, violation.anomaly, violation.calls) == (
        Break.READS,
        "stale read",
        (2,),
    )


def test_changes_that_follow_from_each_other_against_time_break_the_order() -> None:
    judged = history(changed("b", 300, 500, 0, 10), changed("a", -500, 1000, 20, 30))
    violation = only_violation(judged)
    assert (violation.kind, violation.calls) == (Break.ORDER, (0,))
    assert violation.message == (
        "u: no order of the calls is left when b (add 3.00) returns, which found 5.00 and left"
        " 8.00; possible until then: 10.00"
    )


def test_money_that_no_call_explains_is_a_wrong_balance_in_the_end() -> None:
    violation = only_violation(history(changed("a", -500, 1000, 0, 10), final=700))
    assert (violation.kind, violation.calls) == (Break.MONEY, ())
    assert violation.message == (
        "u holds 7.00 in the end, which no order of its calls explains; possible until then: 5.00"
    )


def test_balances_in_the_end_prove_nothing_unless_the_final_phase_ended() -> None:
    judged = history(changed("a", -500, 1000, 0, 10), final=700, complete=False)
    assert check_events(judged, Budget()).count == 0


def test_a_change_that_does_not_add_up_is_its_own_contradiction() -> None:
    entry = OneEntry("u", -500, 1000, 600)
    judged = history(OneCall("a", "A", Kind.WITHDRAW, 0, 10, entries=(entry,)))
    assert only_violation(judged).message == ("u: what a (withdraw 5.00) found and left do not fit")


@pytest.mark.parametrize(("final", "broken"), [(1000, False), (700, False), (600, True)])
def test_an_unanswered_call_may_have_happened_or_not(final: int, broken: bool) -> None:
    judged = history(changed("a", -300, 0, 0, None), final=final)
    assert bool(check_events(judged, Budget()).count) == broken


def test_an_unanswered_call_may_happen_long_after_it_was_invoked_but_not_before() -> None:
    late = history(changed("a", -300, 0, 0, None), read("r", 1000, 5, 9), read("s", 700, 90, 99))
    early = history(read("r", 700, 0, 9), changed("a", -300, 0, 10, None))
    assert check_events(late, Budget()).count == 0
    assert check_events(early, Budget()).count == 1


def test_several_unanswered_calls_explain_a_balance_together() -> None:
    unanswered = [changed(f"a{place}", 3**place, 0, place, None) for place in range(15)]
    total = 1000 + sum(3**place for place in range(0, 15, 2))
    assert check_events(history(*unanswered, read("r", total, 30, 40)), Budget()).count == 0
    assert check_events(history(*unanswered, read("r", total + 1, 30, 40)), Budget()).count == 1


def test_writing_what_was_there_does_not_count_as_looking() -> None:
    # a leads away from 10.00 and b back to it, so c's 10.00 has to be the second one.
    judged = history(
        changed("a", -500, 1000, 0, 50),
        changed("b", 500, 500, 0, 50),
        changed("c", -100, 1000, 0, 50),
        read("r", 500, 0, 50),
        final=900,
    )
    assert check_events(judged, Budget()).count == 0


@pytest.mark.parametrize(("opening", "broken"), [({}, False), ({"u": 7}, True)])
def test_an_unknown_opening_is_what_the_first_call_found(
    opening: dict[str, int], broken: bool
) -> None:
    judged = from_calls([changed("a", 300, 1000, 0, 10)], openings=opening)
    assert bool(check_events(judged, Budget()).count) == broken


def test_a_refusal_must_have_found_too_little() -> None:
    entry = OneEntry("u", -500, 1000, 1000)
    refused = OneCall("a", "A", Kind.WITHDRAW, 0, 1, Ended.REFUSED, INSUFFICIENT, entries=(entry,))
    assert only_violation(history(refused)).anomaly == "arithmetic"


def test_an_account_without_an_order_stands_though_transfers_touch_others() -> None:
    judged = history(moved("t", 1000, 0, 0, 10), moved("s", 1000, 100, 5, 20))
    found = check_events(judged, Budget())
    assert [violation.account for violation in found.violations] == [0]
    assert found.notes == ("calls like t (transfer 1.00) touch several accounts",)


def test_transfers_alone_cannot_be_said_to_be_right_account_by_account() -> None:
    with pytest.raises(CannotSay, match=r"calls like t \(transfer 1.00\) touch several accounts"):
        check_events(history(moved("t", 1000, 0, 0, 10)), Budget())


def test_where_balances_force_the_order_versions_are_inferred() -> None:
    inferred = infer_versions(
        history(moved("s", 900, 100, 0, 20), moved("t", 1000, 0, 0, 20), read("r", 900, 0, 20))
    )
    assert inferred is not None
    assert inferred.version.tolist() == [3, 3, 2, 2, 2]


def test_where_two_calls_found_the_same_balance_no_versions_are_inferred() -> None:
    there, back = changed("a", 100, 1000, 0, 20), changed("b", -100, 1100, 0, 20)
    again = changed("c", 200, 1000, 0, 20)
    assert infer_versions(history(there, back, again)) is None
    assert infer_versions(history(there, back, again._replace(invoked=20))) is None
    apart = infer_versions(history(there, back, again._replace(invoked=21, completed=30)))
    assert apart is not None
    assert apart.version.tolist() == [2, 3, 4]


def test_a_look_that_may_have_seen_either_of_two_versions_infers_none() -> None:
    calls = changed("a", 100, 1000, 0, 20), changed("b", -100, 1100, 0, 20)
    assert infer_versions(history(*calls, read("r", 1000, 5, 6))) is None
    later = infer_versions(history(*calls, read("r", 1000, 25, 26)))
    assert later is not None
    assert later.version[2] == 3


def test_no_versions_are_inferred_where_something_is_not_known() -> None:
    assert infer_versions(history(changed("a", 100, 0, 0, None))) is None
    unseen = OneCall("a", "A", Kind.ADD, 0, 1, entries=(OneEntry("u", 100),))
    assert infer_versions(history(unseen)) is None
    assert infer_versions(from_calls([changed("a", 100, 5, 0, 1)], openings={})) is None


@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        ([changed("a", 1, 0, 0, 1), changed("b", 1, 1, 2, 3)._replace(clock="2")], "clocks"),
        ([changed("a", 1, 0, 0, 1)._replace(invoked=MISSING)], "time of invocation"),
        ([changed(name, 1, 0, 0, 1)._replace(key="k") for name in "ab"], "idempotency key"),
    ],
)
def test_without_one_order_in_real_time_nothing_is_said(calls: list[OneCall], reason: str) -> None:
    with pytest.raises(CannotSay, match=reason):
        check_events(from_calls(calls, openings={"u": 0}), Budget())


def test_a_long_right_history_with_timeouts_is_clean_and_one_wrong_read_is_found() -> None:
    right = hide(generate(Shape(calls=3000, clients=16, timeouts=10), seed=5), Known.VALUES)
    assert check_events(right, Budget()).count == 0
    reads = (right.kind == Kind.BALANCE).nonzero()[0]
    place = int(right.first[reads[len(reads) // 2]])
    right.before[place] += 1
    right.after[place] += 1
    assert check_events(right, Budget()).violations[0].anomaly == "stale read"


def test_the_time_of_the_budget_is_honoured() -> None:
    judged = hide(generate(Shape(calls=200), seed=1), Known.VALUES)
    moments = iter(range(100))
    budget = Budget(seconds_max=0.5, clock=lambda: float(next(moments)))
    with pytest.raises(Exceeded, match=r"more than 0\.5 s were needed"):
        check_events(judged, budget)


@pytest.mark.parametrize("known", ["before", "after"])
def test_a_refusal_that_tells_one_balance_left_what_it_found(known: str) -> None:
    entry = OneEntry("u", -500)._replace(**{known: 300})
    short = OneCall("a", "A", Kind.WITHDRAW, 0, 1, Ended.REFUSED, INSUFFICIENT, entries=(entry,))
    history = from_calls([short], openings={"u": 300})
    assert check_events(history, Budget()).count == 0
    nobody_knows = replace(history, amount=np.full(1, MISSING), need=np.full(1, MISSING))
    assert check_events(nobody_knows, Budget()).count == 0
