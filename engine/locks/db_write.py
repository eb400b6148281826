"""SQLite's one write lock, taken before the read: `BEGIN IMMEDIATE` around all of it."""

from engine.history import Receipt
from engine.locks.body import read_apply_write, transaction
from engine.ports import Call, Runtime, Store


class DbWrite:
    """One writer at a time in the whole database file, whatever the account."""

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        async with transaction(store, "immediate"):
            return await read_apply_write(call, store)
