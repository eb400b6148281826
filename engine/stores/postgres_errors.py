"""What PostgreSQL, asyncpg or the network raise, as walletrace's own errors.

A server that reports an error has undone the statement. A connection that was lost says nothing:
whether an autocommit statement or a COMMIT has happened is then unknown.
"""

import asyncpg

from engine.errors import (
    DeadlockVictim,
    LockTimeout,
    SerializationFailed,
    StoreBusy,
    StoreForbidden,
    StoreFull,
    StoreUnavailable,
    SystemFault,
    Undone,
)

# Classes of SQLSTATE in which the connection is gone (https://www.postgresql.org/docs/18,
# appendix A): connection exceptions, idle for too long inside a transaction, operator intervention,
# and outcomes that nobody knows.
_LOST = ("08", "25P03", "57P", "40003")

_Meaning = tuple[type[SystemFault], str, str]
_BY_STATE: dict[str, _Meaning] = {
    "40001": (SerializationFailed, "no serial order explains the transaction", "try again"),
    "40P01": (DeadlockVictim, "the transaction was undone to end a deadlock", "try again"),
    "55P03": (LockTimeout, "a lock was not granted in time", "try again"),
    "57014": (StoreBusy, "the statement was stopped", "try again"),
    "53100": (StoreFull, "no room left for the database", "free some disk space"),
    "53300": (StoreBusy, "the server takes no more connections", "use fewer, or try again"),
    "42501": (StoreForbidden, "this role may not do that", "grant the right, or use another role"),
    "25006": (StoreForbidden, "the database is read only", "name one that can be written"),
    "28000": (StoreForbidden, "the server refused the login", "check role and password"),
    "28P01": (StoreForbidden, "the server refused the login", "check role and password"),
    # Another call used the same key, or made the same wallet, after this one had looked.
    "23505": (SerializationFailed, "another call was quicker", "try again"),
}


def typed_error(error: Exception, *, may_have_happened: bool) -> Exception:
    """The typed error for `error`, or itself if it is none of theirs.

    `may_have_happened`: whether the work that a lost connection interrupted commits by itself.
    """
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        if not state.startswith(_LOST):
            return _reported(error, state)
    elif not isinstance(
        error, asyncpg.InterfaceError | asyncpg.InternalClientError | OSError | TimeoutError
    ):
        return error
    kind = StoreUnavailable if may_have_happened else Undone
    return kind(f"no connection to the database ({_said(error)})", "try again")


def _reported(error: asyncpg.PostgresError, state: str) -> SystemFault:
    other: _Meaning = (Undone, "the database failed", "check the server's log")
    kind, what, way_out = _BY_STATE.get(state, other)
    return kind(f"{what} ({_said(error)})", way_out)


def _said(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
