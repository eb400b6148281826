"""Lines of those in one process who wait for the same lease in the database.

Only the first in line asks, every now and then, since others may hold it in other processes; if all
asked, they would keep the database busy with it. When the lease is given back in this process, the
first learns it at once.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress


class _Line:
    __slots__ = ("first", "given", "members")

    def __init__(self) -> None:
        self.first = asyncio.Lock()
        self.given = asyncio.Event()
        self.members = 0


class Lines:
    """A line for each key that somebody waits for; first come, first served."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def first(self, key: str) -> AsyncIterator[Callable[[float], Awaitable[None]]]:
        """Be the first in line for `key`; yields a wait for "given back", or so many seconds."""
        line = self._lines.setdefault(key, _Line())
        line.members += 1
        try:
            async with line.first:

                async def given(seconds: float) -> None:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(seconds):
                            await line.given.wait()
                    line.given.clear()

                yield given
        finally:
            line.members -= 1
            if not line.members:
                del self._lines[key]

    def given(self, key: str) -> None:
        """Tell the first in line that `key` may be free."""
        if key in self._lines:
            self._lines[key].given.set()
