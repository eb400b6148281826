"""Service and Locust as separate processes, joined into one run."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from engine.checks import judge
from engine.errors import LoadFailed, UsageError
from engine.histories.parquet import read_history
from engine.load.over_http import _interrupts_held, run_load
from engine.stores.opening import open_database
from engine.verdicts import Verdict

pytestmark = pytest.mark.slow


def test_no_lock_on_one_hot_account_loses_money(tmp_path):
    told = []
    run = run_load(
        lock="none",
        users=20,
        run_time_s=2,
        record=tmp_path / "none.parquet",
        on_progress=lambda done, whole: told.append(done),
    )
    assert run.verdict is Verdict.BROKEN
    assert any(" overwrote " in finding.message for finding in run.findings)
    assert not any(finding.message.startswith("audit: ") for finding in run.findings)
    said = judge(read_history(tmp_path / "none.parquet"))
    assert (said.verdict, said.lost) == (Verdict.BROKEN, run.lost_cents)
    assert len(set(said.violations[0].calls)) == 2
    assert run.lost_cents != 0
    assert run.findings[0].cents == -run.lost_cents
    assert (run.driver, run.load.accounts, run.load.mix) == ("locust", "hot", "wallet")
    assert run.completed > 50
    assert run.throughput_per_s == pytest.approx(run.completed / run.seconds)
    assert 0 < run.latency.p50_ms <= run.latency.max_ms
    assert told == sorted(told)
    assert told[-1] == 2


def test_per_user_locks_in_two_processes_over_one_database_lose_money_under_two_locusts():
    run = run_load(lock="per-user", workers=2, users=20, run_time_s=3, processes=2)
    assert run.verdict is Verdict.BROKEN, run.note


def test_a_lock_that_is_not_known_is_wrong_usage_and_names_those_that_are():
    with pytest.raises(UsageError, match="known: none, global, per-user, db-row"):
        run_load(lock="gloabl", run_time_s=1)


def test_a_locustfile_that_is_not_there_is_wrong_usage():
    with pytest.raises(UsageError, match="known: wallet, steady, ramp, spike"):
        run_load(locustfile="walet")


def test_an_amount_of_accounts_that_cannot_be_is_wrong_usage():
    with pytest.raises(UsageError, match="ask for 1 to"):
        run_load(accounts=0, run_time_s=1)


def test_a_locustfile_that_breaks_is_a_failed_run(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("raise RuntimeError('no such wallet')")
    with pytest.raises(LoadFailed, match="no such wallet"):
        run_load(locustfile=str(broken), run_time_s=1)


def alive():
    """Command lines of the living by process id; one that ended but is not reaped has none."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found[int(file.parent.name)] = file.read_bytes()
    return {pid: command for pid, command in found.items() if command}


def sessions_naming(folder):
    """The sessions of the processes in whose command line `folder` occurs."""
    return [session(pid) for pid, command in alive().items() if os.fsencode(folder) in command]


def session(pid):
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_stops_service_and_locusts_and_leaves_nothing_of_their_sessions(tmp_path, processes):
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from engine.load.over_http import run_load;"
        f"run_load(run_time_s=60, workers=2, processes={processes})"
    )
    # The service, Locust and, where there are several, Locust's workers.
    started = 2 if processes == 1 else 2 + processes
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stderr=subprocess.DEVNULL,
    ) as process:
        for _ in range(600):
            if len(sessions := sessions_naming(tmp_path)) == started:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert len(sessions) == started
    assert len(set(sessions)) == 2
    assert [command for pid, command in alive().items() if session(pid) in sessions] == []
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_a_process_is_being_started_waits_until_it_is_known():
    known = []

    def start():
        with _interrupts_held():
            signal.raise_signal(signal.SIGINT)
            known.append(True)

    with pytest.raises(KeyboardInterrupt):
        start()
    assert known


@pytest.mark.parametrize(
    ("lock", "verdict"), [("db-row", Verdict.CLEAN), ("per-user", Verdict.BROKEN)]
)
def test_row_locks_of_postgresql_hold_between_two_processes_and_mutexes_do_not(
    postgres_url, lock, verdict
):
    async def empty():
        async with open_database(postgres_url) as database:
            await database.reset({})

    asyncio.run(empty())
    run = run_load(lock=lock, workers=2, users=20, run_time_s=2, store=postgres_url)
    assert (run.verdict, run.load.store) == (verdict, "postgres"), run.note
