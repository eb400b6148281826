"""The memory benchmark can tell a lock map that is swept from one that is not."""

import asyncio

from engine.load.benchmarks import SWEEP_EVERY, lock_memory, peak_mib


def test_swept_locks_of_passed_users_are_forgotten_and_unswept_ones_pile_up():
    users = 2 * SWEEP_EVERY
    swept = asyncio.run(lock_memory(users, idle_s=0.0))
    never = asyncio.run(lock_memory(users, idle_s=None))
    assert [mark.users for mark in swept] == [0, users // 4, users // 2, users * 3 // 4, users]
    assert max(mark.locks for mark in swept) <= SWEEP_EVERY
    assert [mark.locks for mark in never] == [mark.users for mark in never]


def test_peak_memory_is_that_of_a_python_process_in_mebibytes():
    assert 5 < peak_mib() < 100_000
