"""Waiting something out: its end is seen, and a cancellation comes after it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from engine.stores.uncancelled import uncancelled


async def slow(log: list[str], outcome: Exception | str = "done") -> str:
    for _ in range(3):
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
    log.append("ended")
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def test_its_result_and_its_error_come_through() -> None:
    async def act() -> None:
        assert await uncancelled(slow([])) == "done"
        with pytest.raises(ValueError, match="no"):
            await uncancelled(slow([], ValueError("no")))

        async def at_once() -> int:
            return 1

        assert await uncancelled(at_once()) == 1

    asyncio.run(act())


@pytest.mark.parametrize("outcome", ["done", ValueError("no")], ids=["result", "error"])
@pytest.mark.parametrize("turns", range(8))
def test_a_cancellation_at_any_moment_comes_after_the_end(
    turns: int, outcome: Exception | str
) -> None:
    async def act() -> None:
        log: list[str] = []
        task = asyncio.create_task(uncancelled_in_a_coroutine(lambda: slow(log, outcome)))
        for _ in range(turns):
            await asyncio.sleep(0)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        # Cancelled before its first step, it has not begun; else it has ended.
        assert log == (["ended"] if turns else [])

    asyncio.run(act())


async def uncancelled_in_a_coroutine(work: Callable[[], Coroutine[Any, Any, str]]) -> str:
    return await uncancelled(work())


def test_what_cancels_itself_is_no_cancellation_of_the_caller() -> None:
    async def act() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def work() -> str:
            try:
                await future
            except asyncio.CancelledError:
                return "saw it"
            return "did not"

        asyncio.get_running_loop().call_soon(future.cancel)
        assert await uncancelled(work()) == "saw it"

    asyncio.run(act())
