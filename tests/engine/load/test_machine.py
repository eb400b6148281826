"""A run is pinned only while it lasts, and says what it ran on."""

import os
import threading

import pytest

from engine.load.machine import can_pin, machine, pinned

pytestmark = pytest.mark.skipif(not can_pin(), reason="this system does not choose cores")


def test_threads_started_inside_are_on_the_one_core_and_all_cores_come_back():
    before, inside = os.sched_getaffinity(0), []
    with pinned(True):
        thread = threading.Thread(target=lambda: inside.append(os.sched_getaffinity(0)))
        thread.start()
        thread.join()
    assert len(inside[0]) == 1
    assert inside[0] <= before == os.sched_getaffinity(0)


def test_an_unpinned_run_keeps_all_cores():
    before = os.sched_getaffinity(0)
    with pinned(False):
        assert os.sched_getaffinity(0) == before


def test_the_machine_says_whether_runs_were_pinned_and_how_sqlite_was_set():
    assert "(asyncio driver pinned to one)" in str(machine(synchronous="FULL"))
    assert "(not pinned)" in str(machine(pin=False))
    assert "SQLite 3." in str(machine())
    assert "synchronous FULL" in str(machine(synchronous="FULL"))
    assert "PostgreSQL 18.1 (synchronous OFF)" in str(
        machine(database="PostgreSQL 18.1", synchronous="OFF")
    )
