"""What was acknowledged has to be in the log exactly once; nothing else may be there twice."""

from engine.crashes.judgement import expected, judge
from engine.history import Entry, LogRow, Receipt
from engine.ports import Row
from engine.verdicts import Verdict

OPENING = LogRow("opening", "u", "open", 100, 0, 100, 1, "", 0)
FIRST = LogRow("c-1", "u", "withdraw", -30, 100, 70, 2, "key-1", 0)
AGAIN = LogRow("d-1", "u", "withdraw", -30, 70, 40, 3, "key-1", 0)
RECEIPT = Receipt("c-1", (Entry("u", 100, 70, 2),))


def judged(balance, version, log, *, acknowledged=None, refused=(), unanswered=()):
    return judge(
        {"u": Row(balance, version)},
        log,
        openings={"u": 100},
        acknowledged={"key-1": RECEIPT} if acknowledged is None else acknowledged,
        refused=set(refused),
        unanswered=set(unanswered),
    )


def test_an_acknowledged_call_that_the_log_has_once_is_clean():
    assert judged(70, 2, [OPENING, FIRST]).verdict is Verdict.CLEAN


def test_an_acknowledged_call_that_the_log_does_not_have_is_a_loss():
    found = judged(100, 1, [OPENING])
    assert found.verdict is Verdict.BROKEN
    assert found.findings[0].message == "key-1 was acknowledged, and the log does not have it"
    assert found.lost_cents == -30


def test_a_receipt_that_says_otherwise_than_the_log_is_found():
    other = {"key-1": Receipt("c-1", (Entry("u", 100, 60, 2),))}
    found = judged(70, 2, [OPENING, FIRST], acknowledged=other)
    assert "the log says otherwise" in found.findings[0].message


def test_a_repeated_call_that_was_applied_twice_is_found():
    found = judged(40, 3, [OPENING, FIRST, AGAIN])
    assert found.findings[0].message == "key-1 was applied 2 times, by c-1, d-1"


def test_a_refused_call_that_was_applied_is_found():
    found = judged(70, 2, [OPENING, FIRST], acknowledged={}, refused=["key-1"])
    assert found.findings[0].message == "key-1 was refused, and the log has it"


def test_a_call_without_an_answer_may_have_happened_or_not():
    for log, balance in (([OPENING, FIRST], 70), ([OPENING], 100)):
        version = len(log)
        assert judged(balance, version, log, acknowledged={}, unanswered=["key-1"]).verdict is not (
            Verdict.BROKEN
        )


def test_mutexes_end_at_the_process_and_leases_without_fencing_at_a_pause():
    assert expected("per-user", pauses=0) is Verdict.BROKEN
    assert expected("lease", pauses=1) is Verdict.BROKEN
    assert expected("lease", pauses=0) is None
    assert expected("fenced-lease", pauses=1) is Verdict.CLEAN
