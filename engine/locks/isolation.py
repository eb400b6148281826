"""No lock of ours: the isolation level of the database finds the conflict and undoes one side."""

from typing import ClassVar

from engine.errors import StoreBusy, SystemFault
from engine.history import Receipt
from engine.locks.body import UNDONE, read_apply_write, retried, transaction
from engine.ports import Call, Level, Runtime, Store


class RepeatableRead:
    """PostgreSQL's snapshot isolation: who would overwrite a newer row is undone, and retries."""

    level: ClassVar[Level] = "repeatable-read"

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def run(self, call: Call, store: Store) -> Receipt:
        level, again = self._asks(store)

        async def attempt() -> Receipt:
            async with transaction(store, level):
                return await read_apply_write(call, store)

        return await retried(self._runtime, attempt, again)

    def _asks(self, store: Store) -> tuple[Level, tuple[type[SystemFault], ...]]:
        return self.level, UNDONE


class Serializable(RepeatableRead):
    """SERIALIZABLE. On SQLite every transaction is: a deferred one, told "busy" where it conflicts.

    SQLite says so at the first write upon an old snapshot, and waiting would not help.
    """

    level: ClassVar[Level] = "serializable"

    def _asks(self, store: Store) -> tuple[Level, tuple[type[SystemFault], ...]]:
        return ("deferred", (StoreBusy,)) if store.dialect == "sqlite" else super()._asks(store)
