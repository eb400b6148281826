"""Faults of server and network: each has its own error, and nothing is lost or left dirty."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

import asyncpg
import pytest

from engine.checks.ledger import audit
from engine.errors import (
    StoreBusy,
    StoreFull,
    StoreUnavailable,
)
from engine.operations import Add, Batch
from engine.ports import Call, Change, Row
from engine.stores import postgres as postgres_store
from engine.stores.postgres import PostgresDatabase
from engine.stores.postgres_server import SERVANT, embedded_server
from tests.engine.stores.locking import row_lock

ADD = Call("add", Add("u", 1))
ONE_MORE = (Change("u", 100, 101, 1),)
Opened = Callable[..., AbstractAsyncContextManager[PostgresDatabase]]


async def end_sessions(connection: asyncpg.Connection) -> None:
    """As an administrator does: end every session of walletrace."""
    await connection.fetch(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'walletrace'"
    )


async def pool_is_clean(database: PostgresDatabase) -> bool:
    """Whether a pool of one connection still lends it, with no transaction open."""
    async with asyncio.timeout(5):
        await database.session().guarded(Call("clean", Add("v", 1)))
    return audit(*await database.books()) == ()


def test_a_session_ended_inside_a_transaction_has_changed_nothing_and_says_so(
    postgres: Opened,
    postgres_url: str,
) -> None:
    async def act() -> None:
        admin = await asyncpg.connect(postgres_url)
        async with postgres(connections=1) as database:
            store = database.session()
            await store.begin("read-committed")
            await store.write(ADD, ONE_MORE)
            await end_sessions(admin)
            with pytest.raises(
                StoreUnavailable, match=r"no connection to the database .*; try again"
            ) as lost:
                await store.read(("u",))
            assert not lost.value.may_have_happened
            await store.rollback()
            assert (await database.balances())["u"] == Row(100, 1)
            await store.begin("read-committed")
            await store.read(("u",))
            await end_sessions(admin)
            with pytest.raises(StoreUnavailable) as lost:
                await store.commit()
            assert lost.value.may_have_happened
            await store.rollback()
            assert await pool_is_clean(database)
        await admin.close()

    asyncio.run(act())


def test_a_session_ended_during_a_write_leaves_it_in_doubt_and_is_replaced(
    postgres: Opened,
    postgres_url: str,
) -> None:
    async def act() -> None:
        async with postgres(connections=1) as database:
            async with row_lock(postgres_url) as somebody_else:
                writing = asyncio.create_task(database.session().write(ADD, ONE_MORE))
                await asyncio.sleep(0.02)
                await end_sessions(somebody_else)
                with pytest.raises(StoreUnavailable) as lost:
                    await writing
                assert lost.value.may_have_happened
            assert (await database.balances())["u"] == Row(100, 1)
            assert await pool_is_clean(database)

    asyncio.run(act())


def test_a_session_ended_while_idle_is_replaced_and_nobody_notices(
    postgres: Opened, postgres_url: str
) -> None:
    async def act() -> None:
        admin = await asyncpg.connect(postgres_url)
        async with postgres(connections=1) as database:
            await end_sessions(admin)
            await asyncio.sleep(0.02)
            assert await pool_is_clean(database)
        await admin.close()

    asyncio.run(act())


def test_a_server_that_went_away_is_found_again_when_it_is_back(postgres_url: str) -> None:
    async def act(data: Path) -> None:
        with embedded_server(data) as url:
            database = await PostgresDatabase.open(url, connections=2)
            await database.reset({"u": 100, "v": 0})
            store = database.session()
            await store.begin("read-committed")
            await store.write(ADD, ONE_MORE)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="try again"):
                await database.session().guarded(ADD)
        with pytest.raises(StoreUnavailable):
            await store.commit()
        await store.rollback()
        with embedded_server(data):
            assert (await database.balances())["u"] == Row(100, 1)
            assert await pool_is_clean(database)
            await database.close()

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        asyncio.run(act(Path(folder) / "data"))


def test_a_transaction_that_stands_still_for_too_long_is_ended_and_its_locks_are_free(
    postgres: Opened,
) -> None:
    async def act() -> None:
        settings = {"idle_in_transaction_session_timeout": "20ms"}
        async with postgres(connections=2, settings=settings) as database:
            store = database.session()
            await store.begin("read-committed")
            await store.write(ADD, ONE_MORE)
            async with asyncio.timeout(5):
                await database.session().guarded(Call("next", Add("u", 10)))
            with pytest.raises(StoreUnavailable):
                await store.read(("u",))
            await store.rollback()
            assert (await database.balances())["u"] == Row(110, 2)
            assert await pool_is_clean(database)

    asyncio.run(act())


def test_a_pool_whose_connections_are_all_lent_is_busy(
    postgres: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        monkeypatch.setattr(postgres_store, "LOCK_WAIT_S_MAX", 0.03)
        async with postgres(connections=1) as database:
            store = database.session()
            await store.begin("read-committed")
            with pytest.raises(StoreBusy, match=r"no connection came free within 0\.03 s"):
                await database.session().guarded(ADD)
            await store.rollback()
            assert await pool_is_clean(database)

    asyncio.run(act())


def test_connections_are_lent_in_the_order_they_were_asked_for(postgres: Opened) -> None:
    async def act() -> None:
        async with postgres(connections=1) as database:
            await asyncio.gather(
                *(database.session().guarded(Call(f"c{n}", Add("u", 1))) for n in range(9))
            )
            log = await database.log("u", after_version=1)
            assert [row.operation_id for row in log] == [f"c{n}" for n in range(9)]

    asyncio.run(act())


def test_a_server_without_a_free_connection_is_busy(postgres_url: str) -> None:
    async def act() -> None:
        admin = await asyncpg.connect(postgres_url)
        await admin.execute("DROP ROLE IF EXISTS few; CREATE ROLE few LOGIN CONNECTION LIMIT 1")
        url = postgres_url.replace("//postgres@", "//few@")
        only = await asyncpg.connect(url)
        with pytest.raises(StoreBusy, match="takes no more connections"):
            await PostgresDatabase.open(url)
        await only.close()
        await admin.execute("DROP ROLE few")
        await admin.close()

    asyncio.run(act())


@contextmanager
def small_disk() -> Iterator[Path]:
    """A directory of the server's on a disk of two megabytes, where this process may mount one."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        mount = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=755", "tmpfs", folder]
        if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
            pytest.skip("only root may mount a small disk to fill")
        try:
            space = Path(folder) / "space"
            space.mkdir()
            shutil.chown(space, SERVANT)
            yield space
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


