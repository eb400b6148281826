"""A client goes away, or is refused, at the wrong moment: locks kept, locks of others freed."""

from engine.explore.faults import Faults
from engine.history import Receipt
from engine.locks.body import changes, read_apply_write
from engine.locks.global_lock import GlobalLock
from engine.locks.per_user import PerUserLock
from engine.ports import Call, Runtime, Store
from engine.verdicts import Break
from scenarios.zoo.exhibit import RACE, RACE_CORRECT, add, exhibit, transfer, withdraw
from scenarios.zoo.parts import HandLock, transaction


class NoFinally:
    """Releases its lock on the way that everybody tests."""

    def __init__(self, runtime: Runtime) -> None:
        self._lock = HandLock(runtime, "wallet")

    async def run(self, call: Call, store: Store) -> Receipt:
        await self._lock.acquire()
        receipt = await read_apply_write(call, store)
        await self._lock.release()
        return receipt


class AcquireInsideTry:
    """Its `finally` releases the lock also of him who was cancelled before he had it."""

    def __init__(self, runtime: Runtime) -> None:
        self._lock = HandLock(runtime, "wallet")

    async def run(self, call: Call, store: Store) -> Receipt:
        try:
            await self._lock.acquire()
            return await read_apply_write(call, store)
        finally:
            await self._lock.release()


class BeginBeforeTry:
    """Opens its transaction between the lock and the `try`; a cancellation there keeps the lock."""

    def __init__(self, runtime: Runtime) -> None:
        self._lock = HandLock(runtime, "wallet")

    async def run(self, call: Call, store: Store) -> Receipt:
        await self._lock.acquire()
        await store.begin("immediate")
        try:
            receipt = await read_apply_write(call, store)
            await store.commit()
            return receipt
        except BaseException:
            await store.rollback()
            raise
        finally:
            await self._lock.release()


class BeginInsideTry(BeginBeforeTry):
    """Lock first, and everything else inside."""

    async def run(self, call: Call, store: Store) -> Receipt:
        await self._lock.acquire()
        try:
            async with transaction(store, "immediate"):
                return await read_apply_write(call, store)
        finally:
            await self._lock.release()


class TwoWrites(PerUserLock):
    """Writes a transfer account by account, each write a commit of its own."""

    async def run(self, call: Call, store: Store) -> Receipt:
        async with self.locks.hold("transfers"):
            seen = await store.read(call.accounts, call.key)
            written = [await store.write(call, (change,)) for change in changes(call, seen.rows)]
        return Receipt(call.id, tuple(entry for receipt in written for entry in receipt.entries))


LOCK_KEPT_WHEN_CANCELLED = exhibit(
    "lock-kept-when-cancelled",
    "A client that holds the lock goes away, and nobody ever gets it again.",
    number=12,
    breaks=Break.LIVENESS,
    clients=RACE,
    correct=RACE_CORRECT,
    faults=Faults(cancel=1),
    wrong=NoFinally,
    right=GlobalLock,
)
LOCK_FREED_BY_A_WAITER = exhibit(
    "lock-freed-by-a-waiter",
    "A client that only waits for the lock goes away, and its `finally` frees the holder's.",
    number=12,
    breaks=Break.MONEY,
    clients={"A": withdraw("500.00"), "B": add("300.00"), "C": add("100.00")},
    after={"C": "B"},
    faults=Faults(cancel=1),
    wrong=AcquireInsideTry,
    right=GlobalLock,
)
CANCEL_BEFORE_TRY = exhibit(
    "cancel-before-try",
    "One await stands between the lock and the `try` that gives it back.",
    breaks=Break.LIVENESS,
    clients=RACE,
    correct=RACE_CORRECT,
    faults=Faults(cancel=1),
    wrong=BeginBeforeTry,
    right=BeginInsideTry,
)
LOCK_KEPT_WHEN_REFUSED = exhibit(
    "lock-kept-when-refused",
    "A refusal leaves by an exception, past the release: the next client waits for ever.",
    breaks=Break.LIVENESS,
    clients={"A": withdraw("2000.00"), "B": add("300.00")},
    correct={"alice": 1300_00},
    wrong=NoFinally,
    right=GlobalLock,
)
TRANSFER_IN_TWO_WRITES = exhibit(
    "transfer-in-two-writes",
    "A transfer is two commits; the client goes away between them, and so does the money.",
    breaks=Break.MONEY,
    openings={"alice": 1000_00, "bob": 0},
    clients={"A": transfer("alice", "bob", "500.00")},
    faults=Faults(cancel=1),
    wrong=TwoWrites,
    right=PerUserLock,
)

EXHIBITS = (
    LOCK_KEPT_WHEN_CANCELLED,
    LOCK_FREED_BY_A_WAITER,
    CANCEL_BEFORE_TRY,
    LOCK_KEPT_WHEN_REFUSED,
    TRANSFER_IN_TWO_WRITES,
)
