"""What is known to have happened: calls without an answer, refusals, idempotency keys, openings."""

from dataclasses import replace

import numpy as np
import pytest

from engine.checks import judge
from engine.checks.settle import settle
from engine.histories.by_hand import OneEntry, OneRow, from_calls
from engine.histories.columns import FOREVER, MISSING
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
    refused,
    row,
    unanswered,
    withdraw,
)

LOG = (row("a", 1000, -500, 2),)


def test_an_unanswered_call_in_the_log_happened_at_any_time_after_it_was_invoked() -> None:
    settled = settle(from_calls([unanswered("a", 7, -500)], openings=ONE, log=LOG))
    history = settled.history
    assert (history.invoked.tolist(), history.completed.tolist()) == ([7], [FOREVER])
    assert (history.before.tolist(), history.after.tolist()) == ([1000], [500])
    late = judged(unanswered("a", 0, -500), read("r", (90, 91), 1000, 1), log=LOG)
    assert late.verdict is Verdict.CLEAN


def test_an_unanswered_call_that_a_complete_log_does_not_know_never_happened() -> None:
    judgement = judged(
        unanswered("b", 0, -500), withdraw("a", (0, 4), 1000, 500, 2), log=LOG, finals={"u": 500}
    )
    assert (judgement.verdict, judgement.lost) == (Verdict.CLEAN, 0)


def test_without_a_complete_log_unanswered_calls_leave_the_verdict_unknown() -> None:
    judgement = judged(
        unanswered("b", 0, -500), withdraw("a", (0, 4), 1000, 500, 2), log=LOG, complete=False
    )
    assert (judgement.verdict, judgement.level, judgement.lost) == (Verdict.UNKNOWN, None, None)
    assert judgement.notes == (
        "calls never answered, of which nothing tells whether they happened: 1",
        "the final phase is incomplete: more may have happened",
    )


def test_a_gap_that_an_unanswered_call_may_explain_is_unknown() -> None:
    judgement = judged(unanswered("b", 0, -500), add("a", (0, 4), 500, 300, 3))
    assert judgement.verdict is Verdict.UNKNOWN
    assert judgement.notes[-1] == (
        "ledger: gaps that calls without an answer, or not recorded, may explain: 1"
    )


def test_a_violation_stands_whatever_unanswered_calls_did() -> None:
    judgement = judged(
        unanswered("x", 0, -500),
        withdraw("a", (0, 10), 1000, 500, 2),
        add("b", (5, 20), 1000, 300, 3),
        complete=False,
    )
    assert judgement.verdict is Verdict.BROKEN
    assert judgement.violations[0].calls == (1, 2)


def test_conflicts_and_their_like_leave_no_trace() -> None:
    conflict = refused("a", (0, 1), 5, 1000, 77)._replace(code="conflict")
    assert judged(conflict).verdict is Verdict.CLEAN


def test_a_refusal_that_may_have_happened_counts_as_never_answered() -> None:
    timeout = withdraw("a", (0, 1), 1000, 500, 2)._replace(ended=Ended.REFUSED, code="timeout")
    later = read("r", (90, 91), 500, 2)
    assert judged(timeout, later, log=LOG, finals={"u": 500}).verdict is Verdict.CLEAN


def test_attempts_under_one_key_are_one_effect_between_first_invocation_and_first_answer() -> None:
    attempts = [
        unanswered("a", 3, -300, key="k"),
        withdraw("b", (6, 9), 1000, 300, 2, key="k"),
        withdraw("c", (5, 20), 1000, 300, 2, key="k"),
    ]
    settled = settle(from_calls(attempts, openings=ONE))
    assert (settled.history.invoked.tolist(), settled.history.completed.tolist()) == ([3], [9])
    assert judged(*attempts, finals={"u": 700}).verdict is Verdict.CLEAN


def test_a_key_is_free_to_name_accounts_in_another_order_when_it_repeats_a_receipt() -> None:
    sides = (("u", -500, 1000, 500, 2), ("v", 500, 1000, 1500, 2))
    first = call("a", Kind.TRANSFER, (0, 4), *sides, key="k")
    again = call("b", Kind.TRANSFER, (5, 9), *reversed(sides), key="k")
    assert judged(first, again, openings=TWO).verdict is Verdict.CLEAN


def test_two_receipts_under_one_key_are_an_operation_applied_twice() -> None:
    judgement = judged(
        withdraw("a", (0, 4), 1000, 300, 2, key="k"),
        withdraw("b", (6, 9), 700, 300, 3, key="k"),
        finals={"u": 400},
    )
    assert messages(judgement) == [
        "a (withdraw 3.00) and b (withdraw 3.00) are one idempotency key, applied twice: 3.00 lost"
    ]
    assert (judgement.violations[0].calls, judgement.lost) == ((0, 1), 300)


def test_a_retry_that_the_log_has_beside_the_unanswered_first_try_was_applied_twice() -> None:
    judgement = judged(
        unanswered("a", 0, -300, key="k"),
        withdraw("b", (6, 9), 700, 300, 3, key="k"),
        log=[row("a", 1000, -300, 2), row("b", 700, -300, 3)],
        finals={"u": 400},
    )
    assert [violation.anomaly for violation in judgement.violations] == ["applied twice"]


def test_too_little_is_no_answer_to_a_key_that_was_granted() -> None:
    judgement = judged(
        withdraw("a", (0, 4), 1000, 800, 2, key="k"), refused("b", (6, 9), 200, 800, 2, key="k")
    )
    assert messages(judgement) == [
        "b (withdraw 8.00) was refused for too little, though a (withdraw 8.00) had been granted"
        " under the same idempotency key"
    ]


