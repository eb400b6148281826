"""Lock wait from the Server-Timing header into the tally and Locust's statistics."""

from collections import defaultdict
from types import SimpleNamespace

import pytest

from locustfiles.lock_wait import durations_ms, note_waits
from locustfiles.tally import Tally


@pytest.mark.parametrize(
    ("header", "durations"),
    [
        (None, {}),
        ("", {}),
        ("lock", {}),
        ("lock;dur=abc, db;dur=2", {"db": 2.0}),
        ('lock;desc="x";dur=1.5', {"lock": 1.5}),
        ('lock;dur="1.5"', {"lock": 1.5}),
        (
            "lock;dur=0.012, db;dur=1.500, dbwait;dur=0.000, total;dur=3.250",
            {"lock": 0.012, "db": 1.5, "dbwait": 0.0, "total": 3.25},
        ),
    ],
)
def test_durations_are_read_and_what_is_none_is_left_out(header, durations):
    assert durations_ms(header) == durations


def test_waits_get_rows_of_their_own_and_are_kept_in_microseconds():
    rows = defaultdict(list)
    stats = SimpleNamespace(
        entries=defaultdict(lambda: SimpleNamespace(log=lambda ms, size: rows["all"].append(ms)))
    )
    tally = Tally()
    note_waits("lock;dur=1.250, dbwait;dur=0.500", "withdraw", tally, stats)
    assert list(stats.entries) == [("withdraw lock wait", "LOCK"), ("withdraw db wait", "DBWAIT")]
    assert rows["all"] == [1.25, 0.5]
    assert tally.percentiles()["withdraw"]["lock_wait"]["p50_ms"] == 1.25


def test_an_answer_without_the_header_has_no_waits():
    stats = SimpleNamespace(entries={})
    note_waits(None, "withdraw", Tally(), stats)
    assert stats.entries == {}