async def fill(database: PostgresDatabase) -> int:
    """Write until there is no room; how many writes there was room for."""
    for written in range(200):
        calls = (Call(f"{written}-{n}", Add("u", 1, description="x" * 200)) for n in range(99))
        try:
            await database.session().group(tuple(calls))
        except StoreFull:
            return written * 99
    raise AssertionError("the disk never filled up")


def test_a_full_disk_is_said_changes_nothing_and_can_be_cured(
    postgres: Opened, postgres_url: str
) -> None:
    async def act(disk: Path) -> None:
        log_to = "ALTER TABLE walletrace.operation_log SET TABLESPACE"
        admin = await asyncpg.connect(postgres_url)
        async with postgres(connections=1) as database:
            await admin.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
            try:
                await admin.execute(f"{log_to} small")
                written = await fill(database)
                big = Call("big", Batch((Add("u", 1),) * 2, description="x" * 200))
                with pytest.raises(StoreFull, match=r"no room left .* free some disk space"):
                    await database.session().group(tuple(big for _ in range(99)))
                balances, log = await database.books()
                assert balances["u"] == Row(100 + written, 1 + written)
                assert audit(balances, log) == ()
            finally:
                await admin.execute(f"{log_to} pg_default")
                await admin.execute("DROP TABLESPACE small")
                await admin.close()
            assert await pool_is_clean(database)

    with small_disk() as disk:
        asyncio.run(act(disk))
