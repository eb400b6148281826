"""Turns of the callers in one process who want the same rows for one statement each.

Whoever waits for a row inside PostgreSQL wakes up several times before it is granted, and so do all
others who wait: with 32 statements on one row the server spends more time on the queue than on the
updates. So only a few are sent, and the others wait here, where waiting costs nothing.
"""

import asyncio

from engine.errors import LockTimeout


class _Turn:
    __slots__ = ("free", "users")

    def __init__(self, at_once: int) -> None:
        self.free = asyncio.Semaphore(at_once)
        self.users = 0


class Turns:
    """At most `at_once` callers inside for each name; first come, first served."""

    def __init__(self, at_once: int, wait_s_max: float) -> None:
        self._at_once = at_once
        self._wait_s_max = wait_s_max
        self._turns: dict[str, _Turn] = {}

    async def enter(self, names: tuple[str, ...]) -> None:
        """Come in for all `names`, which are sorted; outside of all of them if it raises.

        LockTimeout after `wait_s_max` seconds.
        """
        for number, name in enumerate(names):
            turn = self._turns.get(name)
            if turn is None:
                turn = self._turns[name] = _Turn(self._at_once)
            turn.users += 1
            try:
                await self._acquire(turn, name)
            except BaseException:
                self._forget(name)
                self.leave(names[:number])
                raise

    def leave(self, names: tuple[str, ...]) -> None:
        """Let the next ones come in."""
        for name in names:
            self._turns[name].free.release()
            self._forget(name)

    async def _acquire(self, turn: _Turn, name: str) -> None:
        if not turn.free.locked():
            await turn.free.acquire()
            return
        try:
            async with asyncio.timeout(self._wait_s_max):
                await turn.free.acquire()
        except TimeoutError:
            raise LockTimeout(
                f"no turn on {name!r} within {self._wait_s_max:g} s", "try again"
            ) from None

    def _forget(self, name: str) -> None:
        turn = self._turns[name]
        turn.users -= 1
        if not turn.users:
            del self._turns[name]
