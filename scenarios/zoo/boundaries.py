"""The lock is right, its boundaries are not: what it must bracket begins or ends outside it."""

from engine.errors import Conflict, VersionChanged
from engine.explore.faults import Faults
from engine.history import Entry, Receipt
from engine.locks.body import changes, read_apply_write
from engine.locks.global_lock import GlobalLock
from engine.locks.per_user import PerUserLock
from engine.ports import Call, Change, Row, Runtime, Store
from engine.verdicts import Break
from scenarios.zoo.exhibit import RACE, RACE_CORRECT, add, exhibit, in_turn, withdraw
from scenarios.zoo.parts import CompareAndSet, HandLock


class UnlockBeforeCommit:
    """Computes under the mutex; what it computed is flushed and committed at the request's end."""

    def __init__(self, runtime: Runtime) -> None:
        self._mutex = runtime.mutex("wallet")

    async def run(self, call: Call, store: Store) -> Receipt:
        async with self._mutex:
            seen = await store.read(call.accounts, call.key)
            planned = changes(call, seen.rows)
        return await store.write(call, planned)


class SnapshotBeforeLock:
    """Has the row in its session before it locks; under the lock the session's copy answers.

    So does an ORM's identity map, and so does a snapshot of REPEATABLE READ that was taken by an
    earlier statement of the same transaction.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._mutex = runtime.mutex("wallet")

    async def run(self, call: Call, store: Store) -> Receipt:
        seen = await store.read(call.accounts, call.key)
        async with self._mutex:
            return await store.write(call, changes(call, seen.rows))


class CheckOutsideLock:
    """Checks the balance first and locks only to book, never below zero; the check is out of date.

    Many schemas forbid a negative balance. GREATEST(balance - amount, 0) keeps them quiet.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._mutex = runtime.mutex("wallet")

    async def run(self, call: Call, store: Store) -> Receipt:
        seen = await store.read(call.accounts, call.key)
        checked = changes(call, seen.rows)
        async with self._mutex:
            rows = (await store.read(call.accounts)).rows
            return await store.write(call, tuple(_booked(c, rows[c.account]) for c in checked))


def _booked(change: Change, row: Row) -> Change:
    """The same difference, on what the account holds now."""
    after = max(0, row.balance + change.after - change.before)
    return Change(change.account, row.balance, after, row.version)


class VersionReadApart(CompareAndSet):
    """Optimistic, but the version it insists on is read after the balance, by another query."""

    async def run(self, call: Call, store: Store) -> Receipt:
        planned = changes(call, (await store.read(call.accounts, call.key)).rows)
        versions = (await store.read(call.accounts)).rows
        dated = tuple(c._replace(version=versions[c.account].version) for c in planned)
        return await store.write(call, dated, if_version=True)


class StaleRetry(CompareAndSet):
    """Optimistic, but a retry renews the version only; the balance is that of the first read."""

    async def run(self, call: Call, store: Store) -> Receipt:
        planned = changes(call, (await store.read(call.accounts, call.key)).rows)
        for _ in range(self.ATTEMPTS_MAX):
            try:
                return await store.write(call, planned, if_version=True)
            except VersionChanged:
                rows = (await store.read(call.accounts)).rows
                planned = tuple(c._replace(version=rows[c.account].version) for c in planned)
        raise Conflict("others kept changing the account", "try again")


class FireAndForget:
    """Answers at once and lets the write follow in the background, still under the mutex."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = HandLock(runtime, "wallet")

    async def run(self, call: Call, store: Store) -> Receipt:
        await self._lock.acquire()
        try:
            planned = changes(call, (await store.read(call.accounts, call.key)).rows)
        except BaseException:
            await self._lock.release()
            raise
        self._runtime.spawn(self._commit(call, store, planned))
        return Receipt(call.id, tuple(Entry(a, b, c, v + 1) for a, b, c, v in planned))

    async def _commit(self, call: Call, store: Store, planned: tuple[Change, ...]) -> None:
        try:
            await store.write(call, planned)
        finally:
            await self._lock.release()


class DoubleRelease:
    """Releases early so that nobody waits for a report, and once more in `finally`."""

    def __init__(self, runtime: Runtime) -> None:
        self._lock = HandLock(runtime, "wallet")

    async def run(self, call: Call, store: Store) -> Receipt:
        await self._lock.acquire()
        try:
            receipt = await read_apply_write(call, store)
            await self._lock.release()
            await store.read(call.accounts)  # for the report
            return receipt
        finally:
            # By now it may be somebody else's.
            await self._lock.release()


class ReleasedOnce:
    """Reports under the lock and releases it once."""

    def __init__(self, runtime: Runtime) -> None:
        self._mutex = runtime.mutex("wallet")

    async def run(self, call: Call, store: Store) -> Receipt:
        async with self._mutex:
            receipt = await read_apply_write(call, store)
            await store.read(call.accounts)
            return receipt


UNLOCK_BEFORE_COMMIT = exhibit(
    "unlock-before-commit",
    "The mutex is released when the method ends, the session commits when the request does.",
    number=3,
    breaks=Break.MONEY,
    clients=RACE,
    correct=RACE_CORRECT,
    wrong=UnlockBeforeCommit,
    right=GlobalLock,
)
SNAPSHOT_BEFORE_LOCK = exhibit(
    "snapshot-before-lock",
    "The snapshot is taken before the lock: a perfect mutex around an old balance.",
    number=3,
    breaks=Break.MONEY,
    clients=RACE,
    correct=RACE_CORRECT,
    wrong=SnapshotBeforeLock,
    right=GlobalLock,
)
CHECK_OUTSIDE_LOCK = exhibit(
    "check-outside-lock",
    "The balance is checked before the lock and only booked under it: both are paid, one in full.",
    breaks=Break.MONEY,
    clients={"A": withdraw("800.00"), "B": withdraw("800.00")},
    wrong=CheckOutsideLock,
    right=GlobalLock,
)
VERSION_READ_APART = exhibit(
    "version-read-apart",
    "Compare-and-set with a version read after the balance: it vouches for somebody else's write.",
    breaks=Break.MONEY,
    clients=RACE,
    correct=RACE_CORRECT,
    wrong=VersionReadApart,
    right=CompareAndSet,
)
STALE_RETRY = exhibit(
    "stale-retry",
    "The retry of a compare-and-set renews the version and keeps the balance it had computed.",
    breaks=Break.MONEY,
    clients=RACE,
    correct=RACE_CORRECT,
    wrong=StaleRetry,
    right=CompareAndSet,
)
FIRE_AND_FORGET = exhibit(
    "fire-and-forget",
    "The answer is given before the commit; the service crashes in between.",
    breaks=Break.MONEY,
    clients={"A": withdraw("500.00")},
    faults=Faults(crash=1),
    wrong=FireAndForget,
    right=PerUserLock,
)
DOUBLE_RELEASE = exhibit(
    "double-release",
    "An early release and one in `finally`: the second one frees the lock of the next holder.",
    breaks=Break.MONEY,
    clients={"A": in_turn(withdraw("500.00"), add("100.00")), "B": add("300.00")},
    correct={"alice": 900_00},
    wrong=DoubleRelease,
    right=ReleasedOnce,
)

EXHIBITS = (
    UNLOCK_BEFORE_COMMIT,
    SNAPSHOT_BEFORE_LOCK,
    CHECK_OUTSIDE_LOCK,
    VERSION_READ_APART,
    STALE_RETRY,
    FIRE_AND_FORGET,
    DOUBLE_RELEASE,
)
