"""Row locks, advisory locks and leases of the PostgreSQL store, on a real server."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from engine.errors import (
    FenceLost,
    LockTaken,
    LockTimeout,
    WalletExists,
)
from engine.operations import Add, Open, Withdraw
from engine.ports import Call, Change, Row
from engine.stores import postgres as postgres_store
from engine.stores.postgres import PostgresDatabase
from engine.timings import CURRENT, Timings
from tests.engine.stores.locking import begun, until_blocked

ADD = Call("add", Add("u", 1))
Opened = Callable[..., AbstractAsyncContextManager[PostgresDatabase]]


def test_a_locking_read_waits_and_then_sees_what_it_waited_for(
    postgres: Opened, postgres_url: str
) -> None:
    async def act() -> None:
        async with postgres() as database, begun(database) as first:
            await first.read(("u",), lock="wait")
            async with begun(database) as second:
                waiting = asyncio.create_task(second.read(("u", "v"), lock="wait"))
                await until_blocked(postgres_url)
                await first.write(ADD, (Change("u", 100, 101, 1),))
                await first.commit()
                assert (await waiting).rows == {"u": Row(101, 2), "v": Row(0, 1)}

    asyncio.run(act())


def test_a_replay_that_waited_for_the_first_attempts_lock_finds_its_receipt(
    postgres: Opened,
    postgres_url: str,
) -> None:
    async def act() -> None:
        async with postgres() as database, begun(database) as first:
            spend = Call("first", Withdraw("u", 100), key="k")
            await first.read(("u",), "k", lock="wait")
            async with begun(database) as second:
                waiting = asyncio.create_task(second.read(("u",), "k", lock="wait"))
                await until_blocked(postgres_url)
                receipt = await first.write(spend, (Change("u", 100, 0, 1),))
                await first.commit()
                seen = await waiting
            assert seen.rows == {"u": Row(0, 2)}
            assert seen.earlier is not None
            assert seen.earlier.receipt == receipt

    asyncio.run(act())


def test_two_attempts_with_one_key_that_wait_for_one_row_happen_once(
    postgres: Opened, postgres_url: str
) -> None:
    async def act() -> None:
        async with postgres() as database, begun(database) as first:
            await first.read(("u",), lock="wait")
            attempts = [
                asyncio.create_task(database.session().guarded(Call(name, Withdraw("u", 1), "k")))
                for name in ("a", "b")
            ]
            await until_blocked(postgres_url, 2)
            await first.commit()
            receipts = await asyncio.gather(*attempts)
            assert receipts[0] == receipts[1]
            assert (await database.balances())["u"] == Row(99, 2)

    asyncio.run(act())


def test_who_waits_for_a_wallet_that_is_being_opened_finds_it_there(
    postgres: Opened, postgres_url: str
) -> None:
    async def act() -> None:
        async with postgres() as database, begun(database) as first:
            await first.write(Call("a", Open("w", 5)), (Change("w", 0, 5, 0),))
            late = [
                asyncio.create_task(database.session().guarded(Call("b", Open("w", 7)))),
                asyncio.create_task(database.session().group((Call("c", Open("w", 7)),))),
            ]
            await until_blocked(postgres_url, 2)
            await first.commit()
            with pytest.raises(WalletExists):
                await late[0]
            [answer] = await late[1]
            assert isinstance(answer, WalletExists)
            assert (await database.balances())["w"] == Row(5, 1)

    asyncio.run(act())


def test_a_lock_that_is_taken_is_said_at_once_to_who_does_not_want_to_wait(
    postgres: Opened,
) -> None:
    async def act() -> None:
        async with postgres() as database, begun(database) as first:
            await first.read(("u",), lock="nowait")
            async with begun(database) as second:
                with pytest.raises(LockTaken, match="has locked u or v; try again"):
                    await second.read(("u", "v"), lock="nowait")
            async with begun(database) as third:
                assert (await third.read(("v",), lock="nowait")).rows == {"v": Row(0, 1)}

    asyncio.run(act())


def test_a_lock_that_never_comes_is_given_up_and_the_connection_is_clean_again(
    postgres: Opened,
) -> None:
    async def act() -> None:
        settings = {"lock_timeout": "20ms"}
        async with postgres(connections=2, settings=settings) as database:
            async with begun(database) as first:
                await first.read(("u",), lock="wait")
                with pytest.raises(LockTimeout):
                    await database.session().guarded(ADD)
                async with begun(database) as second:
                    with pytest.raises(LockTimeout, match="not granted in time"):
                        await second.read(("u",), lock="wait")
            await database.session().guarded(ADD)

    asyncio.run(act())


def test_a_lease_that_never_comes_is_given_up(
    postgres: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        monkeypatch.setattr(postgres_store, "LOCK_WAIT_S_MAX", 0.05)
        async with postgres() as database:
            await database.session().take("u", "A")
            with pytest.raises(LockTimeout, match=r"no lease on 'u' within 0\.05 s; try again"):
                await database.session().take("u", "B")

    asyncio.run(act())


def test_leases_run_out_by_the_servers_clock_unless_another_is_given(postgres: Opened) -> None:
    async def act() -> None:
        async with postgres(lease_s=0.03) as database:
            assert await database.session().take("u", "A") == 1
            assert await database.session().take("u", "B") == 2  # not given back: waited for

    asyncio.run(act())


def test_a_lease_cannot_pass_on_between_the_check_of_its_token_and_the_commit(
    postgres: Opened,
    postgres_url: str,
) -> None:
    async def act() -> None:
        async with postgres(lease_s=0.01) as database, begun(database) as late:
            token = await database.session().take("u", "A")
            await late.write(ADD, (Change("u", 100, 101, 1),), fence={"u": token})
            await asyncio.sleep(0.02)
            taking = asyncio.create_task(database.session().take("u", "B"))
            await until_blocked(postgres_url)
            await late.commit()
            assert await taking == token + 1
            with pytest.raises(FenceLost):
                await database.session().write(ADD, (Change("u", 1, 2, 2),), fence={"u": token})

    asyncio.run(act())


def test_advisory_locks_exclude_until_the_transaction_ends(
    postgres: Opened, postgres_url: str
) -> None:
    async def act() -> None:
        async with postgres() as database, begun(database) as first:
            await first.advisory(("b", "a"))
            async with begun(database) as second:
                waiting = asyncio.create_task(second.advisory(("a",)))
                await until_blocked(postgres_url)
                await first.commit()
                await waiting
            async with begun(database) as third:
                await third.advisory(("a", "b"))

    asyncio.run(act())


def test_a_wait_for_a_connection_is_the_stores_own_wait(postgres: Opened) -> None:
    async def act() -> None:
        async with postgres(connections=1) as database:
            token = CURRENT.set(timings := Timings())
            async with begun(database) as first:
                waiting = asyncio.create_task(database.session().guarded(ADD))
                await asyncio.sleep(0.03)
                await first.rollback()
                await waiting
            CURRENT.reset(token)
            assert timings.store_wait_ns >= 20_000_000
            assert timings.store_accesses == 1  # guarded: nothing was asked in the transaction
            assert timings.lock_wait_ns == 0

    asyncio.run(act())
