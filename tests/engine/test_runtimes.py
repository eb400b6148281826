"""The free-running world: cells are shared by name, ids are unique, spawned work is waited for."""

import asyncio
import random

import pytest

from engine.runtimes import BACKOFF_MS, BACKOFF_MS_MAX, AsyncioRuntime


def test_a_cell_is_one_piece_of_memory_for_each_name_and_instance() -> None:
    one, other = AsyncioRuntime(), AsyncioRuntime()
    one.cell("doubts", dict[str, int]).value["u"] = 1
    assert one.cell("doubts", dict[str, int]).value == {"u": 1}
    assert other.cell("doubts", dict[str, int]).value == {}


def test_two_mutexes_of_one_name_are_two() -> None:
    async def act() -> None:
        runtime = AsyncioRuntime()
        async with runtime.mutex("u"), asyncio.timeout(1), runtime.mutex("u"):
            pass

    asyncio.run(act())


def test_ids_differ_within_and_between_instances() -> None:
    runtimes = [AsyncioRuntime() for _ in range(20)]
    ids = [runtime.new_id() for runtime in runtimes for _ in range(20)]
    assert len(set(ids)) == len(ids)


def test_backing_off_grows_is_bounded_and_depends_on_its_luck_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept_ms: list[float] = []

    async def sleep(delay_s: float) -> None:
        slept_ms.append(delay_s * 1000)

    monkeypatch.setattr(asyncio, "sleep", sleep)

    async def waits(seed: int) -> list[float]:
        runtime = AsyncioRuntime(random.Random(seed))
        slept_ms.clear()
        for attempt in range(40):
            await runtime.backoff(attempt)
        return list(slept_ms)

    first = asyncio.run(waits(7))
    assert first == asyncio.run(waits(7)) != asyncio.run(waits(8))
    assert all(ms <= min(BACKOFF_MS_MAX, BACKOFF_MS * 2**n) for n, ms in enumerate(first))
    assert max(first) > BACKOFF_MS_MAX / 2


def test_drain_waits_for_spawned_work_and_for_what_that_spawns() -> None:
    async def act() -> None:
        runtime = AsyncioRuntime()
        done: list[str] = []

        async def work(name: str, then: str = "") -> None:
            await asyncio.sleep(0.001)
            if then:
                runtime.spawn(work(then))
            done.append(name)

        runtime.spawn(work("first", then="second"))
        assert done == []
        await runtime.drain()
        assert done == ["first", "second"]

    asyncio.run(act())
