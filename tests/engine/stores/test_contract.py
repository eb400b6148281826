"""What each verb promises, on SQLite and on PostgreSQL alike."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.checks.ledger import audit
from engine.errors import (
    FenceLost,
    InsufficientFunds,
    KeyReused,
    StoreUnavailable,
    UnknownWallet,
    UsageError,
    VersionChanged,
    WalletExists,
    WalletraceError,
)
from engine.history import Entry, Receipt
from engine.money import BALANCE_CENTS_MAX
from engine.operations import Add, Batch, Open, Operation, Transfer, Withdraw
from engine.ports import Call, Change, Level, Row
from engine.stores.postgres import PostgresDatabase
from engine.stores.sqlite import SqliteDatabase

PAY = Call("pay", Transfer("u", "v", 5, description="gift"), key="k")
CHANGES = (Change("u", 100, 95, 1), Change("v", 0, 5, 1))
LEVEL: dict[str, Level] = {"sqlite": "immediate", "postgres": "read-committed"}

Database = SqliteDatabase | PostgresDatabase
Opened = Callable[..., AbstractAsyncContextManager[Database]]


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """Opens a database in which u holds 100 and v holds nothing."""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")

    @asynccontextmanager
    async def open_one(**options: Any) -> AsyncIterator[Database]:
        database: Database
        if request.param == "sqlite":
            database = await SqliteDatabase.open(tmp_path / "w.db", synchronous="OFF", **options)
        else:
            database = await PostgresDatabase.open(url, **options)
        async with database:
            await database.reset({"u": 100, "v": 0})
            yield database

    return open_one


async def answer(database: Database, call: Call) -> Receipt | WalletraceError:
    try:
        return await database.session().guarded(call)
    except WalletraceError as error:
        return error


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


def test_of_many_who_open_a_wallet_at_once_one_does(opened: Opened) -> None:
    async def act() -> None:
        async with opened(connections=4) as database:
            calls = [Call(f"c{number}", Open("w", number)) for number in range(8)]
            answers = await asyncio.gather(*(answer(database, call) for call in calls))
            codes = [a.code for a in answers if isinstance(a, WalletraceError)]
            assert codes == ["wallet_exists"] * 7
            assert audit(*await database.books()) == ()

    asyncio.run(act())


@pytest.mark.parametrize(
    "operation",
    [
        Withdraw("u", 30),
        Add("u", 30, description="tip"),
        Transfer("v", "u", 10),
        Batch((Withdraw("u", 100), Add("u", 150), Transfer("u", "v", 20)), description="all"),
        Open("w", 7),
    ],
    ids=lambda operation: operation.kind,
)
def test_a_guarded_call_does_what_apply_says_and_does_it_once(
    opened: Opened, operation: Operation
) -> None:
    async def act() -> None:
        async with opened() as database:
            await database.session().guarded(Call("first", Add("v", 10)))
            before = await database.balances()
            receipt = await database.session().guarded(Call("c", operation, key="k"))
            again = await database.session().guarded(Call("again", operation, key="k"))
            assert again == receipt
            after = operation.apply({account: row.balance for account, row in before.items()})
            absent = Row(0, 0)
            assert receipt.entries == tuple(
                Entry(a, (old := before.get(a, absent)).balance, after[a], old.version + 1)
                for a in sorted(after)
            )
            balances, log = await database.books()
            assert {account: balances[account].balance for account in after} == after
            assert audit(balances, log) == ()
            with pytest.raises(KeyReused):
                await database.session().guarded(Call("c2", Add("v", 1), key="k"))

    asyncio.run(act())


@pytest.mark.parametrize(
    "operation",
    [
        Withdraw("u", 101),
        Add("full", 1),
        Transfer("u", "v", 101),
        Transfer("u", "full", 1),
        Transfer("u", "nobody", 1),
        Add("nobody", 1),
        Batch((Withdraw("u", 101), Add("u", 101))),
        Open("u"),
    ],
    ids=repr,
)
def test_a_guarded_call_that_is_refused_says_what_apply_says_and_changes_nothing(
    opened: Opened, operation: Operation
) -> None:
    async def act() -> None:
        async with opened() as database:
            await database.reset({"u": 100, "v": 0, "full": BALANCE_CENTS_MAX})
            before = await database.books()
            held = {account: row.balance for account, row in before[0].items()}
            with pytest.raises(WalletraceError) as expected:
                operation.apply(held)
            with pytest.raises(type(expected.value)) as refused:
                await database.session().guarded(Call("c", operation, key="k"))
            assert str(refused.value) == str(expected.value)
            assert await database.books() == before
            assert (await database.session().read((), "k")).earlier is None

    asyncio.run(act())


def test_guarded_withdrawals_at_once_never_take_what_is_not_there(opened: Opened) -> None:
    async def act() -> None:
        async with opened(connections=6) as database:
            calls = [Call(f"c{number}", Withdraw("u", 30)) for number in range(12)]
            answers = await asyncio.gather(*(answer(database, call) for call in calls))
            assert sum(isinstance(found, Receipt) for found in answers) == 3
            assert {type(a) for a in answers} == {Receipt, InsufficientFunds}
            balances, log = await database.books()
            assert balances["u"] == Row(10, 4)
            assert audit(balances, log) == ()

    asyncio.run(act())


def test_attempts_with_one_key_at_once_happen_once_and_all_get_its_receipt(opened: Opened) -> None:
    async def act() -> None:
        async with opened(connections=6) as database:
            for amount in (
                60,
                40,
            ):  # the second empties the wallet: no replay may say "insufficient"
                calls = [
                    Call(f"{amount}-{n}", Withdraw("u", amount), f"{amount}") for n in range(8)
                ]
                answers = await asyncio.gather(*(answer(database, call) for call in calls))
                assert len({repr(found) for found in answers}) == 1
                assert isinstance(answers[0], Receipt)
            balances, log = await database.books()
            assert balances["u"] == Row(0, 3)
            assert audit(balances, log) == ()

    asyncio.run(act())


def test_a_group_answers_each_call_as_if_they_came_one_after_the_other(opened: Opened) -> None:
    async def act() -> None:
        async with opened() as database:
            pay = Transfer("u", "v", 5)
            calls = (
                Call("a", Withdraw("u", 90)),
                Call("b", Withdraw("u", 20)),
                Call("c", pay, key="k"),
                Call("d", pay, key="k"),
                Call("e", Open("w", 7)),
                Call("f", Add("w", 1)),
                Call("g", Add("u", 1), key="k"),
                Call("h", Open("w")),
            )
            answers = await database.session().group(calls)
            entries = [a.entries if isinstance(a, Receipt) else a.code for a in answers]
            paid = (Entry("u", 10, 5, 3), Entry("v", 0, 5, 2))
            assert entries == [
                (Entry("u", 100, 10, 2),),
                "insufficient_funds",
                paid,
                paid,
                (Entry("w", 0, 7, 1),),
                (Entry("w", 7, 8, 2),),
                "key_reused",
                "wallet_exists",
            ]
            balances, log = await database.books()
            assert balances == {"u": Row(5, 3), "v": Row(5, 2), "w": Row(8, 2)}
            assert audit(balances, log) == ()
            assert (await database.session().group((Call("x", pay, key="k"),)))[0] == answers[2]

    asyncio.run(act())


def test_groups_at_once_lose_and_double_nothing(opened: Opened) -> None:
    async def act() -> None:
        async with opened(connections=4) as database:
            groups = [
                tuple(
                    Call(
                        f"{g}-{n}",
                        Add("u", 1) if n % 2 else Open("w"),
                        key=f"k{(g + n) % 5}{n % 2}",
                    )
                    for n in range(6)
                )
                for g in range(6)
            ]
            await asyncio.gather(*(database.session().group(calls) for calls in groups))
            balances, log = await database.books()
            assert balances["u"].balance == 105  # five keys for adding, whoever came first
            assert audit(balances, log) == ()

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
