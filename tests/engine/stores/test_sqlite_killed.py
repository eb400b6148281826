"""A process killed in the middle of its work leaves a ledger without a gap."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from engine.checks.ledger import audit
from engine.stores.sqlite import SqliteDatabase

TRANSFERS_FOR_EVER = """
import asyncio, itertools, random, sys
from engine.catalog import lock_strategy
from engine.runtimes import AsyncioRuntime
from engine.stores.sqlite import SqliteDatabase
from engine.wallet import WalletService

async def client(wallet, rng):
    for _ in itertools.count():
        await wallet.transfer(*rng.sample(["a", "b", "c"], 2), rng.randint(1, 3))

async def main(path, lock):
    async with await SqliteDatabase.open(path) as database:
        runtime = AsyncioRuntime()
        wallet = WalletService(lock_strategy(lock)(runtime), database.session, runtime)
        print("ready", flush=True)
        async with asyncio.timeout(20):
            await asyncio.gather(*(client(wallet, random.Random(n)) for n in range(4)))

asyncio.run(main(*sys.argv[1:]))
"""


async def rows_grow_to(database: SqliteDatabase, count: int) -> None:
    while len(await database.log()) < count:
        await asyncio.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("lock", ["per-user", "db-row"])
def test_a_killed_process_leaves_no_half_transfer(tmp_path: Path, lock: str) -> None:
    async def act() -> None:
        path = tmp_path / "wallets.db"
        async with await SqliteDatabase.open(path) as database:
            await database.reset({"a": 10_000, "b": 10_000, "c": 10_000})
            for _ in range(3):
                before = len(await database.log())
                worker = subprocess.Popen(
                    [sys.executable, "-c", TRANSFERS_FOR_EVER, str(path), lock],
                    stdout=subprocess.PIPE,
                )
                try:
                    assert worker.stdout is not None
                    assert worker.stdout.readline() == b"ready\n"
                    # With db-row the next one waits for the leases of the one killed before it.
                    async with asyncio.timeout(20):
                        await rows_grow_to(database, before + 100)
                finally:
                    worker.kill()
                    worker.communicate()
                balances = await database.balances()
                assert audit(balances, await database.log()) == ()
                assert sum(row.balance for row in balances.values()) == 30_000

    asyncio.run(act())
