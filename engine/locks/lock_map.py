"""A mutex for each name, made when first needed and forgotten when idle.

A lock is idle when nobody holds it and nobody awaits it. Holders and waiters are counted before
they start to wait, so a sweep can never take a lock from under them and hand a newcomer a second
one of the same name.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from engine.ports import Mutex, Runtime


class _Entry(NamedTuple):
    mutex: Mutex
    users: int = 0
    idle_since_ms: int = 0


class LockMap:
    """Mutexes by name, for one service instance."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._entries = runtime.cell("locks", dict[str, _Entry])

    def __len__(self) -> int:
        return len(self._entries.value)

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Hold the mutex called `name`."""
        entries = self._entries.value
        entry = entries.get(name) or _Entry(self._runtime.mutex(name))
        entries[name] = entry._replace(users=entry.users + 1)
        try:
            async with entry.mutex:
                yield
        finally:
            users = entries[name].users - 1
            entries[name] = entry._replace(users=users, idle_since_ms=self._runtime.now_ms())

    def sweep(self, idle_s: float) -> int:
        """Forget the locks that have been idle for `idle_s`; how many went."""
        before_ms = self._runtime.now_ms() - int(idle_s * 1000)
        entries = self._entries.value
        idle = [
            name
            for name, entry in entries.items()
            if entry.users == 0 and entry.idle_since_ms <= before_ms
        ]
        for name in idle:
            del entries[name]
        return len(idle)
