"""A process killed in the middle of its work leaves a ledger without a gap."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from engine.checks.ledger import audit
from engine.history import LogRow
from engine.ports import Row
from engine.stores.sqlite import SqliteDatabase

# Says the id of every transfer that was answered; ends by itself if nobody kills it.
TRANSFERS = """
import asyncio, contextlib, random, sys
from engine.catalog import lock_strategy
from engine.errors import WalletraceError
from engine.runtimes import AsyncioRuntime
from engine.stores.sqlite import SqliteDatabase
from engine.wallet import WalletService

async def client(wallet, rng):
    while True:
        with contextlib.suppress(WalletraceError):
            pair = rng.sample(["a", "b", "c"], 2)
            receipt = await wallet.transfer(*pair, rng.randint(1, 3))
            print(receipt.call_id, flush=True)

async def main(path, lock):
    async with await SqliteDatabase.open(path, lease_s=0.3) as database:
        runtime = AsyncioRuntime()
        wallet = WalletService(lock_strategy(lock)(runtime), database.session, runtime)
        async with asyncio.timeout(20):
            await asyncio.gather(*(client(wallet, random.Random(n)) for n in range(4)))

asyncio.run(main(*sys.argv[1:]))
"""


async def reset(path: Path) -> None:
    async with await SqliteDatabase.open(path) as database:
        await database.reset({"a": 10_000, "b": 10_000, "c": 10_000})


async def everything(path: Path) -> tuple[dict[str, Row], list[LogRow]]:
    async with await SqliteDatabase.open(path) as database:
        return await database.balances(), await database.log()


def killed_after(answers: int, path: Path, lock: str) -> set[str]:
    """Run transfers in a process, kill it, and return the ids of those that were answered."""
    command = [sys.executable, "-c", TRANSFERS, str(path), lock]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        try:
            return {worker.stdout.readline().strip() for _ in range(answers)}
        finally:
            worker.kill()


@pytest.mark.slow
@pytest.mark.parametrize("lock", ["per-user", "db-row"])
def test_a_killed_process_leaves_no_half_transfer_and_forgets_none_it_answered(
    tmp_path: Path, lock: str
) -> None:
    path = tmp_path / "wallets.db"
    asyncio.run(reset(path))
    for _ in range(3):  # with db-row, each waits for the leases of the one killed before it
        answered = killed_after(40, path, lock)
        balances, log = asyncio.run(everything(path))
        assert audit(balances, log) == ()
        assert sum(row.balance for row in balances.values()) == 30_000
        assert len(answered) == 40
        assert answered <= {row.operation_id for row in log}
