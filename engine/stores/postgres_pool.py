"""Connections to one PostgreSQL database: borrowed in turn, never given back dirty, made anew.

A statement that has been sent is waited for also when its caller is cancelled: a lock released
before an abandoned statement lands would exclude nobody.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from time import perf_counter_ns
from typing import Any, TypeVar

import asyncpg

from engine.errors import StoreBusy, StoreUnavailable, Undone, UsageError
from engine.stores.postgres_errors import typed_error
from engine.stores.postgres_wire import Wire
from engine.stores.uncancelled import uncancelled, wait_out
from engine.timings import CURRENT

T = TypeVar("T")
Work = Callable[[Wire], Coroutine[Any, Any, T]]

CONNECT_S_MAX = 10.0


class Pool:
    """At most `size` connections, made when they are needed; first come, first served."""

    def __init__(self, url: str, size: int, settings: dict[str, str], wait_s_max: float) -> None:
        self._url = url
        self._settings = settings
        self._wait_s_max = wait_s_max
        # None stands for a connection that is yet to be made. The last used is used next.
        self._free: list[Wire | None] = [None] * size
        self._lent: set[Wire] = set()
        self._busy: set[Wire] = set()
        self._idle = asyncio.Event()
        self._turns = asyncio.Semaphore(size)
        self._closed = False

    async def borrow(self) -> Wire:
        """A connection for the caller alone. StoreBusy, StoreUnavailable, StoreForbidden."""
        if self._turns.locked():
            await self._queue()
        else:
            await self._turns.acquire()
        connection = self._free.pop()
        if connection is None or connection.is_closed() or self._closed:
            connection = await self._renewed()
        self._lent.add(connection)
        return connection

    async def _renewed(self) -> Wire:
        """A new connection in this turn, which is passed on if there is none to be had."""
        connection = None

        async def connect() -> None:
            nonlocal connection
            connection = await self._connect()

        try:
            if self._closed:
                raise Undone("the database connection is closed", "open the database again")
            await wait_out(connect())  # in a task, since asyncpg.connect has a timeout of its own
        except BaseException:
            self._return(connection)  # there is one if only the caller was cancelled
            raise
        assert connection is not None
        return connection

    async def _queue(self) -> None:
        asked_ns = perf_counter_ns()
        try:
            async with asyncio.timeout(self._wait_s_max):
                await self._turns.acquire()
        except TimeoutError:
            raise StoreBusy(
                f"no connection came free within {self._wait_s_max:g} s", "try again"
            ) from None
        finally:
            timings = CURRENT.get()
            if timings is not None:
                timings.store_wait_ns += perf_counter_ns() - asked_ns

    def give_back(self, connection: Wire) -> None:
        """Let the next caller have it; one with an open transaction or a fault is replaced."""
        self._lent.discard(connection)
        if self._closed or connection.is_closed() or connection.is_in_transaction():
            connection.terminate()
            self._return(None)
        else:
            self._return(connection)

    def _return(self, connection: Wire | None) -> None:
        self._free.insert(0 if connection is None else len(self._free), connection)
        self._turns.release()

    async def _connect(self) -> Wire:
        try:
            connection: Wire = await asyncpg.connect(
                self._url,
                timeout=CONNECT_S_MAX,
                server_settings=self._settings,
                connection_class=Wire,
            )
            return connection
        except (asyncpg.exceptions.ClientConfigurationError, ValueError) as error:
            raise UsageError(
                f"that is no address of a PostgreSQL database ({error})",
                "write it like postgresql://user@host/database",
            ) from error
        except Exception as error:
            raise typed_error(error, may_have_happened=False) from error

    async def run(self, connection: Wire, work: Work[T], *, commits: bool) -> T:
        """`work` on `connection`, waited out. `commits`: a lost connection leaves it in doubt."""
        started_ns = perf_counter_ns()
        self._busy.add(connection)
        try:
            return await uncancelled(work(connection))
        except Exception as error:
            if self._closed and connection.is_closed():
                raise StoreUnavailable(
                    "the database connection is closed", "open the database again"
                ) from error
            raise typed_error(error, may_have_happened=commits) from error
        finally:
            self._busy.discard(connection)
            if not self._busy:
                self._idle.set()
            timings = CURRENT.get()
            if timings is not None:
                timings.store_ns += perf_counter_ns() - started_ns
                timings.store_accesses += 1

    async def once(self, work: Work[T], *, commits: bool) -> T:
        """`work`, which leaves no transaction open, on any connection."""
        connection = await self.borrow()
        try:
            return await self.run(connection, work, commits=commits)
        finally:
            self.give_back(connection)

    async def close(self) -> None:
        """Close every connection; statements under way are finished first."""
        self._closed = True
        self._idle.clear()
        for connection in self._lent - self._busy:
            connection.terminate()  # its transaction ends, and with it what others may wait for
        if self._busy:
            await self._idle.wait()
        for connection in self._lent:
            connection.terminate()
        for free in self._free:
            if free is not None:
                # Where the server is gone already, so is the connection.
                with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await free.close(timeout=CONNECT_S_MAX)
