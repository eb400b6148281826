"""A process killed in the middle of its work leaves no lock, and a ledger without a gap."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from engine.checks.ledger import audit
from engine.operations import Add
from engine.ports import Call, Change
from engine.stores.postgres import PostgresDatabase

ADD = Call("add", Add("u", 1))
ONE_MORE = (Change("u", 100, 101, 1),)
Opened = Callable[..., AbstractAsyncContextManager[PostgresDatabase]]


# Says the id of every transfer that was answered, holds a row lock for ever at the end.
TRANSFERS = """
import asyncio, random, sys
from engine.errors import BusinessError
from engine.operations import Transfer
from engine.ports import Call
from engine.stores.postgres import PostgresDatabase

async def client(database, name):
    rng = random.Random(name)
    for number in range(10_000):
        call = Call(f"{name}-{number}", Transfer(*rng.sample("abc", 2), rng.randint(1, 3)))
        try:
            await database.session().guarded(call)
            print(call.id, flush=True)
        except BusinessError:
            pass

async def main(url, name):
    async with await PostgresDatabase.open(url) as database:
        holder = database.session()
        await holder.begin("read-committed")
        await holder.read(("held",), lock="wait")
        await holder.advisory(("held",))
        await asyncio.gather(*(client(database, f"{name}{n}") for n in range(4)))

asyncio.run(main(*sys.argv[1:]))
"""


def killed_after(answers: int, url: str, name: str) -> set[str]:
    """Run transfers in a process, kill it, and return the ids of those that were answered."""
    command = [sys.executable, "-c", TRANSFERS, url, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        try:
            return {worker.stdout.readline().strip() for _ in range(answers)}
        finally:
            worker.kill()


def test_a_killed_process_leaves_no_lock_and_forgets_nothing_it_answered(
    postgres_url: str,
) -> None:
    async def reset() -> None:
        async with await PostgresDatabase.open(postgres_url) as database:
            await database.reset({"a": 10_000, "b": 10_000, "c": 10_000, "held": 0})

    async def after_a_kill(answered: set[str]) -> None:
        async with await PostgresDatabase.open(postgres_url) as database:
            store = database.session()
            async with asyncio.timeout(5):
                await store.begin("read-committed")
                await store.read(("a", "b", "c", "held"), lock="wait")
                await store.advisory(("held",))
            await store.rollback()
            balances, log = await database.books()
        assert audit(balances, log) == ()
        assert sum(row.balance for row in balances.values()) == 30_000
        assert answered <= {row.operation_id for row in log}

    asyncio.run(reset())
    for name in ("first", "second"):
        answered = killed_after(40, postgres_url, name)
        assert len(answered) == 40
        asyncio.run(after_a_kill(answered))