def test_an_account_that_the_history_opens_begins_with_nothing() -> None:
    opened = call("o", Kind.OPEN, (0, 1), ("u", 1000, 0, 1000, 1))
    judgement = judged(opened, withdraw("a", (2, 3), 1000, 500, 2), openings={})
    assert (judgement.verdict, judgement.lost) == (Verdict.CLEAN, 0)


def test_rows_of_the_log_behind_the_opening_are_not_asked_for() -> None:
    before = OneRow("o", "u", Kind.OPEN, 1000, 0, 1000, 1)
    calls = (withdraw("a", (0, 4), 1000, 500, 2),)
    assert judged(*calls, log=[before, *LOG]).verdict is Verdict.CLEAN


def test_a_log_alone_without_versions_stands_in_the_order_of_its_rows() -> None:
    rows = [
        OneRow("o", "u", Kind.OPEN, 1000, 0, 1000),
        OneRow("a", "u", Kind.WITHDRAW, -500, 1000, 500),
    ]
    assert settle(from_calls([], openings={}, log=rows)).history.version.tolist() == [1, 2]
    assert judged(openings={}, log=rows).verdict is Verdict.CLEAN


def test_an_entry_that_moved_nothing_wrote_only_what_nobody_else_wrote() -> None:
    looked = call("r", Kind.CHANGE, (5, 6), ("u", 0, 500, 500, 2))
    wrote = call("w", Kind.BATCH, (7, 8), ("u", 0, 500, 500, 3))
    history = from_calls([withdraw("a", (0, 4), 1000, 500, 2), looked, wrote], openings=ONE)
    assert settle(history).writes.tolist() == [True, False, True]


def test_what_is_settled_keeps_its_place_in_the_history_asked_about() -> None:
    calls = [
        refused("x", (0, 1), 1000, 1, 1)._replace(code="conflict"),
        withdraw("a", (2, 3), 1000, 500, 2),
    ]
    settled = settle(from_calls(calls, openings=ONE))
    assert np.array_equal(settled.calls, [1])
    assert settled.asked(0) == (1,)
    assert MISSING not in settled.history.version


@pytest.mark.parametrize("known", ["before", "after"])
@pytest.mark.parametrize("version", [1, MISSING])
def test_a_refusal_changed_nothing_whichever_balance_it_tells(known: str, version: int) -> None:
    entry = OneEntry("u", -1500, version=version)._replace(**{known: 1000})
    blind = refused("a", (0, 1), 1000, 1500, 1)._replace(entries=(entry,))
    (told,) = {
        (int(history.before[0]), int(history.after[0]))
        for history in [settle(from_calls([blind], openings=ONE)).history]
    }
    assert told == (1000, 1000)
    assert judged(blind).verdict is Verdict.CLEAN


@pytest.mark.parametrize("kind", [Kind.BALANCE, Kind.CHECK])
@pytest.mark.parametrize("known", ["before", "after"])
@pytest.mark.parametrize("version", [1, MISSING])
def test_a_question_changed_nothing_whichever_balance_it_tells(
    kind: Kind, known: str, version: int
) -> None:
    entry = OneEntry("u", 700, need=700, version=version)._replace(**{known: 1000})
    asked = read("r", (0, 1), 1000, 1)._replace(kind=kind, entries=(entry,))
    assert judged(asked).verdict is Verdict.CLEAN


def test_a_refusal_of_nobody_knows_how_much_says_little() -> None:
    entry = OneEntry("u", MISSING, 1000, 1000, MISSING, MISSING)
    history = from_calls(
        [refused("a", (0, 1), 1000, 1500, 1)._replace(entries=(entry,))], openings=ONE
    )
    history = replace(history, need=np.full(1, MISSING))
    assert judge(history).verdict is Verdict.CLEAN
    assert judge(replace(history, before=np.full(1, MISSING))).verdict is Verdict.CLEAN


def test_a_row_of_an_attempt_that_names_no_account_is_an_effect() -> None:
    first = call("a", Kind.WITHDRAW, (0, None), ended=Ended.UNKNOWN, key="k")
    again = call("b", Kind.WITHDRAW, (3, 5), key="k")
    judgement = judged(first, again, log=LOG, finals={"u": 500})
    assert judgement.verdict is Verdict.CLEAN, judgement


def test_an_unanswered_call_in_the_log_makes_its_key_stand_for_it() -> None:
    calls = (unanswered("a", 0, -500, key="k"), refused("b", (2, 4), 500, 600, 2, key="k"))
    (violation,) = judged(*calls, log=LOG, finals={"u": 500}).violations
    assert (violation.anomaly, violation.calls) == ("forgotten key", (0, 1))


@pytest.mark.parametrize("told", [True, False])
def test_an_opening_balance_without_a_version_is_the_one_that_was_opened_with(told: bool) -> None:
    opened = row("o", 0, 1000, 1)._replace(kind=Kind.OPEN)
    opens = (call("o", Kind.OPEN, (0, 1), ("u", 1000, 0, 1000, 1)),) if told else ()
    log = [opened, *LOG]
    history = from_calls([*opens, withdraw("a", (2, 4), 1000, 500, 2)], openings=ONE, log=log)
    unversioned = replace(history, opening_versions=np.full(1, MISSING))
    assert judge(unversioned).verdict is Verdict.CLEAN


def test_an_attempt_at_something_else_is_no_earlier_attempt_at_what_was_answered() -> None:
    other = unanswered("x", 0, 100, key="k")
    early = read("r", (2, 3), 1200, MISSING)
    again = add("a", (5, 9), MISSING, 200, MISSING, key="k")._replace(entries=(OneEntry("u", 200),))
    assert judged(other, early, again).verdict is Verdict.BROKEN
    same = unanswered("x", 0, 200, key="k")
    assert judged(same, early, again).verdict is Verdict.CLEAN
