"""Waiting for ever: locks in no common order, one lock taken twice, a pool held while waiting."""

from contextlib import AsyncExitStack

from engine.explore.client import Client
from engine.history import Receipt
from engine.locks.body import read_apply_write
from engine.locks.per_user import PerUserLock, PerUserUnsortedLock
from engine.operations import Add, Batch, Transfer, Withdraw
from engine.ports import Call, Runtime, Store
from engine.verdicts import Break
from scenarios.zoo.exhibit import RACE, RACE_CORRECT, Run, exhibit, transfer
from scenarios.zoo.parts import Pool

BOTH = {"alice": 1000_00, "bob": 1000_00}


class SortedByAmount(PerUserLock):
    """Locks in one order, but of the amounts: two batches need not agree on it."""

    def in_order(self, call: Call) -> tuple[str, ...]:
        operation = call.operation
        if not isinstance(operation, Batch):
            return call.accounts
        moved = {
            account: leg.amount
            for leg in operation.legs
            if not isinstance(leg, Transfer)
            for account in leg.written
        }
        return tuple(sorted(call.accounts, key=lambda account: moved.get(account, 0)))


class LockedAgain(PerUserLock):
    """A transfer locks both accounts and calls its own withdrawal, which locks its account again.

    asyncio.Lock, like the mutex here, is not re-entrant.
    """

    async def run(self, call: Call, store: Store) -> Receipt:
        async with AsyncExitStack() as held:
            for account in self.in_order(call):
                await held.enter_async_context(self.locks.hold(account))
            return await self._book(call, store)

    async def _book(self, call: Call, store: Store) -> Receipt:
        async with self.locks.hold(call.operation.written[0]):
            return await read_apply_write(call, store)


class FirstNameLock(PerUserLock):
    """Names locks by what stands before the @: two users of one name share one."""

    def in_order(self, call: Call) -> tuple[str, ...]:
        return tuple(account.partition("@")[0] for account in call.accounts)


class ConnectionThenLock:
    """Takes a connection, waits for the lock with it, then needs a second one for its audit."""

    SIZE = 2

    def __init__(self, runtime: Runtime) -> None:
        self._pool = Pool(runtime, "connection", self.SIZE)
        self._mutex = runtime.mutex("wallet")

    async def run(self, call: Call, store: Store) -> Receipt:
        async with self._pool.permit(), self._mutex, self._pool.permit():
            return await read_apply_write(call, store)


class LockThenConnection(ConnectionThenLock):
    """Waits for the lock with empty hands; whoever has it is alone in wanting two connections."""

    async def run(self, call: Call, store: Store) -> Receipt:
        async with self._mutex, self._pool.permit(), self._pool.permit():
            return await read_apply_write(call, store)


def _batch(alice: int, bob: int) -> Run:
    async def run(client: Client) -> None:
        await client.batch(Withdraw("alice", alice), Add("bob", bob))

    return run


OPPOSITE_TRANSFERS = exhibit(
    "opposite-transfers",
    "A→B beside B→A, each locking its source first: both wait for ever.",
    number=8,
    breaks=Break.LIVENESS,
    openings=BOTH,
    clients={"A": transfer("alice", "bob", "100.00"), "B": transfer("bob", "alice", "50.00")},
    correct={"alice": 950_00, "bob": 1050_00},
    wrong=PerUserUnsortedLock,
    right=PerUserLock,
)
BATCH_SORTED_BY_AMOUNT = exhibit(
    "batch-sorted-by-amount",
    "Batches sort their locks, but by amount: two batches lock the same accounts crosswise.",
    breaks=Break.LIVENESS,
    openings=BOTH,
    clients={"A": _batch(100_00, 200_00), "B": _batch(200_00, 100_00)},
    correct={"alice": 700_00, "bob": 1300_00},
    wrong=SortedByAmount,
    right=PerUserLock,
)
POOL_STARVED = exhibit(
    "pool-starved",
    "Every connection waits for a lock whose holder waits for a connection.",
    number=11,
    breaks=Break.LIVENESS,
    clients=RACE,
    correct=RACE_CORRECT,
    wrong=ConnectionThenLock,
    right=LockThenConnection,
)
LOCKED_AGAIN = exhibit(
    "locked-again",
    "A method that holds the lock calls another one that takes it: it waits for itself.",
    breaks=Break.LIVENESS,
    openings=BOTH,
    clients={"A": transfer("alice", "bob", "100.00")},
    correct={"alice": 900_00, "bob": 1100_00},
    wrong=LockedAgain,
    right=PerUserLock,
)
TWO_USERS_ONE_LOCK = exhibit(
    "two-users-one-lock",
    "Lock names are cut at the @: harmless, until two users of one name pay each other.",
    breaks=Break.LIVENESS,
    openings={"alice@bank": 1000_00, "alice@shop": 1000_00},
    clients={"A": transfer("alice@bank", "alice@shop", "100.00")},
    correct={"alice@bank": 900_00, "alice@shop": 1100_00},
    wrong=FirstNameLock,
    right=PerUserLock,
)

EXHIBITS = (
    OPPOSITE_TRANSFERS,
    BATCH_SORTED_BY_AMOUNT,
    POOL_STARVED,
    LOCKED_AGAIN,
    TWO_USERS_ONE_LOCK,
)
