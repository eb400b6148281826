"""Leases and session locks: they run out, and whoever gives them back must be their owner."""

from collections.abc import Iterator
from contextlib import contextmanager

from engine.explore.faults import Faults
from engine.history import Receipt
from engine.locks.body import leased, read_apply_write
from engine.locks.db_row import RowLock
from engine.ports import Call, Runtime, Store
from engine.verdicts import Break
from scenarios.zoo.exhibit import RACE, RACE_CORRECT, add, exhibit, withdraw


class NoFence:
    """Holds leases and trusts that they last; the writes do not show their tokens."""

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        async with leased(store, call.accounts, call.id):
            return await read_apply_write(call, store)


class AnybodysLease:
    """Takes its lease as "worker", like everybody else, and gives it back in `finally`."""

    OWNER = "worker"

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        account = call.accounts[0]
        try:
            await store.take(account, self.OWNER)
            return await read_apply_write(call, store)
        finally:
            # Also of him who was cancelled while he waited for the one who has it.
            await store.give(account, self.OWNER)


class Pooler:
    """Two server connections; a statement is given the first that is idle."""

    def __init__(self, runtime: Runtime) -> None:
        self._idle = runtime.cell("idle connections", lambda: ["connection-1", "connection-2"])

    @contextmanager
    def connection(self) -> Iterator[str]:
        """One of them, by name."""
        name = self._idle.value.pop(0)
        try:
            yield name
        finally:
            self._idle.value.append(name)
            self._idle.value.sort()


class SessionLockOverPooler:
    """A session's advisory lock behind a pooler that gives each statement another session.

    The lock belongs to the connection that took it: unlocking over another one does nothing.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._pooler = Pooler(runtime)

    async def run(self, call: Call, store: Store) -> Receipt:
        account = call.accounts[0]
        with self._pooler.connection() as session:
            await store.take(account, session)
        try:
            with self._pooler.connection():
                return await read_apply_write(call, store)
        finally:
            with self._pooler.connection() as session:
                await store.give(account, session)


class PinnedSession(SessionLockOverPooler):
    """Keeps one connection from lock to unlock."""

    async def run(self, call: Call, store: Store) -> Receipt:
        account = call.accounts[0]
        with self._pooler.connection() as session:
            await store.take(account, session)
            try:
                return await read_apply_write(call, store)
            finally:
                await store.give(account, session)


LEASE_OUTLIVED = exhibit(
    "lease-outlived",
    "A holder is slower than its lease: the next one reads, and both write.",
    number=7,
    breaks=Break.MONEY,
    clients=RACE,
    correct=RACE_CORRECT,
    faults=Faults(expire=1),
    wrong=NoFence,
    right=RowLock,
)
LEASE_OF_ANOTHER = exhibit(
    "lease-of-another",
    "`finally` gives a lease back that this call never got: it is the holder's.",
    number=7,
    breaks=Break.MONEY,
    clients={"A": withdraw("500.00"), "B": add("300.00"), "C": add("100.00")},
    after={"C": "B"},
    faults=Faults(cancel=1),
    wrong=AnybodysLease,
    right=RowLock,
)
SESSION_LOCK_OVER_POOLER = exhibit(
    "session-lock-over-pooler",
    "A session's advisory lock behind a pooler: unlock goes over another connection, for nothing.",
    number=15,
    breaks=Break.LIVENESS,
    clients=RACE,
    correct=RACE_CORRECT,
    wrong=SessionLockOverPooler,
    right=PinnedSession,
)

EXHIBITS = (LEASE_OUTLIVED, LEASE_OF_ANOTHER, SESSION_LOCK_OVER_POOLER)
