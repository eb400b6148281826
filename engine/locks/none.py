"""No lock: read, compute, write. The control that loses money as soon as two calls overlap."""

from engine.history import Receipt
from engine.locks.body import read_apply_write
from engine.ports import Call, Runtime, Store


class NoLock:
    """What application code does that reads a balance through an ORM and saves it back."""

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        return await read_apply_write(call, store)
