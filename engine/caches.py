"""The embedded cache: in this process's memory, bounded in size and age, newest wins."""

import time
from collections.abc import Callable

from cachetools import TTLCache

from engine.ports import Row


class MemoryCache:
    """cachetools' TTLCache behind the `Cache` port."""

    def __init__(
        self,
        *,
        size: int = 100_000,
        ttl_s: float = 60.0,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ttl_s = ttl_s
        self._rows: TTLCache[str, Row] = TTLCache(size, ttl_s, timer=clock_s)

    async def get(self, account: str) -> Row | None:
        return self._rows.get(account)

    async def put(self, account: str, row: Row) -> None:
        held = self._rows.get(account)
        if held is None or held.version < row.version:
            self._rows[account] = row
