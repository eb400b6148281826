"""The single writer commits in groups, and callers who go away harm nobody."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.checks.ledger import audit
from engine.errors import InsufficientFunds, StoreBusy, StoreUnavailable
from engine.history import Receipt
from engine.locks import single_writer
from engine.locks.single_writer import SingleWriter
from engine.operations import Add, Withdraw
from engine.ports import Call
from engine.runtimes import AsyncioRuntime
from engine.stores.sqlite import SqliteDatabase


class Grouping:
    """A store that keeps the groups it commits, each after `pause`."""

    dialect = "sqlite"

    def __init__(self, database: SqliteDatabase) -> None:
        self.groups: list[list[str]] = []
        self.begun = asyncio.Event()
        self.pause: Callable[[], Any] = lambda: asyncio.sleep(0)
        self._inner = database.session()

    async def group(self, calls: tuple[Call, ...]) -> Any:
        self.groups.append([call.id for call in calls])
        self.begun.set()
        await self.pause()
        return await self._inner.group(calls)


@asynccontextmanager
async def writer(folder: Path) -> AsyncIterator[tuple[Any, Grouping, SqliteDatabase]]:
    """`run(id, operation)` as a task, the store, and the database; alice holds 100 cents."""
    async with await SqliteDatabase.open(folder / "wallets.db", synchronous="OFF") as database:
        await database.reset({"alice": 100})
        runtime = AsyncioRuntime()
        lock, store = SingleWriter(runtime), Grouping(database)

        def run(name: str, operation: Any = Add("alice", 1)) -> asyncio.Task[Receipt]:  # noqa: B008
            return asyncio.create_task(lock.run(Call(name, operation), store))  # type: ignore[arg-type]

        async with asyncio.timeout(20):
            yield run, store, database
            await runtime.drain()
        assert audit(*await database.books()) == ()


async def held(database: SqliteDatabase) -> int:
    return (await database.balances())["alice"].balance


def test_calls_that_wait_are_committed_together_in_the_order_they_came(tmp_path: Path) -> None:
    async def act() -> None:
        async with writer(tmp_path) as (run, store, database):
            receipts = await asyncio.gather(*(run(str(n)) for n in range(50)))
            # All have queued by the time the writer begins.
            assert store.groups == [[str(n) for n in range(50)]]
            assert [r.entries[0].after for r in receipts] == [101 + n for n in range(50)]
            assert await held(database) == 150

    asyncio.run(act())


def test_the_next_group_gathers_while_one_is_committed_and_none_exceeds_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        monkeypatch.setattr(single_writer, "BATCH_MAX", 4)
        async with writer(tmp_path) as (run, store, _):
            first = run("first")
            await store.begun.wait()
            rest = [run(str(n)) for n in range(10)]
            await asyncio.gather(first, *rest)
            assert [len(group) for group in store.groups] == [1, 4, 4, 2]

    asyncio.run(act())


def test_a_refused_call_is_told_so_and_the_others_have_happened(tmp_path: Path) -> None:
    async def act() -> None:
        async with writer(tmp_path) as (run, store, database):
            calls = [run("a"), run("b", Withdraw("alice", 500)), run("c")]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(answer) for answer in answers] == [Receipt, InsufficientFunds, Receipt]
            assert (len(store.groups), await held(database)) == (1, 102)

    asyncio.run(act())


def test_what_fails_a_group_is_told_to_all_in_it_and_the_writer_goes_on(tmp_path: Path) -> None:
    async def act() -> None:
        async with writer(tmp_path) as (run, store, database):

            async def busy() -> None:
                store.pause = lambda: asyncio.sleep(0)
                raise StoreBusy("busy", "try again")

            store.pause = busy
            answers = await asyncio.gather(run("a"), run("b"), return_exceptions=True)
            assert [type(answer) for answer in answers] == [StoreBusy, StoreBusy]
            await run("c")
            assert await held(database) == 101

    asyncio.run(act())


@pytest.mark.parametrize("gone", range(4))
def test_whoever_goes_while_the_group_is_under_way_leaves_it_and_the_others_be(
    tmp_path: Path, gone: int
) -> None:
    async def act() -> None:
        async with writer(tmp_path) as (run, store, database):
            going = asyncio.Event()

            async def wait() -> None:
                await going.wait()

            store.pause = wait
            tasks = [run("0"), run("1")]
            await store.begun.wait()
            tasks += [run("2"), run("3")]  # in the queue
            await asyncio.sleep(0)
            tasks[gone].cancel()
            for _ in range(5):
                await asyncio.sleep(0)
            # Under way: it goes once that has landed. In the queue: it goes at once.
            assert tasks[gone].done() == (gone >= 2)
            going.set()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(answers.pop(gone), asyncio.CancelledError)
            assert all(isinstance(answer, Receipt) for answer in answers)
            assert await held(database) == (104 if gone < 2 else 103)

    asyncio.run(act())


def test_everybody_gone_leaves_no_memory_and_the_next_caller_is_served(tmp_path: Path) -> None:
    async def act() -> None:
        async with writer(tmp_path) as (run, store, database):
            tasks = [run(str(n)) for n in range(3)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            happened = await held(database) - 100
            assert happened == sum(len(group) for group in store.groups)
            await run("next")
            assert await held(database) == 101 + happened

    asyncio.run(act())


def test_a_writer_that_is_stopped_tells_its_callers_that_nobody_knows(tmp_path: Path) -> None:
    async def act() -> None:
        async with writer(tmp_path) as (run, store, _):

            async def stopped() -> None:
                store.pause = lambda: asyncio.sleep(0)
                raise asyncio.CancelledError

            store.pause = stopped
            with pytest.raises(StoreUnavailable, match="the writer was stopped") as told:
                await run("a")
            assert told.value.may_have_happened
            await run("b")

    asyncio.run(act())
