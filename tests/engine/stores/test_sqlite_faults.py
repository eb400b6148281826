"""Faults of the database: each has its own error, and nothing is changed or forgotten."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StoreBusy, StoreFull, StoreUnavailable
from engine.operations import Add
from engine.ports import Call, Change, Row, Store
from engine.stores.sqlite import SqliteDatabase
from engine.timings import CURRENT, Timings

TEXT = "x" * 200


@asynccontextmanager
async def opened(folder: Path, **options: Any) -> AsyncIterator[SqliteDatabase]:
    path = folder / "wallets.db"
    async with await SqliteDatabase.open(path, synchronous="OFF", **options) as database:
        await database.reset({"u": 100})
        yield database


@contextmanager
def write_lock(database: SqliteDatabase) -> Iterator[None]:
    """Somebody else holds the file's write lock."""
    with closing(sqlite3.connect(database.path, isolation_level=None)) as somebody_else:
        somebody_else.execute("BEGIN IMMEDIATE")
        yield
        somebody_else.execute("COMMIT")


def add(number: int, text: str = "") -> tuple[Call, tuple[Change, ...]]:
    call = Call(f"c{number}", Add("u", 1, description=text), key=f"k{number}")
    return call, (Change("u", 100 + number, 101 + number, 1 + number),)


async def limit_pages(database: SqliteDatabase, pages: int) -> int:
    """Let the file grow to `pages` pages at most, or to what it has; how many that are."""
    pragma = f"PRAGMA max_page_count = {pages}"
    return int(await database.once(lambda c: c.execute(pragma).fetchall()[0][0]))


async def fill(store: Store) -> int:
    """Write until there is no room; how many writes there was room for."""
    for number in range(1_000):
        try:
            await store.write(*add(number, TEXT))
        except StoreFull:
            return number
    raise AssertionError("the disk never filled up")


def test_a_full_disk_is_said_changes_nothing_and_can_be_cured(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            store = database.session()
            await limit_pages(database, 1)
            written = await fill(store)
            with pytest.raises(StoreFull, match=r"no room left .* free some disk space"):
                await store.write(*add(written, TEXT))
            assert await database.balances() == {"u": Row(100 + written, 1 + written)}
            assert len(await database.log()) == 1 + written
            assert (await store.read((), f"k{written}")).earlier is None
            with pytest.raises(StoreFull):
                await database.reset({f"wallet-{number}": 1 for number in range(2_000)})
            assert await database.balances() == {"u": Row(100 + written, 1 + written)}
            await limit_pages(database, 1_000)
            await store.write(*add(written, TEXT))
            assert await database.balances() == {"u": Row(101 + written, 2 + written)}

    asyncio.run(act())


@pytest.mark.parametrize("verb", ["write", "begin", "take", "decide", "give"])
def test_a_write_lock_held_elsewhere_is_busy_after_the_timeout_and_changes_nothing(
    tmp_path: Path, verb: str
) -> None:
    async def act() -> None:
        async with opened(tmp_path, busy_timeout_s=0.01) as database:
            store = database.session()
            await store.take("held", "A")
            arguments: dict[str, Any] = {
                "write": add(0),
                "begin": ("immediate",),
                "take": ("u", "A"),
                "decide": ("d", "first"),
                "give": ("held", "A"),
            }
            with write_lock(database):
                with pytest.raises(StoreBusy, match=r"the database is busy .* try again"):
                    await getattr(store, verb)(*arguments[verb])
                await store.rollback()
                assert await store.read(("u",), "k0") == ({"u": Row(100, 1)}, None)
            await getattr(store, verb)(*arguments[verb])
            await store.rollback()

    asyncio.run(act())


def test_a_wait_for_the_write_lock_is_the_databases_own_wait(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            token = CURRENT.set(timings := Timings())
            with write_lock(database):
                writing = asyncio.create_task(database.session().write(*add(0)))
                await asyncio.sleep(0.03)
            await writing
            CURRENT.reset(token)
            assert timings.store_wait_ns >= 20_000_000
            assert timings.store_wait_ns <= timings.store_ns
            assert timings.lock_wait_ns == 0

    asyncio.run(act())


def test_a_closed_database_is_unavailable(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            store = database.session()
            await database.close()
            for work in (store.read(("u",)), store.write(*add(0)), database.balances()):
                with pytest.raises(StoreUnavailable, match="closed; open the database again"):
                    await work

    asyncio.run(act())


def test_a_file_that_was_torn_is_unavailable_and_not_empty(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            await database.once(lambda c: c.execute("DROP TABLE wallets") and None)
            with pytest.raises(StoreUnavailable, match="no such table"):
                await database.session().read(("u",))

    asyncio.run(act())


@pytest.mark.parametrize("cancellations", [1, 3])
def test_a_cancelled_write_is_waited_out_before_its_caller_goes_on(
    tmp_path: Path, cancellations: int
) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            with write_lock(database):
                writing = asyncio.create_task(database.session().write(*add(0)))
                await asyncio.sleep(0.02)
                for _ in range(cancellations):
                    writing.cancel()
                    await asyncio.sleep(0.005)
                assert not writing.done()
            with pytest.raises(asyncio.CancelledError):
                await writing
            # Without any wait: at the moment the caller went on the write had landed.
            with closing(sqlite3.connect(database.path)) as reader:
                assert reader.execute("SELECT balance_cents FROM wallets").fetchone() == (101,)

    asyncio.run(act())


def test_a_cancelled_caller_gives_its_turn_on_the_connection_back(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            gate = threading.Event()
            slow = asyncio.create_task(database.once(lambda c: gate.wait(10) and None))
            await asyncio.sleep(0)
            queued = [asyncio.create_task(database.balances()) for _ in range(3)]
            await asyncio.sleep(0)
            queued[0].cancel()
            slow.cancel()
            gate.set()
            await asyncio.wait([slow, *queued])
            assert [task.cancelled() for task in (slow, *queued)] == [True, True, False, False]
            assert queued[2].result() == {"u": Row(100, 1)}

    asyncio.run(act())


@pytest.mark.parametrize("verb", ["begin", "write", "commit", "rollback"])
def test_a_transaction_cancelled_at_any_verb_can_be_rolled_back(tmp_path: Path, verb: str) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            store = database.session()

            async def transaction() -> None:
                try:
                    for name, arguments in (
                        ("begin", ("immediate",)),
                        ("write", add(0)),
                        ("commit" if verb != "rollback" else "rollback", ()),
                    ):
                        if name == verb:
                            running.cancel()
                        await getattr(store, name)(*arguments)
                finally:
                    await store.rollback()

            running = asyncio.create_task(transaction())
            with pytest.raises(asyncio.CancelledError):
                await running
            committed = verb == "commit"  # sent, so it landed, though nobody heard of it
            assert (await database.balances())["u"].balance == (101 if committed else 100)
            async with asyncio.timeout(5):
                await database.session().write(*add(int(committed)))

    asyncio.run(act())
