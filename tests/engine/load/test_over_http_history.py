"""What a recorded history adds to Locust's own verdict on a run."""

from engine.history import LogRow
from engine.load.over_http_history import with_history
from engine.recording import SUFFIX, Ended, Kind, Recording
from engine.results import Load, LoadRun, Percentiles
from engine.verdicts import Break, Finding, Verdict
from locustfiles.journal import write_books

NOTHING = Percentiles()
LOAD = Load("none", 2, "hot", "wallet")
OPENED = LogRow("o", "u", "open", 1000, 0, 1000, 1, "", 0)


def run(verdict, *findings):
    counts = {"refused": {}, "errors": {}, "throughput_per_s": 1.0}
    waits = {"latency": NOTHING, "lock_wait": NOTHING, "store_wait": NOTHING, "hold": NOTHING}
    rest = {"locks_per_operation": 0.0, "store_accesses_per_operation": 0.0, "retries": 0}
    return LoadRun(
        driver="locust",
        load=LOAD,
        round=0,
        seconds=1.0,
        completed=2,
        verdict=verdict,
        findings=findings,
        lost_cents=0,
        **counts,
        **waits,
        **rest,
    )


def recorded(folder, *calls, final):
    """Calls (id, kind, amount, before, after, version), and books that agree with them."""
    with Recording(folder / f"one{SUFFIX}") as recording:
        for at, (name, kind, amount, before, after, version) in enumerate(calls):
            touched = [("u", amount, max(0, -amount), before, after, version)]
            recording.call(name, f"user {at}", kind, Ended.OK, at, at + 10, touched)
    rows = [
        LogRow(name, "u", kind.name.lower(), amount, before, after, version, name, 0)
        for name, kind, amount, before, after, version in calls
    ]
    write_books(str(folder), {"u": final}, [OPENED, *rows])


RIGHT = (("a", Kind.WITHDRAW, -500, 1000, 500, 2), ("b", Kind.ADD, 300, 500, 800, 3))
LOST = (("a", Kind.WITHDRAW, -500, 1000, 500, 2), ("b", Kind.ADD, 300, 1000, 1300, 3))


def test_a_clean_run_with_a_clean_history_stays_clean(tmp_path):
    recorded(tmp_path, *RIGHT, final=(800, 3))
    assert with_history(run(Verdict.CLEAN), tmp_path, None) == run(Verdict.CLEAN)


def test_a_broken_history_breaks_the_run_and_speaks_for_the_audit(tmp_path):
    recorded(tmp_path, *LOST, final=(1300, 3))
    audit = Finding(Break.MONEY, "audit: u: a left 5.00, but b began from 10.00", 500)
    held = Finding(Break.MONEY, "u holds 13.00, that is 5.00 more than acknowledged", 500)
    judged = with_history(run(Verdict.BROKEN, held, audit), tmp_path, None)
    assert judged.verdict is Verdict.BROKEN
    assert judged.findings[0] == held
    assert audit not in judged.findings
    assert "b (add 3.00) began from 10.00 and overwrote a (withdraw 5.00)" in str(judged.findings)


def test_a_history_alone_can_break_a_run_whose_sums_agree(tmp_path):
    recorded(tmp_path, *LOST, final=(1300, 3))
    assert with_history(run(Verdict.CLEAN), tmp_path, None).verdict is Verdict.BROKEN


def test_without_books_or_recordings_nothing_is_decided(tmp_path):
    judged = with_history(run(Verdict.CLEAN), tmp_path, None)
    assert judged.verdict is Verdict.UNKNOWN
    assert "holds no recordings" in judged.note
    recorded(tmp_path, *RIGHT, final=(800, 3))
    (tmp_path / "books.jsonl").unlink()
    judged = with_history(run(Verdict.CLEAN), tmp_path, None)
    assert judged.verdict is Verdict.UNKNOWN
    assert judged.note


def test_a_history_that_cannot_be_kept_is_noted_and_the_run_stays(tmp_path):
    recorded(tmp_path, *RIGHT, final=(800, 3))
    judged = with_history(run(Verdict.CLEAN), tmp_path, tmp_path / "no" / "such.parquet")
    assert judged.verdict is Verdict.CLEAN
    assert "cannot write the history" in judged.note
