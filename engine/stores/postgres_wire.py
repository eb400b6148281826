"""An asyncpg connection that prepares a statement once, and sends BEGIN in the same trip as it.

A round trip costs more than most statements do, and BEGIN alone tells the server nothing that it
must know sooner: locks and snapshots come with the first statement after it.
"""

from struct import pack
from typing import Any

from asyncpg import Connection, InterfaceError, InternalClientError
from asyncpg.prepared_stmt import PreparedStatement

from engine.ports import Level

_BEGIN: dict[Level, bytes] = {
    "read-committed": b"BEGIN ISOLATION LEVEL READ COMMITTED",
    "repeatable-read": b"BEGIN ISOLATION LEVEL REPEATABLE READ",
    "serializable": b"BEGIN ISOLATION LEVEL SERIALIZABLE",
}


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + pack("!i", len(body) + 4) + body


def _unsynced(text: bytes) -> bytes:
    """Parse, Bind and Execute of a statement that has no parameters, without a Sync.

    The server answers at the next Sync, the following statement's. asyncpg passes over the answers
    "parsed" and "bound", and keeps the last "complete". (Message formats: PostgreSQL 18, 54.7.)
    """
    return (
        _message(b"P", b"\0" + text + b"\0" + pack("!h", 0))
        + _message(b"B", b"\0\0" + pack("!hhh", 0, 0, 0))
        + _message(b"E", b"\0" + pack("!i", 0))
    )


_AHEAD = {level: _unsynced(text) for level, text in _BEGIN.items()}
LEVELS = frozenset(_BEGIN)


class Wire(Connection):  # type: ignore[misc]
    """A connection of the pool. `rows` is what the store's statements are sent with."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepared: dict[str, PreparedStatement] = {}
        self._ahead = b""

    @property
    def is_to_begin(self) -> bool:
        """A transaction was begun of which the server has not been told yet."""
        return bool(self._ahead)

    def begin_with_next(self, level: Level) -> None:
        """Whatever `rows` sends next begins a transaction of that level."""
        self._ahead = _AHEAD[level]

    def forget_begin(self) -> None:
        """Nothing was sent in the transaction, and nothing will be."""
        self._ahead = b""

    async def rows(self, text: str, *parameters: object) -> list[Any]:
        """The rows of one statement. Each text is prepared once; there must be few of them."""
        statement = self._prepared.get(text)
        if statement is None:
            statement = self._prepared[text] = await self.prepare(text)
        if not self._ahead:
            return await self._rows(statement, parameters)
        # Nothing comes between the two: up to where its messages are sent `_rows` does not wait.
        self._transport.write(self._ahead)
        self._ahead = b""
        try:
            return await self._rows(statement, parameters)
        except (InterfaceError, InternalClientError):  # they were not sent, and BEGIN hangs in the air
            self.terminate()
            raise

    async def _rows(self, statement: PreparedStatement, parameters: tuple[object, ...]) -> list[Any]:
        return await self._protocol.bind_execute(statement._state, parameters, "", 0, False, None)
