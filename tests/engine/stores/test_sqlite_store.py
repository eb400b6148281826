"""What each verb of the store promises, on a real file."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.errors import (
    FenceLost,
    KeyReused,
    LockTimeout,
    StoreBusy,
    UnknownWallet,
    VersionChanged,
    WalletExists,
)
from engine.history import Entry
from engine.operations import Add, Open, Transfer
from engine.ports import Call, Change, Row
from engine.stores import sqlite as sqlite_store
from engine.stores.sqlite import SqliteDatabase

PAY = Call("pay", Transfer("u", "v", 5, description="gift"), key="k")
CHANGES = (Change("u", 100, 95, 1), Change("v", 0, 5, 1))


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000

    def __call__(self) -> int:
        return self.ms


@asynccontextmanager
async def opened(folder: Path, **options: Any) -> AsyncIterator[SqliteDatabase]:
    path = folder / "wallets.db"
    async with await SqliteDatabase.open(path, synchronous="OFF", **options) as database:
        await database.reset({"u": 100, "v": 0})
        yield database


def test_a_read_gives_balances_versions_and_the_keys_receipt_and_leaves_absent_wallets_out(
    tmp_path: Path,
) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            store = database.session()
            assert await store.read(("u", "w"), "k") == ({"u": Row(100, 1)}, None)
            receipt = await store.write(PAY, CHANGES)
            assert receipt.entries == (Entry("u", 100, 95, 2), Entry("v", 0, 5, 2))
            seen = await store.read(("u", "v"), "k")
            assert seen.rows == {"u": Row(95, 2), "v": Row(5, 2)}
            assert seen.earlier is not None
            assert seen.earlier.answer(PAY) == receipt
            with pytest.raises(KeyReused):
                seen.earlier.answer(Call("other", Add("u", 1), key="k"))

    asyncio.run(act())


def test_a_write_with_a_key_that_is_there_changes_nothing_and_answers_with_its_receipt(
    tmp_path: Path,
) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            store = database.session()
            first = await store.write(PAY, CHANGES)
            again = Call("again", PAY.operation, key="k")
            assert (
                await store.write(again, (Change("u", 95, 90, 2), Change("v", 5, 10, 2))) == first
            )
            assert await database.balances() == {"u": Row(95, 2), "v": Row(5, 2)}
            assert len(await database.log()) == 4

    asyncio.run(act())


def test_versions_rise_by_one_with_every_write_and_the_log_follows(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path, now_ms=lambda: 77) as database:
            store = database.session()
            for number in range(3):
                call = Call(f"c{number}", Add("u", 1))
                await store.write(call, (Change("u", 100 + number, 101 + number, 1 + number),))
            rows = await database.log("u", after_version=1, limit=2)
            assert [(row.operation_id, row.version, row.time_ms) for row in rows] == [
                ("c0", 2, 77),
                ("c1", 3, 77),
            ]
            assert await database.log("u", limit=0) == []
            assert [row.account for row in await database.log()] == ["u"] * 4 + ["v"]

    asyncio.run(act())


def test_a_conditional_write_refuses_another_version_and_changes_nothing(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            store = database.session()
            stale = (Change("u", 100, 95, 1), Change("v", 0, 5, 2))
            before = await database.log()
            with pytest.raises(VersionChanged, match="v is no longer at version 2; read it again"):
                await store.write(PAY, stale, if_version=True)
            assert (await database.balances())["u"] == Row(100, 1)
            assert await database.log() == before
            assert (await store.read((), "k")).earlier is None
            await store.write(PAY, CHANGES, if_version=True)

    asyncio.run(act())


def test_a_wallet_is_created_once_and_a_missing_one_is_never_made_up(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            store = database.session()
            with pytest.raises(WalletExists):
                await store.write(Call("c", Open("u")), (Change("u", 0, 9, 0),))
            with pytest.raises(UnknownWallet):
                await store.write(Call("c", Add("w", 1)), (Change("w", 0, 1, 3),))
            assert await database.balances() == {"u": Row(100, 1), "v": Row(0, 1)}

    asyncio.run(act())


def test_the_first_decision_stands(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path, connections=3) as database:
            values = await asyncio.gather(
                *(database.session().decide("d", f"value {n}") for n in range(6))
            )
            assert len(set(values)) == 1
            assert await database.session().decide("d", "late") == values[0]

    asyncio.run(act())


def test_a_lease_is_waited_for_and_its_token_rises(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            store = database.session()
            assert await store.take("u", "A") == 1
            waiting = asyncio.create_task(store.take("u", "B"))
            await asyncio.sleep(0.02)
            assert not waiting.done()
            await store.give("u", "A")
            assert await waiting == 2

    asyncio.run(act())


def test_only_its_owner_gives_a_lease_back(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            store = database.session()
            token = await store.take("u", "A")
            await store.give("u", "B")
            await store.give("w", "A")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await store.take("u", "C")
            await store.write(
                Call("c", Add("u", 1)), (Change("u", 100, 101, 1),), fence={"u": token}
            )

    asyncio.run(act())


def test_an_outlived_lease_is_taken_over_and_its_late_holder_is_stopped(tmp_path: Path) -> None:
    async def act() -> None:
        clock = Clock()
        async with opened(tmp_path, lease_s=5.0, now_ms=clock) as database:
            store = database.session()
            late = await store.take("u", "A")
            clock.ms += 5_000
            assert await store.take("u", "B") == late + 1
            before = await database.balances()
            with pytest.raises(FenceLost, match="the lease on 'u' has passed to another owner"):
                await store.write(PAY, CHANGES, fence={"u": late})
            assert await database.balances() == before
            await store.give("u", "A")  # no longer A's to give
            await store.write(PAY, CHANGES, fence={"u": late + 1})

    asyncio.run(act())


def test_a_holder_that_is_late_but_alone_may_still_write(tmp_path: Path) -> None:
    async def act() -> None:
        clock = Clock()
        async with opened(tmp_path, lease_s=5.0, now_ms=clock) as database:
            token = await database.session().take("u", "A")
            clock.ms += 60_000
            await database.session().write(PAY, CHANGES, fence={"u": token})

    asyncio.run(act())


def test_a_lease_that_never_comes_is_given_up_with_a_lock_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        monkeypatch.setattr(sqlite_store, "LOCK_WAIT_S_MAX", 0.02)
        async with opened(tmp_path) as database:
            await database.session().take("u", "A")
            with pytest.raises(LockTimeout, match=r"no lease on 'u' within 0\.02 s; try again"):
                await database.session().take("u", "B")

    asyncio.run(act())


def test_a_transaction_is_seen_by_others_after_its_commit_and_never_after_a_rollback(
    tmp_path: Path,
) -> None:
    async def act() -> None:
        async with opened(tmp_path, connections=2) as database:
            store = database.session()
            for end, seen in ((store.rollback, Row(100, 1)), (store.commit, Row(95, 2))):
                await store.begin("immediate")
                await store.write(PAY, CHANGES)
                assert (await store.read(("u",))).rows["u"] == Row(95, 2)
                assert (await database.balances())["u"] == Row(100, 1)
                await end()
                assert (await database.balances())["u"] == seen

    asyncio.run(act())


def test_a_deferred_transaction_keeps_its_snapshot_and_may_not_write_upon_an_old_one(
    tmp_path: Path,
) -> None:
    async def act() -> None:
        async with opened(tmp_path, connections=2, busy_timeout_s=5.0) as database:
            store = database.session()
            await store.begin("deferred")
            assert (await store.read(("u",))).rows["u"] == Row(100, 1)
            await database.session().write(PAY, CHANGES)
            assert (await store.read(("u",))).rows["u"] == Row(100, 1)
            async with asyncio.timeout(1):  # busy at once, whatever the timeout: waiting is no use
                with pytest.raises(StoreBusy):
                    await store.write(Call("c", Add("u", 1)), (Change("u", 100, 101, 1),))
            await store.rollback()
            assert (await store.read(("u",))).rows["u"] == Row(95, 2)

    asyncio.run(act())


def test_a_rollback_without_a_transaction_is_nothing_and_the_connection_comes_back(
    tmp_path: Path,
) -> None:
    async def act() -> None:
        async with opened(tmp_path) as database:
            store = database.session()
            await store.rollback()
            await store.begin("immediate")
            await store.rollback()
            await store.rollback()
            async with asyncio.timeout(5):
                assert (await database.session().read(("u",))).rows["u"] == Row(100, 1)

    asyncio.run(act())
