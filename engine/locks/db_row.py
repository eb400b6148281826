"""A lock row in the database for each account: the cure that also works between processes.

SQLite has no row locks of its own. There this strategy takes leases in a lock table, in sorted
order, each with an owner, an expiry and a fencing token; a waiter asks again every
`stores.sqlite.POLL_MS`. A holder that outlives its lease is stopped by the token, not trusted.
"""

from engine.history import Receipt
from engine.locks.body import leased, read_apply_write
from engine.ports import Call, Runtime, Store


class RowLock:
    """Excludes across processes that share one database."""

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        async with leased(store, call.accounts, call.id) as fence:
            return await read_apply_write(call, store, fence=fence)
