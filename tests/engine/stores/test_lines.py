"""Lines for leases: first come, first served, and forgotten when nobody stands in them."""

import asyncio

import pytest

from engine.stores.lines import Lines


def test_those_who_wait_are_first_one_after_the_other_in_the_order_they_came() -> None:
    async def act() -> None:
        lines = Lines()
        seen: list[int] = []

        async def worker(number: int) -> None:
            async with lines.first("u"):
                seen.append(number)
                await asyncio.sleep(0)
                assert seen[-1] == number

        await asyncio.gather(*(worker(number) for number in range(10)))
        assert seen == list(range(10))

    asyncio.run(act())


def test_the_first_learns_at_once_that_the_lease_was_given_back() -> None:
    async def act() -> None:
        lines = Lines()
        async with asyncio.timeout(5), lines.first("u") as given:
            waiting = asyncio.ensure_future(given(3600))
            await asyncio.sleep(0)
            lines.given("v")
            await asyncio.sleep(0)
            assert not waiting.done()
            lines.given("u")
            await waiting
            lines.given("u")  # before the wait: not missed
            await given(3600)
            await given(0.001)  # nobody said so: time to ask again

    asyncio.run(act())


def test_a_line_is_forgotten_when_the_last_has_left_it_also_by_cancellation() -> None:
    async def act() -> None:
        lines = Lines()

        async def worker() -> None:
            async with lines.first("u"):
                await asyncio.sleep(3600)

        tasks = [asyncio.create_task(worker()) for _ in range(3)]
        await asyncio.sleep(0)
        for task in (tasks[1], tasks[0], tasks[2]):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert lines._lines == {}
        lines.given("u")  # nobody there: nothing happens

    asyncio.run(act())
