"""One hop: plain work on a sqlite3 connection, in the thread that owns it and always waited out.

A statement that has been sent is waited for also when its caller is cancelled: a lock released
before an abandoned statement lands would exclude nobody.

The hand-over between two threads costs more than a transaction does. So whatever has come by the
end of the event loop's turn goes over together, and the answers come back together; each work is a
transaction of its own as before.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Self, TypeVar

import aiosqlite

from engine.errors import StoreBusy, StoreFull, StoreUnavailable, SystemFault
from engine.timings import CURRENT

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

# An answer waits for those to the rest of its batch no longer than this: one of them may have to
# wait for another process.
HELD_BACK_S_MAX = 0.001


def typed_error(error: sqlite3.Error) -> SystemFault:
    """The typed error for what sqlite3 raised."""
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy(f"the database is busy ({error})", "try again")
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(f"no room left for the database ({error})", "free some disk space")
    return StoreUnavailable(f"the database failed ({error})", "check the file and its disk")


class _Hop:
    """One work on its way, and what became of it."""

    __slots__ = ("error", "heard", "is_over", "result", "started_ns", "work")

    def __init__(self, work: Work[Any]) -> None:
        self.work = work
        self.heard: asyncio.Future[None] | None = None
        self.started_ns = 0
        self.result: Any = None
        self.error: BaseException | None = None
        self.is_over = False


class Hops:
    """The way to one connection's thread, first come, first served."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._coming: deque[_Hop] = deque()
        self._ended: deque[_Hop] = deque()
        self._under_way = False
        self._closed = False
        self._late: asyncio.TimerHandle | None = None

    @classmethod
    async def open(cls, path: str | Path, *, busy_timeout_s: float) -> Self:
        """Connect, or leave nothing behind. sqlite3.Error comes through."""
        connection = aiosqlite.connect(path, isolation_level=None, timeout=busy_timeout_s)
        try:
            await connection
        except BaseException:
            # Its thread has been told to end and still speaks to this loop, which may close next.
            connection._thread.join()
            raise
        return cls(connection)

    async def close(self) -> None:
        """Close the connection; what has come till then is finished first."""
        if not self._closed:
            self._closed = True
            try:
                await self._waited_out(_Hop(lambda _: None))
            finally:
                await self._connection.close()

    async def run(self, work: Work[T], asked_ns: int = 0) -> T:
        """Run `work` in the thread and note in the call's Timings how long that took."""
        if self._closed:
            raise StoreUnavailable("the database connection is closed", "open the database again")
        hop = _Hop(work)
        try:
            await self._waited_out(hop)
        finally:
            timings = CURRENT.get()
            if timings is not None and asked_ns:
                timings.store_ns += perf_counter_ns() - asked_ns
                timings.store_wait_ns += hop.started_ns - asked_ns
                timings.store_accesses += 1
        if hop.error is None:
            result: T = hop.result
            return result
        if isinstance(hop.error, sqlite3.Error):
            raise typed_error(hop.error) from hop.error
        raise hop.error

    async def _waited_out(self, hop: _Hop) -> None:
        """Send `hop`; a cancellation is let through only when it is over."""
        self._coming.append(hop)
        if not self._under_way:
            self._under_way = True
            self._send()
        elif self._late is None:  # who comes now may share a batch
            self._late = self._loop.call_later(HELD_BACK_S_MAX, self._hand_over_late)
        cancelled = False
        while not hop.is_over:
            hop.heard = self._loop.create_future()
            try:
                await hop.heard
            except asyncio.CancelledError:
                cancelled = True
        if cancelled:
            raise asyncio.CancelledError

    def _send(self) -> None:
        # aiosqlite has no public way to run several statements in one hop; this queue is the one
        # that all its public methods use.
        self._connection._tx.put_nowait((None, self._work_off))

    def _work_off(self) -> None:
        """In the thread: everything that has come by now."""
        connection = self._connection._conn
        for _ in range(len(self._coming)):
            hop = self._coming.popleft()
            hop.started_ns = perf_counter_ns()
            try:
                hop.result = hop.work(connection)
            except BaseException as error:
                hop.error = error
            self._ended.append(hop)
        self._loop.call_soon_threadsafe(self._back)

    def _back(self) -> None:
        self._hand_over()
        if self._coming:
            self._send()
            return
        self._under_way = False
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _hand_over_late(self) -> None:
        self._hand_over()
        self._late = self._loop.call_later(HELD_BACK_S_MAX, self._hand_over_late)

    def _hand_over(self) -> None:
        while self._ended:
            hop = self._ended.popleft()
            hop.is_over = True
            if hop.heard is not None and not hop.heard.done():
                hop.heard.set_result(None)
