"""A key means one operation: asked again, it answers with the very first receipt."""

import asyncio
import json
import subprocess
from typing import Any

import pytest

from engine.catalog import strategies_on
from engine.checks.ledger import audit
from engine.errors import InsufficientFunds, KeyReused
from engine.operations import Add, Batch, Open, Operation, Transfer, Withdraw

every_lock = pytest.mark.parametrize("lock", strategies_on("sqlite"))

OPERATIONS: list[Operation] = [
    Withdraw("alice", 60_000),
    Add("alice", 100),
    Transfer("alice", "bob", 60_000),
    Batch((Withdraw("alice", 60_000), Add("bob", 1))),
    Open("carol", 5),
]

IN_ANOTHER_PROCESS = """
import asyncio, json, sys
from engine.catalog import lock_strategy
from engine.runtimes import AsyncioRuntime
from engine.stores.sqlite import SqliteDatabase
from engine.wallet import WalletService

async def main(path, lock, key):
    async with await SqliteDatabase.open(path) as database:
        runtime = AsyncioRuntime()
        wallet = WalletService(lock_strategy(lock)(runtime), database.session, runtime)
        print(json.dumps(await wallet.withdraw("alice", 60_000, key=key)))

asyncio.run(main(*sys.argv[1:]))
"""


@every_lock
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.kind)
def test_a_retry_gets_the_first_receipt_and_changes_nothing(
    services: Any, lock: str, operation: Operation
) -> None:
    async def act() -> None:
        async with services(lock) as (database, [wallet]):
            first = await wallet.execute(operation, key="k")
            await wallet.add("alice", 7)
            before = await database.balances(), await database.log()
            # Most of these could not happen twice: the answer must still be the success it was.
            assert await wallet.execute(operation, key="k") == first
            assert (await database.balances(), await database.log()) == before

    asyncio.run(act())


@every_lock
def test_retries_at_once_through_two_processes_services_happen_once(
    services: Any, lock: str
) -> None:
    async def act() -> None:
        async with services(lock, 2) as (database, [one, other]):
            receipts = await asyncio.gather(
                *(w.withdraw("alice", 60_000, key="k") for w in (one, other) for _ in range(4))
            )
            assert set(receipts) == {receipts[0]}
            balances = await database.balances()
            assert balances["alice"] == (40_000, 2)
            assert audit(balances, await database.log()) == ()

    asyncio.run(act())


@pytest.mark.slow
@pytest.mark.parametrize("lock", ["per-user", "db-row"])
def test_a_retry_in_another_process_gets_the_first_receipt(
    services: Any, python: list[str], lock: str
) -> None:
    async def act() -> None:
        async with services(lock) as (database, [wallet]):
            first = await wallet.withdraw("alice", 60_000, key="k")
            answer = await asyncio.to_thread(
                subprocess.run,
                [*python, IN_ANOTHER_PROCESS, database.path, lock, "k"],
                check=True,
                capture_output=True,
                timeout=60,
            )
            assert json.loads(answer.stdout) == json.loads(json.dumps(first))
            assert (await database.balances())["alice"] == (40_000, 2)

    asyncio.run(act())


@every_lock
@pytest.mark.parametrize(
    "other",
    [
        Withdraw("alice", 2),
        Add("alice", 1),
        Withdraw("bob", 1),
        Withdraw("alice", 1, description="x"),
    ],
    ids=["amount", "kind", "account", "description"],
)
def test_a_key_with_another_body_is_refused(services: Any, lock: str, other: Operation) -> None:
    async def act() -> None:
        async with services(lock) as (database, [wallet]):
            await wallet.withdraw("alice", 1, key="k")
            before = await database.balances()
            with pytest.raises(KeyReused, match="'k' already stands for another operation"):
                await wallet.execute(other, key="k")
            assert await database.balances() == before

    asyncio.run(act())


@every_lock
def test_bodies_that_race_for_one_key_are_told_apart(services: Any, lock: str) -> None:
    async def act() -> None:
        async with services(lock, 2) as (database, [one, other]):
            answers = await asyncio.gather(
                one.withdraw("alice", 1, key="k"),
                other.withdraw("alice", 2, key="k"),
                return_exceptions=True,
            )
            assert sorted(type(answer).__name__ for answer in answers) == ["KeyReused", "Receipt"]
            assert len(await database.log("alice")) == 2

    asyncio.run(act())


@every_lock
def test_a_refusal_is_not_remembered(services: Any, lock: str) -> None:
    async def act() -> None:
        async with services(lock) as (database, [wallet]):
            with pytest.raises(InsufficientFunds):
                await wallet.withdraw("bob", 6_000, key="k")
            await wallet.add("bob", 1_000)
            await wallet.withdraw("bob", 6_000, key="k")
            assert (await database.balances())["bob"].balance == 0

    asyncio.run(act())
