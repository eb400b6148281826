"""Worker processes die and stand still; what holds afterwards is in the books.

`--hypothesis-profile=hunt` kills 200 times on each store.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import settings

from engine.crashes.driver import CrashRun, crash_test
from engine.errors import UsageError
from engine.verdicts import Verdict

pytestmark = pytest.mark.slow

KILLS = 200 if settings.get_current_profile_name() == "hunt" else 5
# It answers, and writes only then.
EARLY_ANSWER = """
import asyncio
from engine.history import Entry, Receipt
from engine.locks.body import changes

class EarlyAnswer:
    def __init__(self, runtime):
        self.runtime = runtime

    async def run(self, call, store):
        seen = await store.read(call.accounts, call.key)
        if seen.earlier is not None:
            return seen.earlier.answer(call)
        changed = changes(call, seen.rows)
        self.runtime.spawn(self.write(call, store, changed))
        entries = (Entry(c.account, c.before, c.after, c.version + 1) for c in changed)
        return Receipt(call.id, tuple(entries))

    async def write(self, call, store, changed):
        await asyncio.sleep(0.02)
        await store.write(call, changed)
"""
LONG = """
import asyncio, sys
from engine.crashes.driver import crash_test
asyncio.run(crash_test("guarded-update", sys.argv[1], kills=1000))
"""


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "wallets.db")
    url: str = request.getfixturevalue("postgres_url")
    return url


def ran(lock: str, address: str, **options: int) -> CrashRun:
    return asyncio.run(crash_test(lock, address, seed=1, **options))


def test_nothing_acknowledged_is_lost_to_kills_and_what_the_dead_held_comes_free(
    address: str,
) -> None:
    run = ran("db-row", address, kills=KILLS)
    assert (run.verdict, run.findings, run.lost_cents) == (Verdict.CLEAN, (), 0)
    assert run.acknowledged > run.unanswered >= KILLS
    # Each third worker was killed between its commit and its answer.
    assert run.happened >= KILLS // 3
    assert 0 < run.freed_s <= run.freed_s_bound


def test_a_paused_holder_of_a_lease_overwrites_what_others_wrote(address: str) -> None:
    run = ran("lease", address, kills=0, pauses=2)
    assert run.verdict is Verdict.BROKEN
    assert run.lost_cents != 0


def test_a_paused_holder_of_a_fenced_lease_is_stopped(address: str) -> None:
    run = ran("fenced-lease", address, kills=0, pauses=2)
    assert (run.verdict, run.findings) == (Verdict.CLEAN, ())


def test_a_mutex_in_memory_loses_money_between_processes_whoever_is_struck(address: str) -> None:
    assert ran("per-user", address, kills=0, pauses=1).verdict is Verdict.BROKEN


def test_an_answer_before_the_commit_is_seen_to_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "early.py").write_text(EARLY_ANSWER)
    monkeypatch.chdir(tmp_path)
    run = ran("early:EarlyAnswer", str(tmp_path / "wallets.db"), kills=3)
    assert any("the log does not have it" in finding.message for finding in run.findings)


@pytest.mark.parametrize("options", [{"workers": 1}, {"kills": -1}, {"lease_s": 0}])
def test_what_cannot_be_is_refused(options: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="use "):
        ran("none", str(tmp_path / "wallets.db"), **options)


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")
def test_workers_end_with_their_parent_even_one_that_stands_still(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LONG, str(tmp_path / "wallets.db")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as parent:
        try:
            give_up_s = time.monotonic() + 30
            while len(workers := children(parent.pid)) < 3 and time.monotonic() < give_up_s:
                time.sleep(0.05)
            time.sleep(0.5)  # by now they have asked to end with their parent
            workers = children(parent.pid)
            os.kill(workers[0], signal.SIGSTOP)
        finally:
            parent.kill()
    while (left := [pid for pid in workers if is_alive(pid)]) and time.monotonic() < give_up_s:
        time.sleep(0.05)
    assert workers
    assert left == []


def children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for thread in threads for child in thread.read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
