"""Asking again: unknown outcomes, idempotency keys, conflicts, and budgets that are too small."""

from engine.errors import Conflict, InsufficientFunds, StoreBusy, SystemFault
from engine.explore.client import Client
from engine.explore.faults import Faults
from engine.history import Receipt
from engine.locks.body import changes, read_apply_write
from engine.locks.global_lock import GlobalLock
from engine.ports import Call, Runtime, Store
from engine.verdicts import Break
from scenarios.zoo.exhibit import RACE, RACE_CORRECT, Run, add, exhibit, in_turn, withdraw
from scenarios.zoo.parts import CompareAndSet, Immediate, transaction

BUSY_TRIES = 2


class KeyLookedUpApart:
    """Looks the idempotency key up first, by a query of its own; the database keeps it unique."""

    def __init__(self, runtime: Runtime) -> None:
        self._mutex = runtime.mutex("wallet")

    async def run(self, call: Call, store: Store) -> Receipt:
        earlier = (await store.read((), call.key)).earlier
        if earlier is not None:
            return earlier.answer(call)
        async with self._mutex:
            seen = await store.read(call.accounts)
            return await store.write(call, changes(call, seen.rows))


class KeyClaimedFirst:
    """Claims the key before it pays: whoever finds it claimed takes the payment for made."""

    def __init__(self, runtime: Runtime) -> None:
        self._mutex = runtime.mutex("wallet")

    async def run(self, call: Call, store: Store) -> Receipt:
        if call.key is not None and await store.decide(call.key, call.id) != call.id:
            raise Conflict(f"{call.key} has been asked for already", "look at your statement")
        async with self._mutex:
            return await read_apply_write(call, store)


class Deferred:
    """A deferred transaction; that another one was faster is reported as what it is: busy."""

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        async with transaction(store, "deferred"):
            return await read_apply_write(call, store)


class BusyMeansPoor(Deferred):
    """Every failure of a withdrawal becomes "insufficient funds" on its way out."""

    async def run(self, call: Call, store: Store) -> Receipt:
        try:
            return await super().run(call, store)
        except StoreBusy as error:
            raise InsufficientFunds(f"cannot withdraw from {call.accounts[0]}") from error


class WaitsForUpgrade:
    """Reads, then writes, in one deferred transaction, and asks again while it is told "busy".

    That is what a busy timeout would do, and why SQLite does not let it: the snapshot is out of
    date, and waiting does not make it newer.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def run(self, call: Call, store: Store) -> Receipt:
        async with transaction(store, "deferred"):
            seen = await store.read(call.accounts, call.key)
            for attempt in range(BUSY_TRIES):
                try:
                    return await store.write(call, changes(call, seen.rows))
                except StoreBusy:
                    await self._runtime.backoff(attempt)
            return await store.write(call, changes(call, seen.rows))


class TwoAttempts(CompareAndSet):
    """Two attempts, where two others may come first: each conflict is another one's success."""

    ATTEMPTS_MAX = 2


def _stubborn(amount: str, *, key: str | None = None) -> Run:
    async def run(client: Client) -> None:
        try:
            await client.withdraw("alice", amount, key=key)
        except SystemFault:
            await client.withdraw("alice", amount, key=key)

    return run


WITH_KEY = {
    "A": withdraw("800.00", key="payment-1"),
    "A-again": withdraw("800.00", key="payment-1"),
}

RETRY_WITHOUT_KEY = exhibit(
    "retry-without-key",
    "The reply is lost and the client asks again: without a key these are two payments.",
    number=4,
    breaks=Break.MONEY,
    clients={"A": _stubborn("100.00")},
    right_clients={"A": _stubborn("100.00", key="payment-1")},
    faults=Faults(lost=1),
    correct={"alice": 900_00},
    always=True,
    wrong=GlobalLock,
    right=GlobalLock,
)
KEY_LOOKED_UP_APART = exhibit(
    "key-looked-up-apart",
    "The key is looked up before the balance: a retry is told 'insufficient' of what was paid.",
    breaks=Break.MONEY,
    clients=WITH_KEY,
    correct={"alice": 200_00},
    wrong=KeyLookedUpApart,
    right=GlobalLock,
)
KEY_CLAIMED_FIRST = exhibit(
    "key-claimed-first",
    "The key is claimed before the payment; cut off in between, the payment is never made.",
    breaks=Break.MONEY,
    clients=WITH_KEY,
    after={"A-again": "A"},
    faults=Faults(cancel=1),
    correct={"alice": 200_00},
    always=True,
    wrong=KeyClaimedFirst,
    right=GlobalLock,
)
CONFLICT_SHOWN_AS_POVERTY = exhibit(
    "conflict-shown-as-poverty",
    "A conflict is reported as insufficient funds: 'you cannot' instead of 'try again'.",
    number=9,
    breaks=Break.MONEY,
    clients={"A": withdraw("100.00"), "B": withdraw("100.00")},
    wrong=BusyMeansPoor,
    right=Deferred,
)
RETRY_BUDGET_TOO_SMALL = exhibit(
    "retry-budget-too-small",
    "Two attempts on a hot account: whoever is overtaken twice gives up, and is never booked.",
    number=10,
    breaks=Break.MONEY,
    clients={"A": add("100.00"), "B": in_turn(add("200.00"), add("300.00"))},
    correct={"alice": 1600_00},
    always=True,
    wrong=TwoAttempts,
    right=CompareAndSet,
)
UPGRADE_IS_BUSY = exhibit(
    "upgrade-is-busy",
    "Both read, both want to write: SQLite answers BUSY at once, whatever the timeout.",
    number=14,
    breaks=Break.MONEY,
    clients=RACE,
    correct=RACE_CORRECT,
    always=True,
    wrong=WaitsForUpgrade,
    right=Immediate,
)

EXHIBITS = (
    RETRY_WITHOUT_KEY,
    KEY_LOOKED_UP_APART,
    KEY_CLAIMED_FIRST,
    CONFLICT_SHOWN_AS_POVERTY,
    RETRY_BUDGET_TOO_SMALL,
    UPGRADE_IS_BUSY,
)
