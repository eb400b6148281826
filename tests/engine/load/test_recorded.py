"""What a round of load records: enough to name the operations that collided, and to judge again."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.catalog import strategies_on
from engine.checks import judge
from engine.checks.verdict import Level
from engine.errors import StoreUnavailable
from engine.histories.columns import FOREVER, INSUFFICIENT, MISSING, History
from engine.histories.parquet import Recorded, read_history
from engine.history import Entry, Outcome, Receipt
from engine.load import driver
from engine.load.driver import INTERRUPTED, run_round
from engine.load.recorder import Recorder
from engine.load.rounds import compare, loads
from engine.load.touched import touched
from engine.operations import Add, Batch, CheckSufficient, Open, Transfer, Withdraw
from engine.ports import Call
from engine.recording import Ended, Kind, Recording, Step
from engine.results import Load, LoadRun
from engine.stores.sqlite import SqliteDatabase
from engine.timings import Timings
from engine.verdicts import Break, Verdict

MIX = "withdraw=4,add=4,transfer=2,batch=1,balance=2"
HOT = "withdraw=1,add=1"


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., tuple[LoadRun, History]]:
    def run(load: Load, *, seconds: float = 0.15, **options) -> tuple[LoadRun, History]:
        path = tmp_path / "run.parquet"
        known = {"warmup_s": 0.02, "seed": 1, "round": 0, "pin": False, **options}
        address = str(tmp_path / "load.db")
        done = asyncio.run(run_round(load, seconds=seconds, address=address, record=path, **known))
        return done, read_history(path)

    return run


def test_without_a_lock_the_run_names_the_two_operations_that_collided(recorded) -> None:
    run, history = recorded(Load("none", 8, "hot", HOT))
    assert run.verdict is Verdict.BROKEN
    said = judge(history)
    assert said.verdict is Verdict.BROKEN
    lost = next(each for each in said.violations if each.anomaly == "lost update")
    overwritten, overwriter = (history.operations[history.operation[c]] for c in lost.calls[:2])
    assert {overwritten, overwriter} <= set(lost.message.replace(",", " ").split())
    assert lost.message in {finding.message for finding in run.findings}


@pytest.mark.parametrize("lock", [name for name in strategies_on("sqlite") if name != "none"])
def test_a_safe_run_is_strictly_serializable_and_its_locks_enclose_its_transactions(
    recorded, lock: str
) -> None:
    run, history = recorded(Load(lock, 8, "uniform:20", MIX, cache=True), boundaries=True)
    assert (run.verdict, run.findings, run.note) == (Verdict.CLEAN, (), "")
    said = judge(history)
    assert (said.verdict, said.level) == (Verdict.CLEAN, Level.STRICT_SERIALIZABLE)
    assert "boundaries" in said.passed
    assert history.complete
    assert {history.clients[client] for client in set(history.client.tolist())} == {
        f"client {number}" for number in range(8)
    }


def test_the_warm_up_is_recorded_too(recorded) -> None:
    run, history = recorded(Load("per-user", 1, "uniform:2", "add=1"), warmup_s=0.1, seconds=0.05)
    assert history.calls > run.completed
    assert history.log is not None
    assert history.calls == len(history.log) - 2  # two wallets were opened


@pytest.mark.parametrize("lock", ["per-user", "guarded-update", "single-writer"])
def test_a_refusal_says_what_it_had_seen(recorded, monkeypatch, lock: str) -> None:
    monkeypatch.setattr("engine.load.workload.OPENING_CENTS", 0)
    run, history = recorded(Load(lock, 2, "uniform:2", "withdraw=3,add=1"))
    refused = history.ended == Ended.REFUSED
    assert refused.sum() >= run.refused[INSUFFICIENT] > 0
    assert (history.before[refused] < history.need[refused]).all()
    assert (history.after[refused] == history.before[refused]).all()
    assert (history.version[refused] != MISSING).all()


def test_a_question_is_recorded_with_the_row_that_answered_it_cached_or_not(recorded) -> None:
    _, history = recorded(Load("per-user", 2, "uniform:5", "balance=3,add=1", cache=True))
    asked = history.kind == Kind.BALANCE
    assert asked.any()
    assert (history.version[asked] > 0).all()
    assert (history.before[asked] == history.after[asked]).all()


def test_steps_are_recorded_only_if_they_are_asked_for(recorded) -> None:
    load = Load("db-write", 2, "uniform:5", "add=1")
    _, without = recorded(load)
    assert without.events is None
    _, history = recorded(load, boundaries=True)
    assert history.events is not None
    first = history.events.step[history.events.call == 0].tolist()
    assert first == [
        *(Step.LOCK_ASKED, Step.LOCK_GRANTED, Step.BEGUN, Step.SNAPSHOT, Step.WRITTEN),
        *(Step.COMMITTED, Step.LOCK_RELEASED),
    ]


def test_a_final_phase_that_fails_leaves_the_verdict_unknown(recorded, monkeypatch) -> None:
    async def gone(self) -> None:
        raise StoreUnavailable("the database has gone")

    monkeypatch.setattr(SqliteDatabase, "books", gone)
    run, history = recorded(Load("per-user", 4, "hot", HOT))
    assert run.verdict is Verdict.UNKNOWN
    assert "not judged: the database has gone" in run.note
    assert not history.complete


def test_a_final_phase_that_fails_does_not_hide_what_the_answers_show(
    recorded, monkeypatch
) -> None:
    async def gone(self) -> None:
        raise StoreUnavailable("the database has gone")

    monkeypatch.setattr(SqliteDatabase, "books", gone)
    run, _ = recorded(Load("none", 8, "hot", HOT))
    assert run.verdict is Verdict.BROKEN
    assert Break.MONEY in {finding.kind for finding in run.findings}


def test_a_full_disk_leaves_the_run_and_takes_its_verdict(recorded, monkeypatch) -> None:
    def stopped(path: Path) -> Recording:
        recording = Recording(path)
        recording.trouble = "recording stopped (no room)"
        return recording

    monkeypatch.setattr(driver, "Recording", stopped)
    run, history = recorded(Load("per-user", 4, "hot", HOT))
    assert run.completed > 0
    assert run.verdict is Verdict.UNKNOWN
    assert run.findings == ()
    assert "recording stopped (no room)" in run.note
    assert not history.complete


def test_a_history_that_cannot_be_kept_costs_a_note_and_not_the_run(tmp_path: Path) -> None:
    load, address = Load("per-user", 2, "hot", HOT), str(tmp_path / "load.db")
    options = {"warmup_s": 0.0, "seed": 1, "round": 0, "record": tmp_path / "nowhere" / "a.parquet"}
    run = asyncio.run(run_round(load, seconds=0.05, address=address, **options))
    assert run.verdict is Verdict.CLEAN
    assert "cannot write the history" in run.note


def test_an_interrupted_run_keeps_what_was_recorded_till_then(tmp_path: Path) -> None:
    path = tmp_path / "run.parquet"

    async def interrupted() -> LoadRun:
        options = {"warmup_s": 0.0, "seed": 1, "address": str(tmp_path / "load.db"), "round": 0}
        load = Load("per-user", 4, "hot", HOT)
        task = asyncio.create_task(run_round(load, seconds=60, record=path, **options))
        await asyncio.sleep(0.2)
        task.cancel()
        return await task

    run = asyncio.run(interrupted())
    assert (run.note, run.verdict) == (INTERRUPTED, Verdict.CLEAN)
    history = read_history(path)
    assert history.complete
    assert history.calls >= run.completed > 0


def test_several_runs_are_kept_in_a_folder_one_file_each(tmp_path: Path) -> None:
    wanted = loads(["none", "per-user"], Load("", 2, "uniform:5", "add=1"), work_ms=(0.0,))
    compare(wanted, rounds=2, seconds=0.02, warmup_s=0.0, pin=False, record=tmp_path / "kept")
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        *("001-none.parquet", "002-per-user.parquet"),
        *("003-none.parquet", "004-per-user.parquet"),
    ]


def test_a_recording_leaves_no_temporary_files(recorded, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    recorded(Load("per-user", 2, "uniform:5", "add=1"))
    assert not list((tmp_path / "temporary").iterdir())


def test_a_check_that_was_answered_no_is_a_refusal_with_what_was_seen(tmp_path: Path) -> None:
    with Recording(tmp_path / "a.spill") as recording:
        recorder = Recorder(recording)

        async def ask(question) -> bool:
            return False

        asyncio.run(recorder.asked(CheckSufficient("u", 5), ask))
    history = Recorded([recording.path]).history()
    assert history.ended.tolist() == [Ended.REFUSED]
    assert history.codes[history.code[0]] == INSUFFICIENT
    assert (history.need[0], history.amount[0]) == (5, 0)
    assert history.completed[0] < FOREVER


def test_a_repeat_is_recorded_under_its_own_name_with_the_answer_and_the_key(
    tmp_path: Path,
) -> None:
    first = Receipt("first", (Entry("u", 9, 4, 2),))
    with Recording(tmp_path / "a.spill") as recording:
        recorder = Recorder(recording)
        for name, at in (("first", 1), ("again", 5)):
            call, timings = Call(name, Withdraw("u", 5), "key"), Timings(at, finished_ns=at + 1)
            recorder.finished(call, Outcome.OK, "", first, timings)
    history = Recorded([recording.path]).history()
    assert [history.operations[place] for place in history.operation] == ["first", "again"]
    assert history.key[0] == history.key[1] >= 0
    assert history.version.tolist() == [2, 2]
    assert history.after.tolist() == [4, 4]


def test_what_an_undone_transaction_had_seen_is_no_observation(tmp_path: Path) -> None:
    with Recording(tmp_path / "a.spill") as recording:
        timings = Timings(1, finished_ns=2, seen={"u": (9, 1)})
        for outcome, code in ((Outcome.REFUSED, "conflict"), (Outcome.UNKNOWN, "timeout")):
            call = Call(code, Withdraw("u", 5))
            Recorder(recording).finished(call, outcome, code, None, timings)
    history = Recorded([recording.path]).history()
    assert history.before.tolist() == [MISSING, MISSING]
    assert history.ended.tolist() == [Ended.REFUSED, Ended.UNKNOWN]


def test_what_a_batch_needs_is_the_deepest_that_an_account_would_sink() -> None:
    legs = (Add("u", 3), Withdraw("u", 5), Transfer("v", "u", 10), Withdraw("u", 7))
    assert touched(Batch(legs), seen={"u": (9, 4)}) == [
        ("u", 1, 2, 9, 9, 4),
        ("v", -10, 10, *[MISSING] * 3),
    ]
    assert touched(Open("w", 7)) == [("w", 7, 0, *[MISSING] * 3)]
