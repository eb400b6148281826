"""Rows of a lock table, each with an owner and an expiry: with fencing tokens, and without.

Locks are taken in sorted order. A holder that is paused for longer than its lease (a long garbage
collection, a stopped process) goes on as if it still held it. The token of a fenced lease is
checked in the transaction that writes, so such a holder is stopped, not trusted.
"""

from engine.history import Receipt
from engine.locks.body import leased, read_apply_write
from engine.ports import Call, Runtime, Store


class FencedLease:
    """Excludes across processes that share one database, however long a holder is paused."""

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        async with leased(store, call.accounts, call.id) as fence:
            return await read_apply_write(call, store, fence=fence)


class Lease:
    """A negative control: right until a lease runs out under its holder."""

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        async with leased(store, call.accounts, call.id):
            return await read_apply_write(call, store)
