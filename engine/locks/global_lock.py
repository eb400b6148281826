"""One mutex for the whole service instance: right within it, and nobody runs beside anybody."""

from engine.history import Receipt
from engine.locks.body import read_apply_write
from engine.ports import Call, Runtime, Store


class GlobalLock:
    """Excludes within one service instance only; two instances do not see each other's mutex."""

    def __init__(self, runtime: Runtime) -> None:
        self._mutex = runtime.mutex("everybody")

    async def run(self, call: Call, store: Store) -> Receipt:
        async with self._mutex:
            return await read_apply_write(call, store)
