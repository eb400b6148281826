"""Fail fast: a lock that somebody holds is answered LockTaken at once, and the caller decides.

Never retried here, so nobody ever waits, and no waiter can starve others of connections.
"""

from engine.history import Receipt
from engine.locks.body import read_apply_write, transaction
from engine.ports import Call, Runtime, Store


class NoWait:
    """`SELECT … FOR UPDATE NOWAIT`; on SQLite `BEGIN IMMEDIATE` with no busy timeout."""

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        if store.dialect == "sqlite":
            async with transaction(store, "immediate", nowait=True):
                return await read_apply_write(call, store)
        async with transaction(store, "read-committed"):
            return await read_apply_write(call, store, lock="nowait")
