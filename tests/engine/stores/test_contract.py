"""What each verb promises, on SQLite and on PostgreSQL alike."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from engine.checks.ledger import audit
from engine.errors import (
    FenceLost,
    KeyReused,
    StoreUnavailable,
    UnknownWallet,
    UsageError,
    VersionChanged,
    WalletExists,
)
from engine.history import Entry
from engine.operations import Add, Open, Transfer
from engine.ports import Call, Change, Level, Row

PAY = Call("pay", Transfer("u", "v", 5, description="gift"), key="k")
CHANGES = (Change("u", 100, 95, 1), Change("v", 0, 5, 1))
LEVEL: dict[str, Level] = {"sqlite": "immediate", "postgres": "read-committed"}
Opened = Callable[..., AbstractAsyncContextManager[Any]]


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000

    def __call__(self) -> int:
        return self.ms


def test_a_read_gives_balances_versions_and_the_keys_receipt_and_leaves_absent_wallets_out(
    opened: Opened,
) -> None:
    async def act() -> None:
        async with opened() as database:
            store = database.session()
            assert await store.read(("u", "w"), "k") == ({"u": Row(100, 1)}, None)
            assert await store.read(("w",), "k") == ({}, None)
            receipt = await store.write(PAY, CHANGES)
            assert receipt.entries == (Entry("u", 100, 95, 2), Entry("v", 0, 5, 2))
            seen = await store.read(("u", "v"), "k")
            assert seen.rows == {"u": Row(95, 2), "v": Row(5, 2)}
            assert seen.earlier is not None
            assert seen.earlier.answer(PAY) == receipt
            assert (await store.read((), "k")).earlier == seen.earlier
            with pytest.raises(KeyReused):
                seen.earlier.answer(Call("other", Add("u", 1), key="k"))

    asyncio.run(act())


def test_a_write_with_a_key_that_is_there_changes_nothing_and_answers_with_its_receipt(
    opened: Opened,
) -> None:
    async def act() -> None:
        async with opened() as database:
            store = database.session()
            first = await store.write(PAY, CHANGES)
            again = Call("again", PAY.operation, key="k")
            late = (Change("u", 95, 90, 2), Change("v", 5, 10, 2))
            assert await store.write(again, late) == first
            await store.begin(LEVEL[store.dialect])
            assert await store.write(again, late) == first
            await store.commit()
            with pytest.raises(KeyReused):
                await store.write(Call("c", Add("u", 1), key="k"), (Change("u", 95, 96, 2),))
            assert await database.balances() == {"u": Row(95, 2), "v": Row(5, 2)}
            assert len(await database.log()) == 4

    asyncio.run(act())


def test_a_write_is_absolute_whatever_the_row_says_by_now(opened: Opened) -> None:
    async def act() -> None:
        async with opened() as database:
            store = database.session()
            for number in (1, 2):  # both read 100 at version 1: the first of them is lost
                receipt = await store.write(
                    Call(f"c{number}", Add("u", number)), (Change("u", 100, 100 + number, 1),)
                )
                assert receipt.entries == (Entry("u", 100, 100 + number, 1 + number),)
            assert (await database.balances())["u"] == Row(102, 3)

    asyncio.run(act())


def test_versions_rise_by_one_with_every_write_and_the_log_follows(opened: Opened) -> None:
    async def act() -> None:
        async with opened(now_ms=lambda: 77) as database:
            store = database.session()
            for number in range(3):
                call = Call(f"c{number}", Add("u", 1, description="tip"))
                await store.write(call, (Change("u", 100 + number, 101 + number, 1 + number),))
            rows = await database.log("u", after_version=1, limit=2)
            assert [tuple(row) for row in rows] == [
                ("c0", "u", "add", 1, 100, 101, 2, "tip", 77),
                ("c1", "u", "add", 1, 101, 102, 3, "tip", 77),
            ]
            assert await database.log("u", limit=0) == []
            assert [row.account for row in await database.log()] == ["u"] * 4 + ["v"]
            assert audit(*await database.books()) == ()

    asyncio.run(act())


def test_a_conditional_write_refuses_another_version_and_changes_nothing(opened: Opened) -> None:
    async def act() -> None:
        async with opened() as database:
            store = database.session()
            stale = (Change("u", 100, 95, 1), Change("v", 0, 5, 2))
            before = await database.books()
            with pytest.raises(VersionChanged, match="v is no longer at version 2; read it again"):
                await store.write(PAY, stale, if_version=True)
            with pytest.raises(VersionChanged, match="u is no longer at version 7"):
                await store.write(PAY, (Change("u", 100, 95, 7),), if_version=True)
            assert await database.books() == before
            assert (await store.read((), "k")).earlier is None
            await store.write(PAY, CHANGES, if_version=True)

    asyncio.run(act())


def test_a_wallet_is_created_once_and_a_missing_one_is_never_made_up(opened: Opened) -> None:
    async def act() -> None:
        async with opened() as database:
            store = database.session()
            with pytest.raises(WalletExists, match="wallet 'u' is there already"):
                await store.write(Call("c", Open("u")), (Change("u", 0, 9, 0),))
            with pytest.raises(UnknownWallet, match="wallet 'w' went away"):
                await store.write(Call("c", Add("w", 1)), (Change("w", 0, 1, 3),))
            both = (Change("u", 100, 99, 1), Change("w", 0, 1, 3))
            with pytest.raises(UnknownWallet):
                await store.write(Call("c", Transfer("u", "w", 1)), both)
            assert await database.balances() == {"u": Row(100, 1), "v": Row(0, 1)}

    asyncio.run(act())


def test_the_first_decision_stands(opened: Opened) -> None:
    async def act() -> None:
        async with opened(connections=3) as database:
            values = await asyncio.gather(
                *(database.session().decide("d", f"value {n}") for n in range(6))
            )
            assert len(set(values)) == 1
            assert await database.session().decide("d", "late") == values[0]

    asyncio.run(act())


def test_a_lease_is_waited_for_and_only_its_owner_gives_it_back(opened: Opened) -> None:
    async def act() -> None:
        async with opened() as database:
            store = database.session()
            assert await store.take("u", "A") == 1
            waiting = asyncio.create_task(store.take("u", "B"))
            await store.give("u", "B")
            await store.give("w", "A")
            await asyncio.sleep(0.02)
            assert not waiting.done()
            await store.give("u", "A")
            async with asyncio.timeout(2):  # sooner than the lease would have run out
                assert await waiting == 2

    asyncio.run(act())


def test_an_outlived_lease_is_taken_over_and_its_late_holder_is_stopped(opened: Opened) -> None:
    async def act() -> None:
        clock = Clock()
        async with opened(lease_s=5.0, now_ms=clock) as database:
            store = database.session()
            late = await store.take("u", "A")
            clock.ms += 60_000
            await store.write(
                Call("c", Add("u", 1)), (Change("u", 100, 101, 1),), fence={"u": late}
            )
            assert await store.take("u", "B") == late + 1
            before = await database.balances()
            with pytest.raises(FenceLost, match="the lease on 'u' has passed to another owner"):
                await store.write(PAY, CHANGES, fence={"u": late})
            assert await database.balances() == before
            await store.give("u", "A")  # no longer A's to give
            await store.write(PAY, CHANGES, fence={"u": late + 1})

    asyncio.run(act())


def test_a_transaction_is_seen_by_others_after_its_commit_and_never_after_a_rollback(
    opened: Opened,
) -> None:
    async def act() -> None:
        async with opened(connections=2) as database:
            store = database.session()
            for end, seen in ((store.rollback, Row(100, 1)), (store.commit, Row(95, 2))):
                await store.begin(LEVEL[store.dialect])
                await store.write(PAY, CHANGES)
                assert (await store.read(("u",))).rows["u"] == Row(95, 2)
                assert (await database.balances())["u"] == Row(100, 1)
                await end()
                assert (await database.balances())["u"] == seen
            await store.rollback()  # without a transaction it is nothing

    asyncio.run(act())


def test_verbs_are_refused_where_they_have_no_meaning(opened: Opened) -> None:
    async def act() -> None:
        async with opened() as database:
            store = database.session()
            other = {"sqlite": LEVEL["postgres"], "postgres": LEVEL["sqlite"]}
            with pytest.raises(UsageError, match=f"{store.dialect} knows no isolation level"):
                await store.begin(other[store.dialect])
            with pytest.raises(UsageError):
                await store.advisory(("u",))
            with pytest.raises(UsageError):
                await store.read(("u",), lock="wait")
            await store.begin(LEVEL[store.dialect])
            for work in (
                store.take("u", "A"),
                store.give("u", "A"),
                store.decide("d", "x"),
                store.guarded(PAY),
                store.group((PAY,)),
            ):
                with pytest.raises(UsageError, match="inside an open transaction"):
                    await work
            await store.commit()

    asyncio.run(act())


def test_a_reset_empties_everything_and_opens_the_wallets_with_log_rows(opened: Opened) -> None:
    async def act() -> None:
        async with opened(now_ms=lambda: 5) as database:
            store = database.session()
            await store.take("u", "me")
            await store.decide("d", "old")
            await store.guarded(PAY)
            await database.reset({"w": 9})
            balances, log = await database.books()
            assert balances == {"w": Row(9, 1)}
            assert [tuple(row) for row in log] == [("opening", "w", "open", 9, 0, 9, 1, "", 5)]
            assert (await store.read((), "k")).earlier is None
            assert await store.take("u", "you") == 1
            assert await store.decide("d", "new") == "new"

    asyncio.run(act())


def test_a_closed_database_is_unavailable(opened: Opened) -> None:
    async def act() -> None:
        async with opened() as database:
            store = database.session()
            await database.close()
            for work in (store.read(("u",)), store.guarded(PAY), database.balances()):
                with pytest.raises(StoreUnavailable, match="closed; open the database again"):
                    await work

    asyncio.run(act())
