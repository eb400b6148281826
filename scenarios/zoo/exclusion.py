"""No exclusion, or one that does not exclude: wrong mutex, wrong process, wrong name."""

from engine.explore.client import Client
from engine.history import Receipt
from engine.locks.body import read_apply_write
from engine.locks.db_row import RowLock
from engine.locks.lock_map import LockMap
from engine.locks.none import NoLock
from engine.locks.per_user import PerUserLock
from engine.operations import Add, Withdraw
from engine.ports import Call, Runtime, Store
from engine.verdicts import Break
from scenarios.zoo.exhibit import RACE, RACE_CORRECT, exhibit, transfer, withdraw
from scenarios.zoo.parts import CompareAndSet, Pool


class MutexPerRequest:
    """Makes its mutex where it is used: everybody holds one, and nobody shares it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def run(self, call: Call, store: Store) -> Receipt:
        async with self._runtime.mutex("wallet"):
            return await read_apply_write(call, store)


class LockPerPair(PerUserLock):
    """One lock named after all accounts of a call: a transfer's is not that of its source."""

    def in_order(self, call: Call) -> tuple[str, ...]:
        return (":".join(call.accounts),)


class LockSourceOnly(PerUserLock):
    """Locks whose money goes out; who receives is read and written without a lock."""

    def in_order(self, call: Call) -> tuple[str, ...]:
        return call.operation.written[:1]


class SemaphoreOfTwo:
    """A semaphore where a mutex was meant: "a little parallelism cannot hurt"."""

    def __init__(self, runtime: Runtime) -> None:
        self._pool = Pool(runtime, "wallet", 2)

    async def run(self, call: Call, store: Store) -> Receipt:
        async with self._pool.permit():
            return await read_apply_write(call, store)


class SemaphoreOfOne(SemaphoreOfTwo):
    """The same semaphore with one permit."""

    def __init__(self, runtime: Runtime) -> None:
        self._pool = Pool(runtime, "wallet", 1)


class LockAsTyped:
    """Locks the user's name as the client typed it; the row is found by the tidied one.

    What was typed travels in the description, as a header or a path parameter would.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._locks = LockMap(runtime)

    def name(self, call: Call) -> str:
        """The lock's name."""
        return call.operation.description

    async def run(self, call: Call, store: Store) -> Receipt:
        async with self._locks.hold(self.name(call)):
            return await read_apply_write(call, store)


class LockTidied(LockAsTyped):
    """Tidies the name before it locks it."""

    def name(self, call: Call) -> str:
        return super().name(call).strip().lower()


async def _typed_plainly(client: Client) -> None:
    await client.execute(Withdraw("alice", 500_00, description="alice"))


async def _typed_carelessly(client: Client) -> None:
    await client.execute(Add("alice", 300_00, description="Alice "))


READ_CHECK_WRITE = exhibit(
    "read-check-write",
    "Two withdrawals read the same balance, find it sufficient, and both are paid out.",
    number=1,
    breaks=Break.MONEY,
    clients={"A": withdraw("800.00"), "B": withdraw("800.00")},
    wrong=NoLock,
    right=CompareAndSet,
)
MUTEX_OF_ONE_PROCESS = exhibit(
    "mutex-of-one-process",
    "A mutex in memory excludes within its process; two processes share the database, not it.",
    number=2,
    breaks=Break.MONEY,
    clients=RACE,
    correct=RACE_CORRECT,
    topology="two-processes",
    wrong=PerUserLock,
    right=RowLock,
)
SERVICE_PER_REQUEST = exhibit(
    "service-per-request",
    "Each request builds its own service, and with it its own lock.",
    number=2,
    breaks=Break.MONEY,
    clients=RACE,
    correct=RACE_CORRECT,
    topology="service-per-request",
    wrong=PerUserLock,
    right=RowLock,
)
MUTEX_PER_REQUEST = exhibit(
    "mutex-per-request",
    "The mutex is made inside the method, so every call locks one of its own.",
    breaks=Break.MONEY,
    clients=RACE,
    correct=RACE_CORRECT,
    wrong=MutexPerRequest,
    right=PerUserLock,
)
LOCK_PER_PAIR = exhibit(
    "lock-per-pair",
    "A transfer locks 'alice:bob', a withdrawal 'alice': both touch alice, neither waits.",
    breaks=Break.MONEY,
    openings={"alice": 1000_00, "bob": 0},
    clients={"A": transfer("alice", "bob", "500.00"), "B": withdraw("100.00")},
    correct={"alice": 400_00, "bob": 500_00},
    wrong=LockPerPair,
    right=PerUserLock,
)
LOCK_SOURCE_ONLY = exhibit(
    "lock-source-only",
    "A transfer locks the account that pays and forgets the one that receives.",
    breaks=Break.MONEY,
    openings={"alice": 1000_00, "bob": 1000_00},
    clients={"A": transfer("alice", "bob", "500.00"), "B": withdraw("100.00", "bob")},
    correct={"alice": 500_00, "bob": 1400_00},
    wrong=LockSourceOnly,
    right=PerUserLock,
)
SEMAPHORE_OF_TWO = exhibit(
    "semaphore-of-two",
    "A semaphore with two permits stands where a mutex was meant.",
    breaks=Break.MONEY,
    clients=RACE,
    correct=RACE_CORRECT,
    wrong=SemaphoreOfTwo,
    right=SemaphoreOfOne,
)
TWO_LOCKS_FOR_ONE_USER = exhibit(
    "two-locks-for-one-user",
    "The lock is named as the client typed it: 'alice' and 'Alice ' are one row and two locks.",
    breaks=Break.MONEY,
    clients={"A": _typed_plainly, "B": _typed_carelessly},
    correct=RACE_CORRECT,
    wrong=LockAsTyped,
    right=LockTidied,
)

EXHIBITS = (
    READ_CHECK_WRITE,
    MUTEX_OF_ONE_PROCESS,
    SERVICE_PER_REQUEST,
    MUTEX_PER_REQUEST,
    LOCK_PER_PAIR,
    LOCK_SOURCE_ONLY,
    SEMAPHORE_OF_TWO,
    TWO_LOCKS_FOR_ONE_USER,
)
