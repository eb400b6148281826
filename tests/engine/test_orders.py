"""An order is paid once and refunded once, whatever is retried, raced or cut off in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalog import LOCK_STRATEGIES, strategies_on
from engine.checks.ledger import audit
from engine.errors import InsufficientFunds, InvalidAccount, KeyReused, OrderRejected
from engine.orders import Fulfil, OrderService, accept
from engine.runtimes import AsyncioRuntime
from engine.stores.sqlite import SqliteDatabase
from engine.wallet import WalletService
from tests.engine.insisting import insisting

every_lock = pytest.mark.parametrize("lock", strategies_on("sqlite"))


async def reject(order_id: str) -> bool:
    return False


@asynccontextmanager
async def shop(
    lock: str = "per-user", *fulfil: Fulfil
) -> AsyncIterator[tuple[SqliteDatabase, list[OrderService]]]:
    """One order service for each of `fulfil`, over one wallet; alice holds 10.00, bob 10.00."""
    async with await SqliteDatabase.open(":memory:", synchronous="OFF") as database:
        await database.reset({"alice": 1_000, "bob": 1_000})
        runtime = AsyncioRuntime()
        wallet = WalletService(insisting(lock, runtime), database.session, runtime)
        yield (
            database,
            [OrderService(wallet, database.session, how) for how in fulfil or (accept,)],
        )
        assert audit(await database.balances(), await database.log()) == ()


async def moves(database: SqliteDatabase) -> list[tuple[str, int, str]]:
    rows = await database.log("alice", after_version=1)
    return [(row.kind, row.amount, row.description) for row in rows]


@every_lock
def test_an_order_is_paid_once_under_retries_at_once_and_later(lock: str) -> None:
    async def act() -> None:
        async with shop(lock) as (database, [orders]):
            first = await asyncio.gather(
                *(orders.create_order("o1", "alice", 800) for _ in range(4))
            )
            later = await orders.create_order("o1", "alice", 800)
            assert {*first, later} == {later}
            assert await moves(database) == [("withdraw", -800, "order o1")]

    asyncio.run(act())


@every_lock
def test_an_order_that_fails_is_refunded_once_however_often_it_is_retried(lock: str) -> None:
    async def act() -> None:
        async with shop(lock, reject) as (database, [orders]):
            at_once = await asyncio.gather(
                *(orders.create_order("o1", "alice", 800) for _ in range(3)),
                return_exceptions=True,
            )
            assert [type(answer) for answer in at_once] == [OrderRejected] * 3
            with pytest.raises(OrderRejected, match="'o1' could not be fulfilled"):
                await orders.create_order("o1", "alice", 800)
            assert await moves(database) == [
                ("withdraw", -800, "order o1"),
                ("add", 800, "refund of order o1"),
            ]

    asyncio.run(act())


def test_the_first_decision_stands_when_a_retry_would_decide_otherwise() -> None:
    async def act() -> None:
        async with shop("per-user", accept, reject) as (database, [willing, unwilling]):
            paid = await willing.create_order("o1", "alice", 100)
            assert await unwilling.create_order("o1", "alice", 100) == paid
            for orders in (unwilling, willing):
                with pytest.raises(OrderRejected):
                    await orders.create_order("o2", "alice", 50)
            assert (await database.balances())["alice"].balance == 900

    asyncio.run(act())


@pytest.mark.parametrize(("account", "cents"), [("alice", 801), ("bob", 800)])
def test_an_order_id_that_stands_for_another_payment_is_refused(account: str, cents: int) -> None:
    async def act() -> None:
        async with shop() as (database, [orders]):
            await orders.create_order("o1", "alice", 800)
            with pytest.raises(KeyReused):
                await orders.create_order("o1", account, cents)
            held = {name: row.balance for name, row in (await database.balances()).items()}
            assert held == {"alice": 200, "bob": 1_000}

    asyncio.run(act())


def test_an_order_that_cannot_be_paid_is_neither_fulfilled_nor_decided() -> None:
    asked: list[str] = []

    async def fulfil(order_id: str) -> bool:
        asked.append(order_id)
        return True

    async def act() -> None:
        async with shop("per-user", fulfil) as (database, [orders]):
            with pytest.raises(InsufficientFunds):
                await orders.create_order("o1", "alice", 1_001)
            assert asked == []
            with pytest.raises(InvalidAccount):
                await orders.create_order("o 1", "alice", 1)
            assert await database.session().decide("order:o1", "open") == "open"

    asyncio.run(act())


@given(
    st.sampled_from(strategies_on("sqlite")),
    st.booleans(),
    st.lists(st.integers(0, 40), max_size=3),
)
def test_a_crash_between_any_two_steps_is_healed_by_a_retry(
    lock: str, wanted: bool, crashes: list[int]
) -> None:
    async def fulfil(order_id: str) -> bool:
        await asyncio.sleep(0)
        return wanted

    async def act() -> None:
        async with shop(lock, fulfil) as (database, [orders]):
            for turns in crashes:
                attempt = asyncio.create_task(orders.create_order("o1", "alice", 800))
                for _ in range(turns):
                    await asyncio.sleep(0)
                attempt.cancel()
                with suppress(asyncio.CancelledError, OrderRejected):
                    await attempt
            if wanted:
                await orders.create_order("o1", "alice", 800)
            else:
                with pytest.raises(OrderRejected):
                    await orders.create_order("o1", "alice", 800)
            assert [amount for _, amount, _ in await moves(database)] == (
                [-800] if wanted else [-800, 800]
            )

    asyncio.run(act())


class Crash(Exception):
    """Stands for a process that dies here."""


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("verb", ["read", "write", "decide"])
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("done", [True, False])
def test_a_crash_before_or_after_each_access_is_healed_by_a_retry(
    wanted: bool, verb: str, number: int, done: bool
) -> None:
    async def act() -> None:
        async with shop() as (database, _):
            countdown = {"left": number}

            def session() -> object:
                store = database.session()
                inner = getattr(store, verb)

                async def crashing(*args: object, **options: object) -> object:
                    countdown["left"] -= 1
                    if countdown["left"] == 0 and not done:
                        raise Crash
                    answer = await inner(*args, **options)
                    if countdown["left"] == 0:
                        raise Crash
                    return answer

                store.__dict__[verb] = crashing
                return store

            runtime = AsyncioRuntime()
            wallet = WalletService(LOCK_STRATEGIES["none"](runtime), session, runtime)  # type: ignore[arg-type]
            orders = OrderService(wallet, session, accept if wanted else reject)  # type: ignore[arg-type]
            for _ in range(2):
                with suppress(Crash, OrderRejected):
                    await orders.create_order("o1", "alice", 800)
            assert [amount for _, amount, _ in await moves(database)] == (
                [-800] if wanted else [-800, 800]
            )

    asyncio.run(act())
