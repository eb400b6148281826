"""Locks kept in a dict: forgotten while somebody needs them, made twice, or not waited for."""

from engine.explore.client import Client
from engine.history import Receipt
from engine.locks.body import read_apply_write
from engine.locks.per_user import PerUserLock
from engine.ports import Call, Mutex, Runtime, Store
from engine.verdicts import Break
from scenarios.zoo.exhibit import RACE, RACE_CORRECT, add, exhibit, withdraw


class EvictedOnRelease:
    """Forgets a lock when its holder is done, though somebody may wait for it.

    The one who waits gets the forgotten lock, the next one who arrives gets a new one.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.locks = runtime.cell("locks", dict[str, Mutex])

    async def run(self, call: Call, store: Store) -> Receipt:
        account = call.accounts[0]
        try:
            async with self._lock(account):
                return await read_apply_write(call, store)
        finally:
            self.locks.value.pop(account, None)

    def _lock(self, account: str) -> Mutex:
        locks = self.locks.value
        if account not in locks:
            locks[account] = self._runtime.mutex(account)
        return locks[account]


class SweptWhileHeld(EvictedOnRelease):
    """Housekeeping forgets every lock, held or not."""

    async def run(self, call: Call, store: Store) -> Receipt:
        async with self._lock(call.accounts[0]):
            return await read_apply_write(call, store)

    def sweep(self, idle_s: float) -> int:
        """Forget all locks; how many went."""
        count = len(self.locks.value)
        self.locks.value.clear()
        return count


class MadeTwice(EvictedOnRelease):
    """Looks whether the user exists before it makes his lock: two who look make two."""

    async def run(self, call: Call, store: Store) -> Receipt:
        account = call.accounts[0]
        if account not in self.locks.value:
            await store.read((account,))
            self.locks.value[account] = self._runtime.mutex(account)
        async with self.locks.value[account]:
            return await read_apply_write(call, store)


class GoesAhead:
    """Waits for the lock for a while and then goes ahead without it: somebody must have died."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._held = runtime.cell("held", lambda: False)

    async def run(self, call: Call, store: Store) -> Receipt:
        if self._held.value:
            await self._runtime.backoff(0)
        self._held.value = True
        try:
            return await read_apply_write(call, store)
        finally:
            self._held.value = False


async def _sweep(client: Client) -> None:
    await client.sweep()


EVICTED_ON_RELEASE = exhibit(
    "evicted-on-release",
    "A holds, B queues, A leaves and drops the lock from the dict; C makes a new one beside B.",
    number=6,
    breaks=Break.MONEY,
    clients={"A": withdraw("500.00"), "B": add("300.00"), "C": add("100.00")},
    correct={"alice": 900_00},
    wrong=EvictedOnRelease,
    right=PerUserLock,
)
SWEPT_WHILE_HELD = exhibit(
    "swept-while-held",
    "Housekeeping forgets a lock that is held; whoever comes next makes a second one.",
    number=6,
    breaks=Break.MONEY,
    clients={**RACE, "S": _sweep},
    correct=RACE_CORRECT,
    wrong=SweptWhileHeld,
    right=PerUserLock,
)
LOCK_MADE_TWICE = exhibit(
    "lock-made-twice",
    "Between 'there is no lock yet' and making it lies an await: two clients make two locks.",
    breaks=Break.MONEY,
    clients=RACE,
    correct=RACE_CORRECT,
    wrong=MadeTwice,
    right=PerUserLock,
)
LOCK_TIMEOUT_IGNORED = exhibit(
    "lock-timeout-ignored",
    "Whoever has waited long enough for the lock goes ahead without it.",
    breaks=Break.MONEY,
    clients=RACE,
    correct=RACE_CORRECT,
    wrong=GoesAhead,
    right=PerUserLock,
)

EXHIBITS = (EVICTED_ON_RELEASE, SWEPT_WHILE_HELD, LOCK_MADE_TWICE, LOCK_TIMEOUT_IGNORED)
