"""Compared loads take turns, and what the guide claims about batches and caches holds."""

import os
import signal
import threading

import pytest

from engine.errors import UsageError
from engine.load import driver
from engine.load.claims import guide_claims
from engine.load.driver import INTERRUPTED
from engine.load.rounds import Interrupted, compare, loads
from engine.results import Load

BASE = Load("none", 2, "uniform:10", "add=1")


def test_loads_alternate_and_every_run_is_told():
    told = []
    runs = compare(
        loads(["none", "global"], BASE, work_ms=(0.0, 1.0)),
        rounds=2,
        seconds=0.02,
        warmup_s=0.0,
        pin=False,
        on_progress=lambda run, done, of: told.append((done, of)),
    )
    turns = [(run.round, run.load.work_ms, run.load.lock) for run in runs]
    once = [(0.0, "none"), (0.0, "global"), (1.0, "none"), (1.0, "global")]
    assert turns == [(round, *load) for round in (0, 1) for load in once]
    assert told == [(done, 8) for done in range(1, 9)]


def test_ctrl_c_cuts_a_measurement_short_and_keeps_it():
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(Interrupted) as cut:
        compare(loads(["none", "global"], BASE), rounds=2, seconds=60, warmup_s=0.0)
    timer.join()
    (run,) = cut.value.runs
    assert INTERRUPTED in run.note
    assert 0 < run.seconds < 60
    assert run.completed > 0


def test_ctrl_c_between_two_runs_keeps_those_that_were_finished():
    def interrupt(run, done, of):
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted) as cut:
        compare(
            [BASE, BASE], rounds=2, seconds=0.02, warmup_s=0.0, pin=False, on_progress=interrupt
        )
    assert [run.note for run in cut.value.runs] == [""]


def test_ctrl_c_while_a_run_is_judged_is_not_lost(monkeypatch):
    judged = driver.judged

    def interrupt(*args, **options):
        signal.raise_signal(signal.SIGINT)
        return judged(*args, **options)

    monkeypatch.setattr(driver, "judged", interrupt)
    with pytest.raises(Interrupted) as cut:
        compare([BASE, BASE], rounds=2, seconds=0.02, warmup_s=0.0, pin=False)
    assert [run.note for run in cut.value.runs] == [INTERRUPTED]


@pytest.mark.parametrize(
    ("place", "told"),
    [("run.parquet", "name a folder"), ("file/folder", "name another place")],
)
def test_a_place_for_histories_that_cannot_be_is_refused_before_any_work(tmp_path, place, told):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=told):
        compare([BASE, BASE], rounds=1, seconds=60, record=tmp_path / place)


def test_no_rounds_are_refused():
    with pytest.raises(UsageError, match="use 1 to"):
        compare([BASE], rounds=0, seconds=1.0)


def test_a_batch_saves_locks_and_database_accesses_and_a_cache_saves_accesses():
    found = {
        (claim.claim.split()[0], claim.measure.split()[0]): claim
        for claim in guide_claims(clients=4, rounds=1, seconds=0.15)
    }
    assert found["batches", "lock"].times == pytest.approx(0.4, rel=0.2)  # 2 locks, not 5
    assert found["batches", "database"].times == 0.25  # one read and one write for four
    assert found["cache", "database"].times < 1
