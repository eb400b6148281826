"""Ctrl-C while code under test runs, and code that never awaits anything."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import asyncio
import threading

from engine.locks.body import read_apply_write

GATE = threading.Lock()


class Forever:
    def __init__(self, runtime):
        pass

    async def run(self, call, store):
        await store.read(call.accounts)
        print("started", flush=True)
        while True:
            pass


class ThreadLock:
    def __init__(self, runtime):
        pass

    async def run(self, call, store):
        with GATE:
            return await read_apply_write(call, store)


class Sleeps(Forever):
    async def run(self, call, store):
        await asyncio.sleep(1)
        return await super().run(call, store)
"""
ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "never_awaits.py").write_text(CODE)
    return tmp_path


def started(folder: Path, lock: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from scenarios.cli import main; main()",
            "explore",
            "documented-race",
        ]
        + ["--lock", f"never_awaits:{lock}"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("lock", ["Forever", "Sleeps"])
def test_ctrl_c_interrupts_code_that_never_awaits(folder: Path, lock: str) -> None:
    with started(folder, lock) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted; nothing is left running" in told
    assert "Traceback" not in told


@pytest.mark.slow
@pytest.mark.parametrize("lock", ["Forever", "ThreadLock"])
def test_code_that_never_awaits_is_told_where_it_runs(folder: Path, lock: str) -> None:
    with started(folder, lock) as process:
        _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "has run for 5 s without awaiting, now at never_awaits.py:" in told
    assert "Traceback" not in told
