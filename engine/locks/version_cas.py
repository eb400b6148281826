"""Optimistic: write only where nobody has written since the read, otherwise read again."""

from engine.errors import VersionChanged
from engine.history import Receipt
from engine.locks.body import read_apply_write, retried
from engine.ports import Call, Runtime, Store


class VersionCas:
    """Compare-and-set on each row's version; a hot account makes it retry, and give up at last."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def run(self, call: Call, store: Store) -> Receipt:
        return await retried(
            self._runtime,
            lambda: read_apply_write(call, store, if_version=True),
            (VersionChanged,),
        )
