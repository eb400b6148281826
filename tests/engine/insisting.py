"""A caller who asks again where a lock strategy reports a conflict instead of waiting.

Only conflicts are repeated: they say that nothing was changed.
"""

import asyncio

from engine.catalog import lock_strategy
from engine.errors import Conflict, LockTaken
from engine.history import Receipt
from engine.ports import Call, LockStrategy, Runtime, Store

ASKS_MAX = 10_000
PAUSE_S = 0.001


class Insisting:
    """A lock strategy whose conflicts are asked again until it has an answer."""

    def __init__(self, inner: LockStrategy) -> None:
        self._inner = inner

    async def run(self, call: Call, store: Store) -> Receipt:
        for _ in range(ASKS_MAX):
            try:
                return await self._inner.run(call, store)
            except (LockTaken, Conflict):
                await asyncio.sleep(PAUSE_S)
        raise AssertionError(f"{call.id} met others {ASKS_MAX} times")

    def sweep(self, idle_s: float) -> int:
        sweep = getattr(self._inner, "sweep", None)
        return sweep(idle_s) if sweep else 0


def insisting(lock: str, runtime: Runtime) -> Insisting:
    """The lock strategy of that name, for such a caller."""
    return Insisting(lock_strategy(lock)(runtime))
