"""What one Locust process counts, and how several are added up."""

import json

import pytest

from locustfiles.answers import Answer
from locustfiles.tally import Tally

WITHDRAWN = {"u": -500}


def one_of_each(run_id="r"):
    tally = Tally(run_id)
    for answer, code in (
        (Answer.OK, ""),
        (Answer.REFUSED, "insufficient_funds"),
        (Answer.FAILED, "store_busy"),
        (Answer.UNKNOWN, "timeout"),
    ):
        tally.begin(WITHDRAWN)
        tally.end("withdraw", answer, code, WITHDRAWN)
    return tally


def test_every_answer_is_counted_where_it_belongs():
    tally = one_of_each()
    assert (tally.sent, tally.acknowledged, tally.unanswered) == (4, 1, 1)
    assert tally.ok == {"withdraw": 1}
    assert tally.refused == {"insufficient_funds": 1}
    assert tally.errors == {"store_busy": 1, "timeout": 1}
    assert tally.ledger.interval("u") == (-1000, -500)


def test_a_call_that_was_cut_off_stays_unanswered():
    tally = Tally()
    tally.begin(WITHDRAWN)
    assert tally.unanswered == 1
    assert tally.ledger.interval("u") == (-500, 0)


def test_a_question_is_no_acknowledged_operation():
    tally = Tally()
    tally.begin({})
    tally.end("balance", Answer.OK, "", {})
    assert (tally.acknowledged, tally.unanswered, tally.ok.total()) == (0, 0, 1)


def test_the_tallies_of_two_processes_are_one():
    master = Tally("r")
    for milliseconds, seconds, worker in ((1.0, 4.0, "0"), (3.0, 5.0, "1")):
        tally = one_of_each()
        tally.seconds = seconds
        tally.served_by(worker)
        tally.note("withdraw", "latency", milliseconds)
        master.merge(tally.as_message())
    assert (master.sent, master.acknowledged, master.unanswered) == (8, 2, 2)
    assert master.ok == {"withdraw": 2}
    assert master.refused == {"insufficient_funds": 2}
    assert master.errors == {"store_busy": 2, "timeout": 2}
    assert master.ledger.interval("u") == (-2000, -1000)
    assert master.seconds == 5.0
    assert master.service_workers == {"0", "1"}
    latency = master.percentiles()["withdraw"]["latency"]
    assert (latency["p50_ms"], latency["max_ms"]) == (1.0, pytest.approx(3.0, rel=0.001))


def test_durations_of_all_kinds_are_joined_under_all():
    tally = Tally()
    tally.note("withdraw", "latency", 2.0)
    tally.note("add", "latency", 0.0004)
    tally.note("add", "latency", 1e9)  # longer than the histogram reaches
    table = tally.percentiles()
    assert table["withdraw"]["latency"]["max_ms"] == 2.0
    assert table["all"]["latency"]["p50_ms"] == 2.0
    assert table["all"]["latency"]["max_ms"] == pytest.approx(3_600_000, rel=0.001)
    assert set(table["all"]) == {"latency", "lock_wait", "store_wait"}
    assert json.dumps(table)
