"""Callers that are cancelled: the statement lands first, and the session comes back clean."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import asyncpg
import pytest

from engine.checks.ledger import audit
from engine.errors import (
    StoreUnavailable,
)
from engine.operations import Add, Open, Transfer
from engine.ports import Call, Change, Row, Store
from engine.stores.postgres import PostgresDatabase
from tests.engine.stores.locking import row_lock

ADD = Call("add", Add("u", 1))
ONE_MORE = (Change("u", 100, 101, 1),)
Opened = Callable[..., AbstractAsyncContextManager[PostgresDatabase]]


async def pool_is_clean(database: PostgresDatabase) -> bool:
    """Whether a pool of one connection still lends it, with no transaction open."""
    async with asyncio.timeout(5):
        await database.session().guarded(Call("clean", Add("v", 1)))
    return audit(*await database.books()) == ()


@pytest.mark.parametrize("cancellations", [1, 3])
def test_a_cancelled_write_is_waited_out_before_its_caller_goes_on(
    postgres: Opened, postgres_url: str, cancellations: int
) -> None:
    async def act() -> None:
        async with postgres() as database:
            async with row_lock(postgres_url):
                writing = asyncio.create_task(database.session().write(ADD, ONE_MORE))
                await asyncio.sleep(0.03)
                for _ in range(cancellations):
                    writing.cancel()
                    await asyncio.sleep(0.005)
                assert not writing.done()
            with pytest.raises(asyncio.CancelledError):
                await writing
            # At the moment the caller went on the write had landed.
            assert (await database.balances())["u"] == Row(101, 2)

    asyncio.run(act())


VERBS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "read": lambda store: store.read(("u",), "k"),
    "write": lambda store: store.write(Call("c", Add("u", 1), "k"), ONE_MORE, if_version=True),
    "guarded": lambda store: store.guarded(Call("c", Transfer("u", "v", 1), "k")),
    "group": lambda store: store.group((Call("c", Add("u", 1), "k"), Call("d", Open("w")))),
    "decide": lambda store: store.decide("d", "x"),
    "give": lambda store: store.give("u", "A"),
    "take": lambda store: store.take("u", "A"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_cancelled_at_any_moment_happens_whole_or_not_at_all(
    postgres: Opened, verb: str
) -> None:
    async def act() -> None:
        for turns in range(40):
            # A new connection each time: being connected is a moment like the others.
            async with postgres(connections=1, lease_s=0.01) as database:
                if turns % 2:
                    await database.pool.once(drop, commits=False)
                task = asyncio.ensure_future(VERBS[verb](database.session()))
                for _ in range(turns // 2):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                assert await pool_is_clean(database)
                balances = await database.balances()
                kept = (await database.session().read((), "k")).earlier is not None
                assert kept == (balances["u"].version == 2)

    async def drop(connection: asyncpg.Connection) -> None:
        connection.terminate()

    asyncio.run(act())


STEPS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "begin": lambda store: store.begin("read-committed"),
    "read": lambda store: store.read(("u",), "k", lock="wait"),
    "advisory": lambda store: store.advisory(("u",)),
    "write": lambda store: store.write(ADD, ONE_MORE),
    "rollback": lambda store: store.rollback(),
}


async def transaction(
    store: Store, steps: dict[str, Callable[[Store], Awaitable[object]]], said: asyncio.Event
) -> None:
    """The steps, the last of them announced; rolled back whatever happens."""
    try:
        for name, step in steps.items():
            if name == list(steps)[-1]:
                said.set()
            await step(store)
    finally:
        await store.rollback()


@pytest.mark.parametrize("verb", [*STEPS, "commit"])
def test_a_transaction_cancelled_at_any_verb_can_be_rolled_back(
    postgres: Opened, verb: str
) -> None:
    names = list(STEPS)[: list(STEPS).index(verb) + 1] if verb in STEPS else list(STEPS)[:-1]
    steps = {name: STEPS[name] for name in names}
    if verb == "commit":
        steps["commit"] = lambda store: store.commit()

    async def act() -> None:
        async with postgres(connections=1) as database:
            for turns in range(6):
                await database.reset({"u": 100, "v": 0})
                said = asyncio.Event()
                running = asyncio.create_task(transaction(database.session(), steps, said))
                await said.wait()
                for _ in range(turns):
                    await asyncio.sleep(0)
                running.cancel()
                await asyncio.wait([running])
                landed = (await database.balances())["u"] == Row(101, 2)
                assert verb == "commit" or not landed
                assert await pool_is_clean(database)

    asyncio.run(act())


def test_a_session_whose_caller_forgot_its_transaction_is_never_lent_again(
    postgres: Opened,
) -> None:
    async def act() -> None:
        async with postgres(connections=1) as database:
            connection = await database.pool.borrow()
            await connection.execute("BEGIN")
            database.pool.give_back(connection)
            assert await pool_is_clean(database)

    asyncio.run(act())


def test_close_lets_statements_end_and_ends_open_transactions(
    postgres: Opened, postgres_url: str
) -> None:
    async def act() -> None:
        async with postgres(connections=2) as database:
            pinned = database.session()
            async with row_lock(postgres_url):
                writing = asyncio.create_task(database.session().write(ADD, ONE_MORE))
                await pinned.begin("read-committed")
                await asyncio.sleep(0.02)
                closing = asyncio.create_task(database.close())
                await asyncio.sleep(0.02)
                assert not closing.done()
            await writing
            await closing
            with pytest.raises(StoreUnavailable, match="closed"):
                await pinned.read(("u",))
            await pinned.rollback()

    asyncio.run(act())
