"""The safe lock strategies exclude: random work, cut off at random, leaves a perfect ledger."""

import asyncio
import random
from contextlib import suppress
from typing import Any

import pytest

from engine.catalog import strategies_on
from engine.checks.ledger import audit
from engine.errors import BusinessError
from engine.operations import Add, Batch, Operation, Transfer, Withdraw
from engine.wallet import WalletService

IN_MEMORY = ("global", "per-user")
SAFE = [name for name in strategies_on("sqlite") if name != "none"]


def drawn(rng: random.Random) -> Operation:
    pair = rng.sample(["alice", "bob"], 2)
    cents = rng.randint(1, 4_000)
    choices: list[Operation] = [
        Withdraw(pair[0], cents),
        Add(pair[0], cents),
        Transfer(pair[0], pair[1], cents),
        Batch((Transfer(pair[0], pair[1], cents), Add(pair[0], 1))),
    ]
    return rng.choice(choices)


async def work(wallet: WalletService, rng: random.Random, *, cut: bool) -> None:
    for _ in range(8):
        task = asyncio.create_task(wallet.execute(drawn(rng)))
        if cut and rng.random() < 0.4:
            for _ in range(rng.randint(0, 30)):
                await asyncio.sleep(0)
            task.cancel()
        with suppress(BusinessError, asyncio.CancelledError):
            await task


@pytest.mark.parametrize("cut", [False, True], ids=["undisturbed", "cut off"])
@pytest.mark.parametrize(
    ("lock", "count"),
    [(lock, n) for n in (1, 2) for lock in SAFE if n == 1 or lock not in IN_MEMORY],
    ids=str,
)
def test_random_work_leaves_a_perfect_ledger(
    services: Any, lock: str, count: int, cut: bool
) -> None:
    async def act() -> None:
        async with services(lock, count) as (database, wallets):
            async with asyncio.timeout(30):
                await asyncio.gather(
                    *(work(wallets[n % count], random.Random(n), cut=cut) for n in range(6))
                )
            assert audit(await database.balances(), await database.log()) == ()

    asyncio.run(act())


@pytest.mark.parametrize("lock", strategies_on("sqlite"))
def test_opposite_transfers_never_wait_for_each_other_for_ever(services: Any, lock: str) -> None:
    async def act() -> None:
        async with services(lock) as (_, [wallet]):
            pairs = [("alice", "bob"), ("bob", "alice")] * 10
            async with asyncio.timeout(20):
                await asyncio.gather(*(wallet.transfer(*pair, 1) for pair in pairs))

    asyncio.run(act())


def test_without_a_lock_the_same_work_loses_money(services: Any) -> None:
    async def act() -> None:
        async with services("none") as (database, [wallet]):
            await asyncio.gather(*(wallet.withdraw("alice", 100) for _ in range(10)))
            assert (await database.balances())["alice"].balance > 99_000
            assert audit(await database.balances(), await database.log()) != ()

    asyncio.run(act())
