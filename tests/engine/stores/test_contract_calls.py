"""What whole calls promise, guarded ones and groups of them, on both databases alike."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from engine.checks.ledger import audit
from engine.errors import (
    InsufficientFunds,
    KeyReused,
    WalletraceError,
)
from engine.history import Entry, Receipt
from engine.money import BALANCE_CENTS_MAX
from engine.operations import Add, Batch, Open, Operation, Transfer, Withdraw
from engine.ports import Call, Row

Opened = Callable[..., AbstractAsyncContextManager[Any]]


async def answer(database: Any, call: Call) -> Receipt | WalletraceError:
    try:
        return await database.session().guarded(call)
    except WalletraceError as error:
        return error


def test_of_many_who_open_a_wallet_at_once_one_does(opened: Opened) -> None:
    async def act() -> None:
        async with opened(connections=4) as database:
            calls = [Call(f"c{number}", Open("w", number)) for number in range(8)]
            answers = await asyncio.gather(*(answer(database, call) for call in calls))
            codes = [a.code for a in answers if isinstance(a, WalletraceError)]
            assert codes == ["wallet_exists"] * 7
            assert audit(*await database.books()) == ()

    asyncio.run(act())


def test_a_refusal_tells_the_balances_it_rests_on(opened: Opened) -> None:
    batch = Batch((Add("v", 10), Withdraw("u", 500)))

    async def act() -> None:
        async with opened() as database:
            rows = await database.balances()
            lone = await answer(database, Call("lone", batch))
            calls = (Call("first", Add("u", 1)), Call("second", batch))
            _, grouped = await database.session().group(calls)
            assert lone.seen == {"u": rows["u"], "v": rows["v"]}
            later = Row(rows["u"].balance + 1, rows["u"].version + 1)
            assert grouped.seen == {"u": later, "v": rows["v"]}

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
            for amount in (10, 60, 30):  # no replay may say that there is too little by now
                calls = [
                    Call(f"{amount}-{n}", Withdraw("u", amount), f"{amount}") for n in range(8)
                ]
                answers = await asyncio.gather(*(answer(database, call) for call in calls))
                assert len({repr(found) for found in answers}) == 1
                assert isinstance(answers[0], Receipt)
            balances, log = await database.books()
            assert balances["u"] == Row(0, 4)
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
