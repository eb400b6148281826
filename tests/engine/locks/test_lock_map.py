"""Locks by name exclude, serve in order, and are forgotten exactly when nobody needs them."""

import asyncio
from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.locks.lock_map import LockMap
from engine.runtimes import AsyncioRuntime


class Clock(AsyncioRuntime):
    """A runtime whose time moves only when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.ms = 1_000_000

    def now_ms(self) -> int:
        return self.ms


def test_holders_of_one_name_take_turns_in_the_order_they_came() -> None:
    async def act() -> None:
        locks = LockMap(AsyncioRuntime())
        seen: list[str] = []

        async def worker(number: int) -> None:
            async with locks.hold("u"):
                seen.append(f"in {number}")
                await asyncio.sleep(0)
                seen.append(f"out {number}")

        await asyncio.gather(*(worker(number) for number in range(10)))
        assert seen == [f"{way} {number}" for number in range(10) for way in ("in", "out")]

    asyncio.run(act())


def test_holders_of_different_names_do_not_wait_for_each_other() -> None:
    async def act() -> None:
        locks = LockMap(AsyncioRuntime())
        async with asyncio.timeout(1), locks.hold("u"), locks.hold("v"):
            assert len(locks) == 2

    asyncio.run(act())


def test_a_lock_goes_when_it_has_been_idle_for_long_enough_and_not_before() -> None:
    async def act() -> None:
        clock = Clock()
        locks = LockMap(clock)
        async with locks.hold("u"):
            clock.ms += 100_000  # held all that time, so not idle
        clock.ms += 59_999
        assert (locks.sweep(60), len(locks)) == (0, 1)
        clock.ms += 1
        assert (locks.sweep(60), len(locks)) == (1, 0)

    asyncio.run(act())


def test_a_held_or_awaited_lock_survives_every_sweep() -> None:
    async def act() -> None:
        locks = LockMap(AsyncioRuntime())
        order: list[str] = []

        async def worker(name: str, go: asyncio.Event) -> None:
            async with locks.hold("u"):
                order.append(name)
                await go.wait()

        gates = {name: asyncio.Event() for name in "ABC"}
        tasks = [asyncio.create_task(worker(name, gates[name])) for name in "AB"]
        await asyncio.sleep(0)
        assert locks.sweep(0) == 0
        gates["A"].set()
        await tasks[0]  # A has left; B was handed the lock but has not run yet, or just so
        assert locks.sweep(0) == 0
        tasks.append(asyncio.create_task(worker("C", gates["C"])))
        for _ in range(5):
            await asyncio.sleep(0)
            assert locks.sweep(0) == 0
        assert order == ["A", "B"]  # C must wait for B
        gates["B"].set()
        gates["C"].set()
        await asyncio.gather(*tasks)
        assert order == ["A", "B", "C"]
        assert (locks.sweep(0), len(locks)) == (1, 0)

    asyncio.run(act())


def test_whoever_is_cancelled_while_waiting_leaks_nothing() -> None:
    async def act() -> None:
        locks = LockMap(AsyncioRuntime())

        async def worker() -> None:
            async with locks.hold("u"):
                await asyncio.sleep(3600)

        tasks = [asyncio.create_task(worker()) for _ in range(3)]
        await asyncio.sleep(0)
        for task in (tasks[1], tasks[0], tasks[2]):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        async with asyncio.timeout(1), locks.hold("u"):
            pass
        assert (locks.sweep(0), len(locks)) == (1, 0)

    asyncio.run(act())


# Each worker: which names it holds in turn, how many turns of the loop it stays in each, and after
# how many it is cancelled.
workers = st.tuples(
    st.lists(st.sampled_from("uvw"), min_size=1, max_size=3),
    st.integers(0, 3),
    st.none() | st.integers(0, 8),
)


@given(st.lists(workers, min_size=1, max_size=7), st.lists(st.integers(0, 3), max_size=12))
def test_exclusion_holds_whatever_is_swept_and_cancelled_and_memory_comes_back(
    plan: list[tuple[list[str], int, int | None]], pauses: list[int]
) -> None:
    async def act() -> None:
        locks = LockMap(AsyncioRuntime())
        inside: Counter[str] = Counter()

        async def work(names: list[str], stay: int) -> None:
            for name in names:
                async with locks.hold(name):
                    inside[name] += 1
                    try:
                        assert inside[name] == 1
                        for _ in range(stay):
                            await asyncio.sleep(0)
                    finally:
                        inside[name] -= 1

        async def worker(names: list[str], stay: int, cancelled: int | None) -> None:
            task = asyncio.create_task(work(names, stay))
            if cancelled is not None:
                for _ in range(cancelled):
                    await asyncio.sleep(0)
                task.cancel()
            with suppress(asyncio.CancelledError):
                await task

        async def sweeper() -> None:
            for pause in pauses:
                for _ in range(pause):
                    await asyncio.sleep(0)
                locks.sweep(0)

        await asyncio.gather(*(worker(*one) for one in plan), sweeper())
        locks.sweep(0)
        assert len(locks) == 0

    asyncio.run(act())
