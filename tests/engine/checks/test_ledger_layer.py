"""The chain of each account's changes, and the operation log beside what was answered."""

from engine.checks.verdict import VIOLATIONS_MAX, Level
from engine.histories.columns import MISSING
from engine.recording import Ended, Kind
from engine.verdicts import Verdict
from tests.engine.checks.calls import (
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

LOST = (withdraw("a", (0, 10), 1000, 500, 2), add("b", (5, 20), 1000, 300, 3))
LOG = (row("a", 1000, -500, 2),)


def test_a_lost_update_names_both_operations_and_the_money() -> None:
    judgement = judged(*LOST, finals={"u": 1300})
    assert (judgement.verdict, judgement.layer) == (Verdict.BROKEN, "ledger")
    assert judgement.level is Level.READ_COMMITTED
    assert messages(judgement) == [
        "u: b (add 3.00) began from 10.00 and overwrote a (withdraw 5.00), which had left 5.00:"
        " 5.00 made"
    ]
    (violation,) = judgement.violations
    assert (violation.anomaly, violation.calls, violation.amount) == ("lost update", (0, 1), 500)
    assert [(link.earlier, link.later) for link in violation.links] == [(1, 0), (0, 1)]
    assert (judgement.lost, judgement.lost_on, judgement.consistent) == (-500, {0: -500}, 1)


def test_of_two_writes_that_claim_one_version_the_one_that_lived_on_overwrote_the_other() -> None:
    same = (withdraw("a", (0, 10), 1000, 500, 2), add("b", (5, 20), 1000, 300, 2))
    assert judged(*same, finals={"u": 1300}).violations[0].calls == (0, 1)
    then = add("c", (30, 40), 500, 1, 3)
    assert judged(*same, then).violations[0].calls == (1, 0)


def test_a_write_that_overwrote_several_says_how_many() -> None:
    judgement = judged(
        withdraw("a", (0, 10), 1000, 500, 2),
        withdraw("c", (0, 10), 500, 100, 3),
        add("b", (5, 20), 1000, 300, 4),
    )
    assert messages(judgement) == [
        "u: b (add 3.00) began from 10.00 and overwrote a (withdraw 5.00) and 1 more, which had"
        " left 4.00: 6.00 made"
    ]


def test_a_balance_that_nobody_left_breaks_the_chain() -> None:
    judgement = judged(withdraw("a", (0, 10), 1000, 500, 2), add("b", (15, 20), 777, 300, 3))
    assert messages(judgement) == [
        "u: a (withdraw 5.00) left 5.00, but b (add 3.00) began from 7.77: 2.77 made"
    ]
    assert judgement.level is Level.NONE


def test_a_change_that_begins_elsewhere_than_the_account_opened_breaks_the_chain() -> None:
    assert messages(judged(withdraw("a", (0, 10), 900, 500, 2))) == [
        "u: the account opened with 10.00, but a (withdraw 5.00) began from 9.00: 1.00 lost"
    ]


def test_a_version_that_nobody_wrote_is_missing() -> None:
    judgement = judged(withdraw("a", (0, 10), 1000, 500, 2), add("b", (5, 20), 400, 300, 4))
    assert messages(judgement) == [
        "u: version 3 is missing: a (withdraw 5.00) left 5.00 at version 2, and b (add 3.00) wrote"
        " version 4: 1.00 lost"
    ]


def test_another_balance_in_the_end_than_the_last_change_left_is_money_lost() -> None:
    judgement = judged(withdraw("a", (0, 4), 1000, 500, 2), finals={"u": 400})
    assert messages(judgement) == [
        "u: a (withdraw 5.00) left 5.00, but in the end it holds 4.00: 1.00 lost"
    ]
    assert judgement.lost == 100


def test_an_account_that_nobody_touched_must_hold_what_it_opened_with() -> None:
    judgement = judged(openings=TWO, finals={"u": 1000, "v": 900})
    assert messages(judgement) == [
        "v: the account opened with 10.00, but in the end it holds 9.00: 1.00 lost"
    ]


def test_an_acknowledged_change_that_the_log_lacks_is_forgotten() -> None:
    judgement = judged(*LOST[:1], withdraw("b", (0, 4), 500, 100, 3), log=LOG)
    assert messages(judgement) == [
        "u: b (withdraw 1.00) was acknowledged, but the log does not have it: 1.00 made"
    ]
    assert judgement.violations[0].calls == (1,)


def test_a_refused_change_that_the_log_has_was_applied() -> None:
    calls = (refused("a", (0, 4), 1000, 1500, 1), read("r", (0, 9), -500, 2))
    judgement = judged(*calls, log=[row("a", 1000, -1500, 2)])
    assert "u: a (withdraw 15.00) was refused, but stands in the log" in messages(judgement)


def test_a_row_that_nobody_asked_for_is_told() -> None:
    judgement = judged(read("r", (0, 4), 1000, 1), log=LOG, finals={"u": 500})
    assert messages(judgement) == [
        "u: a (withdraw 5.00) stands in the log, but nobody asked for it"
    ]
    assert judgement.lost == 500


def test_a_row_twice_in_the_log_was_applied_twice() -> None:
    judgement = judged(*LOST[:1], log=[*LOG, row("a", 500, -500, 3)], finals={"u": 0})
    assert messages(judgement) == ["u: a (withdraw 5.00) stands in the log more than once"]


def test_a_log_that_tells_another_story_than_the_answer_is_broken() -> None:
    judgement = judged(*LOST[:1], log=[LOG[0]._replace(after=400)])
    assert messages(judgement) == [
        "u: a (withdraw 5.00) was answered with after 5.00, but the log says 4.00"
    ]


def test_half_a_transfer_in_the_log_is_torn() -> None:
    half = call("t", Kind.TRANSFER, (0, None), ("u", -500), ("v", 500), ended=Ended.UNKNOWN)
    judgement = judged(
        half, openings=TWO, log=[row("t", 1000, -500, 2)._replace(kind=Kind.TRANSFER)]
    )
    assert "v: the log has t (transfer 5.00), but not on this account: 5.00 lost" in messages(
        judgement
    )


def test_a_log_alone_shows_the_first_broken_link() -> None:
    judgement = judged(log=[*LOG, row("b", 1000, 300, 3)], finals={"u": 1300})
    assert (judgement.verdict, judgement.layer, judgement.lost) == (Verdict.BROKEN, "ledger", -500)
    assert judgement.notes == ("no times are known: nothing can be said of real-time order",)
    assert judged(log=LOG, finals={"u": 500}).verdict is Verdict.CLEAN


def test_the_count_is_exact_where_the_list_is_bounded() -> None:
    racing = [add(f"a{n}", (0, 9), 1000, 1, n + 2) for n in range(VIOLATIONS_MAX + 50)]
    judgement = judged(*racing)
    assert len(judgement.violations) == VIOLATIONS_MAX
    assert judgement.count == VIOLATIONS_MAX + 49


def test_a_call_without_an_answer_may_explain_the_balance_in_the_end() -> None:
    assert judged(unanswered("x", 0, -500), finals={"u": 500}).verdict is Verdict.CLEAN
    assert judged(unanswered("x", 0, -500), finals={"u": 400}).verdict is Verdict.BROKEN


def test_where_a_change_has_no_version_nobody_knows_what_the_last_one_left() -> None:
    blind = withdraw("b", (5, 8), 500, 100, MISSING)
    judgement = judged(withdraw("a", (0, 4), 1000, 500, 2), blind)
    assert (judgement.verdict, judgement.lost) == (Verdict.CLEAN, None)
