"""Work goes over to a connection's thread in batches, and is as separate as if it went alone."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.errors import StoreUnavailable
from engine.stores.sqlite_hop import Hops


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Hops]:
    hops = await Hops.open(folder / "any.db", busy_timeout_s=1.0)
    try:
        yield hops
    finally:
        await hops.close()


def test_answers_come_to_those_who_asked_and_in_their_order(tmp_path: Path) -> None:
    async def act() -> None:
        ended: list[int] = []

        async def ask(hops: Hops, value: int) -> int:
            answer = await hops.run(lambda c: c.execute("SELECT ?", (value,)).fetchone()[0])
            ended.append(value)
            assert isinstance(answer, int)
            return answer

        async with opened(tmp_path) as hops:
            assert await asyncio.gather(*(ask(hops, n) for n in range(50))) == list(range(50))
            assert ended == list(range(50))

    asyncio.run(act())


def test_what_fails_in_a_batch_fails_alone(tmp_path: Path) -> None:
    def refuse(_: sqlite3.Connection) -> None:
        raise KeyError("mine")

    async def act() -> None:
        async with opened(tmp_path) as hops:
            answers = await asyncio.gather(
                hops.run(lambda _: 1),
                hops.run(lambda c: c.execute("SELECT nonsense")),
                hops.run(refuse),
                hops.run(lambda _: 4),
                return_exceptions=True,
            )
            assert answers[0] == 1
            assert isinstance(answers[1], StoreUnavailable)
            assert isinstance(answers[2], KeyError)
            assert answers[3] == 4

    asyncio.run(act())


def test_an_answer_does_not_wait_for_one_behind_it_that_takes_long(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path) as hops:
            gate = threading.Event()
            first = asyncio.create_task(hops.run(lambda _: time.sleep(0.02)))
            await asyncio.sleep(0.005)  # the two behind it go over together
            quick = asyncio.create_task(hops.run(lambda _: "quick"))
            slow = asyncio.create_task(hops.run(lambda _: gate.wait(10)))
            async with asyncio.timeout(5):
                await first
                assert await quick == "quick"
            assert not slow.done()
            gate.set()
            assert await slow

    asyncio.run(act())


@pytest.mark.parametrize("cancellations", [1, 3])
def test_who_is_cancelled_goes_on_only_when_the_work_is_over(
    tmp_path: Path, cancellations: int
) -> None:
    async def act() -> None:
        async with opened(tmp_path) as hops:
            gate, landed = threading.Event(), threading.Event()
            slow = asyncio.create_task(hops.run(lambda _: gate.wait(10)))
            await asyncio.sleep(0)
            queued = asyncio.create_task(hops.run(lambda _: landed.set()))
            other = asyncio.create_task(hops.run(lambda _: landed.is_set()))
            await asyncio.sleep(0)
            for _ in range(cancellations):
                queued.cancel()
                await asyncio.sleep(0.002)
            assert not queued.done()
            gate.set()
            with pytest.raises(asyncio.CancelledError):
                await queued
            assert landed.is_set()
            assert await other
            assert await slow

    asyncio.run(act())


def test_closing_finishes_what_has_come_and_refuses_what_comes_after(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path) as hops:
            gate = threading.Event()
            slow = asyncio.create_task(hops.run(lambda _: gate.wait(10)))
            await asyncio.sleep(0)
            queued = asyncio.create_task(hops.run(lambda c: c.execute("SELECT 7").fetchone()))
            await asyncio.sleep(0)
            closing = asyncio.create_task(hops.close())
            await asyncio.sleep(0)
            with pytest.raises(StoreUnavailable, match="closed"):
                await hops.run(lambda _: None)
            gate.set()
            await closing
            assert await slow
            assert await queued == (7,)

    asyncio.run(act())
