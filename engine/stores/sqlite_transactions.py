"""How work becomes a transaction on one sqlite3 connection, in the connection's thread."""

import sqlite3
from time import perf_counter_ns
from typing import TypeVar

from engine.errors import LockTaken
from engine.ports import Level
from engine.stores.sqlite_hop import Work
from engine.timings import Timings

T = TypeVar("T")


def begin(connection: sqlite3.Connection, level: Level, *, nowait: bool) -> None:
    """BEGIN; with `nowait` it does not wait for who is writing, but raises LockTaken."""
    if not nowait:
        connection.execute(f"BEGIN {level}")
        return
    ((usual_ms,),) = connection.execute("PRAGMA busy_timeout").fetchall()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute(f"BEGIN {level}")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        raise LockTaken("somebody else is writing", "try again") from None
    finally:
        connection.execute(f"PRAGMA busy_timeout = {usual_ms}")


def alone(connection: sqlite3.Connection, work: Work[T], timings: Timings | None) -> T:
    """`work` as a transaction of its own; noted is how long another process's lock took."""
    asked_ns = perf_counter_ns()
    connection.execute("BEGIN IMMEDIATE")
    if timings is not None:
        timings.store_wait_ns += perf_counter_ns() - asked_ns
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def whole(connection: sqlite3.Connection, work: Work[T]) -> T:
    """`work` inside the open transaction, undone alone if it raises."""
    connection.execute("SAVEPOINT whole")
    try:
        return work(connection)
    except BaseException:
        connection.execute("ROLLBACK TO whole")
        raise
    finally:
        connection.execute("RELEASE whole")
