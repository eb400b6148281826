"""Row locks of the database (`SELECT … FOR UPDATE`): the cure that also works between processes.

The rows of a call are locked in sorted order, until its transaction ends. SQLite has no row locks:
there the rows of a lock table stand in for them, see `leases`.
"""

from engine.history import Receipt
from engine.locks.body import read_apply_write, transaction
from engine.locks.leases import FencedLease
from engine.ports import Call, Runtime, Store


class RowLock:
    """Excludes across processes that share one database."""

    def __init__(self, runtime: Runtime) -> None:
        self._stand_in = FencedLease(runtime)

    async def run(self, call: Call, store: Store) -> Receipt:
        if store.dialect == "sqlite":
            return await self._stand_in.run(call, store)
        async with transaction(store, "read-committed"):
            return await read_apply_write(call, store, lock="wait")
