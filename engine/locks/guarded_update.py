"""`UPDATE … SET balance = balance - x WHERE balance >= x`: no lock is held while anybody thinks.

Check and change are one statement, so nothing can come between them, in any process.
"""

from engine.history import Receipt
from engine.ports import Call, Runtime, Store


class GuardedUpdate:
    """Leaves the whole call to the database, which locks the rows for that one statement."""

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        return await store.guarded(call)
