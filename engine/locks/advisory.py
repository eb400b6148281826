"""PostgreSQL's advisory locks: one on the name of each account, until the transaction ends.

They exclude only those who ask for them, and need no row to be there: an account that is being
opened can be locked as well. Those of a transaction cannot leak, unlike those of a session.
"""

from engine.history import Receipt
from engine.locks.body import read_apply_write, transaction
from engine.ports import Call, Runtime, Store


class AdvisoryLock:
    """Excludes across all processes that use this strategy on one database."""

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        async with transaction(store, "read-committed"):
            await store.advisory(call.accounts)
            # Read committed: each statement sees what was committed before it, so this read sees
            # all that the lock's last holder did.
            return await read_apply_write(call, store)
