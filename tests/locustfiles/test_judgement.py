"""The verdict on a run, in words and as an exit status."""

import json

import pytest

from engine.verdicts import Break, Finding, Verdict
from locustfiles.answers import Answer
from locustfiles.judgement import FINDINGS_MAX, Holdings, as_document, in_words, judge
from locustfiles.tally import Tally


@pytest.fixture
def tally():
    """Ten acknowledged additions of 1.00 to u."""
    tally = Tally("r")
    for _ in range(10):
        tally.begin({"u": 100})
        tally.end("add", Answer.OK, "", {"u": 100})
    tally.served_by("0")
    tally.seconds = 2.0
    return tally


def test_wallets_that_hold_what_was_acknowledged_are_clean(tally):
    judgement = judge(1000, tally, Holdings({"u": 2000}, ()), service_workers=1)
    assert (judgement.verdict, judgement.exit_status) == (Verdict.CLEAN, 0)
    assert "hold exactly what the 10 acknowledged operations say" in in_words(judgement, tally)


def test_money_lost_is_positive_and_exits_1(tally):
    judgement = judge(1000, tally, Holdings({"u": 1700}, ()))
    assert (judgement.verdict, judgement.exit_status) == (Verdict.BROKEN, 1)
    assert judgement.lost_cents == 300
    assert judgement.findings[0].cents == -300
    words = in_words(judgement, tally)
    assert "the wallets hold 3.00 less than the 10 acknowledged operations say" in words


def test_money_made_is_negative_and_exits_1(tally):
    judgement = judge(1000, tally, Holdings({"u": 2001}, ()))
    assert (judgement.lost_cents, judgement.exit_status) == (-1, 1)
    assert "0.01 more than" in in_words(judgement, tally)


def test_losses_and_gains_of_two_wallets_do_not_hide_each_other(tally):
    judgement = judge(1000, tally, Holdings({"u": 1900, "v": 1100}, ()))
    assert judgement.lost_cents == 0
    assert judgement.verdict is Verdict.BROKEN
    assert len(judgement.findings) == 2


def test_a_finding_of_the_audit_alone_is_broken(tally):
    finding = Finding(Break.ORDER, "a gap in the versions")
    judgement = judge(1000, tally, Holdings({"u": 2000}, (finding,)))
    assert (judgement.verdict, judgement.findings) == (Verdict.BROKEN, (finding,))
    assert "order: a gap in the versions" in in_words(judgement, tally)


def test_an_audit_that_was_broken_before_says_nothing(tally):
    assert judge(1000, tally, Holdings({"u": 2000}, None)).verdict is Verdict.CLEAN


def test_a_service_that_is_gone_leaves_the_verdict_unknown(tally):
    judgement = judge(1000, tally, None)
    assert (judgement.verdict, judgement.exit_status) == (Verdict.UNKNOWN, 3)


def test_missing_sums_leave_the_verdict_unknown_whatever_the_balances(tally):
    judgement = judge(1000, tally, Holdings({"u": 0}, ()), doubts=("sums are missing",))
    assert (judgement.verdict, judgement.exit_status) == (Verdict.UNKNOWN, 3)
    assert "undecided: sums are missing" in in_words(judgement, tally)


def test_a_run_in_which_a_worker_did_not_serve_is_not_clean(tally):
    judgement = judge(1000, tally, Holdings({"u": 2000}, ()), service_workers=2)
    assert (judgement.verdict, judgement.exit_status) == (Verdict.UNKNOWN, 3)
    assert judgement.doubts == ("only 1 of 2 service workers served",)


def test_a_loss_is_a_loss_however_few_workers_served(tally):
    judgement = judge(1000, tally, Holdings({"u": 1999}, ()), service_workers=2)
    assert judgement.verdict is Verdict.BROKEN


def test_a_run_without_an_acknowledged_operation_proves_nothing():
    assert judge(1000, Tally(), Holdings({"u": 1000}, ())).verdict is Verdict.UNKNOWN


def test_calls_that_were_never_answered_are_named(tally):
    tally.begin({"u": 100})
    judgement = judge(1000, tally, Holdings({"u": 2100}, ()))
    assert judgement.verdict is Verdict.CLEAN
    assert "give or take the 1 that were never answered" in in_words(judgement, tally)


def test_a_thousand_wrong_wallets_are_summed_and_the_worst_are_named(tally):
    held = {"u": 2000} | {f"v{number}": 999 - number for number in range(1000)}
    judgement = judge(1000, tally, Holdings(held, ()))
    assert judgement.lost_cents == sum(range(1, 1001))
    assert len(judgement.findings) == FINDINGS_MAX
    assert judgement.findings[0].cents == -1000


def test_the_document_is_json_and_counts_refusals_as_completed(tally):
    tally.begin({"u": -5})
    tally.end("withdraw", Answer.REFUSED, "insufficient_funds", {"u": -5})
    judgement = judge(1000, tally, Holdings({"u": 2000}, ()))
    document = json.loads(json.dumps(as_document(judgement, tally)))
    assert (document["completed"], document["acknowledged"]) == (11, 10)
    assert document["throughput_per_s"] == 5.5
    assert (document["verdict"], document["lost_cents"]) == ("clean", 0)
