"""One hop: plain work on a sqlite3 connection, in the thread that owns it and always waited out.

A statement that has been sent is waited for also when its caller is cancelled: a lock released
before an abandoned statement lands would exclude nobody.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter_ns
from typing import TypeVar

import aiosqlite

from engine.errors import StoreBusy, StoreFull, StoreUnavailable
from engine.stores.uncancelled import wait_out
from engine.timings import CURRENT

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


def typed_error(error: Exception) -> Exception:
    """The typed error for what sqlite3 or aiosqlite raised; others come back unchanged."""
    # aiosqlite says "Connection closed" before a close has ended, "no active connection" after it.
    if isinstance(error, ValueError) and str(error) in (
        "Connection closed",
        "no active connection",
    ):
        return StoreUnavailable("the database connection is closed", "open the database again")
    if not isinstance(error, sqlite3.Error):
        return error
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy(f"the database is busy ({error})", "try again")
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(f"no room left for the database ({error})", "free some disk space")
    return StoreUnavailable(f"the database failed ({error})", "check the file and its disk")


async def connected(connection: aiosqlite.Connection) -> None:
    """Open `connection`, or leave nothing of it behind."""
    try:
        await connection
    except BaseException:
        # Its thread has been told to end and still speaks to this loop, which may close next.
        connection._thread.join()
        raise


async def hop(connection: aiosqlite.Connection, work: Work[T], asked_ns: int = 0) -> T:
    """Run `work` in the connection's thread and note in the call's Timings how long that took."""
    started_ns = 0

    def timed() -> T:
        nonlocal started_ns
        started_ns = perf_counter_ns()
        return work(connection._conn)

    try:
        # aiosqlite has no public way to run several statements in one hop; this method is the one
        # that all its public methods use.
        return await connection._execute(timed)  # type: ignore[no-untyped-call,no-any-return]
    except asyncio.CancelledError:
        # The thread works first in, first out: once this has passed, the statement has landed.
        # Waiting like this only when cancelled spares every other hop a task of its own.
        with suppress(ValueError):  # closed meanwhile, which waits for the thread too
            await wait_out(connection._execute(lambda: None))  # type: ignore[no-untyped-call]
        raise
    except (sqlite3.Error, ValueError) as error:
        raise typed_error(error) from error
    finally:
        timings = CURRENT.get()
        if timings is not None and asked_ns and started_ns:
            timings.store_ns += perf_counter_ns() - asked_ns
            timings.store_wait_ns += started_ns - asked_ns
            timings.store_accesses += 1
