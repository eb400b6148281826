"""An asyncpg connection that prepares a statement once, and sends BEGIN in the same trip as it.

A round trip costs more than most statements do, and BEGIN alone tells the server nothing that it
must know sooner: locks and snapshots come with the first statement after it.
"""

from struct import pack
from typing import Any

from asyncpg import Connection
from asyncpg.prepared_stmt import PreparedStatement

from engine.ports import Level

# The store's connections are at READ COMMITTED unless told otherwise, and to tell costs time.
_BEGIN: dict[Level, str] = {
    "read-committed": "BEGIN",
    "repeatable-read": "BEGIN ISOLATION LEVEL REPEATABLE READ",
    "serializable": "BEGIN ISOLATION LEVEL SERIALIZABLE",
}
LEVELS = frozenset(_BEGIN)


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + pack("!i", len(body) + 4) + body


def _unsynced(text: str) -> bytes:
    """Parse, Bind and Execute of a statement without parameters, and no Sync.

    The server answers at the next Sync, which is the following statement's. asyncpg passes over the
    answers "parsed" and "bound", and of several "complete" keeps the last. (Message formats:
    https://www.postgresql.org/docs/18/protocol-message-formats.html)
    """
    return (
        _message(b"P", b"\0" + text.encode() + b"\0" + pack("!h", 0))
        + _message(b"B", b"\0\0" + pack("!hhh", 0, 0, 0))
        + _message(b"E", b"\0" + pack("!i", 0))
    )


_UNSYNCED_BEGIN = {level: _unsynced(text) for level, text in _BEGIN.items()}


class Wire(Connection):  # type: ignore[misc]
    """A connection of the pool. `rows` is what the store's statements are sent with."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepared: dict[str, PreparedStatement] = {}
        self._level: Level | None = None

    @property
    def is_to_begin(self) -> bool:
        """A transaction was begun of which the server has not been told yet."""
        return self._level is not None

    def begin_with_next(self, level: Level) -> None:
        """Whatever `rows` sends next begins a transaction of that level."""
        self._level = level

    def forget_begin(self) -> None:
        """Nothing was sent in the transaction, and nothing will be."""
        self._level = None

    async def rows(self, text: str, *parameters: object) -> list[Any]:
        """The rows of one statement. Each text is prepared once; there must be few of them."""
        statement, level = self._prepared.get(text), self._level
        self._level = None
        if statement is None:
            if level is not None:
                # Alone: asyncpg prepares without a Sync too, and that would come before BEGIN.
                await self.execute(_BEGIN[level])
            statement = self._prepared[text] = await self.prepare(text)
        elif level is not None:
            # Nothing comes between the two: up to its Sync `_run` does not wait.
            self._transport.write(_UNSYNCED_BEGIN[level])
        try:
            return await self._run(statement, parameters)
        except BaseException:
            if level is not None and not self.is_in_transaction():
                # It was not sent, and BEGIN hangs in the air.
                self.terminate()
            raise

    async def _run(self, statement: PreparedStatement, parameters: tuple[object, ...]) -> list[Any]:
        # `PreparedStatement.fetch` without its checks, which cost a quarter as much again.
        return await self._protocol.bind_execute(  # type: ignore[no-any-return]
            statement._state, parameters, "", 0, False, None
        )
