"""What the explorer asks of a live database: one statement at a time, and who waits for it."""

from collections.abc import Mapping
from typing import Protocol

from engine.isolation.levels import IsolationLevel
from engine.isolation.scripts import Answer, Opening, Parameters

SESSIONS_MAX = 3


class Live(Protocol):
    """A table `test` (id, value) of our own, and `SESSIONS_MAX` connections to it."""

    @property
    def database(self) -> str:
        """The database and its version, for people."""
        ...

    async def reset(self, level: IsolationLevel, opening: Opening) -> None:
        """No transaction is open, and the table holds `opening`; what comes is at `level`."""
        ...

    async def go(
        self, session: int, sql: str, parameters: Parameters, *, outside: bool
    ) -> Mapping[int, Answer]:
        """Let `session` send one statement, and wait until nothing more will happen by itself.

        The first one that is not `outside` begins its transaction. The answer holds every session
        that was answered meanwhile: one that is missing waits for another, and is answered once
        that one has gone on. An answer with an error ended the session's transaction: it was
        rolled back. With its transaction a session gives back all locks that it has.
        """
        ...

    async def final(self) -> dict[int, int]:
        """The committed values, by id."""
        ...
