"""A deadlock for real, with a victim of our choice: PostgreSQL itself undoes it.

Clients that wait for each other wait before their steps, where the server knows nothing of them.
So each of the others sends a stand-in that asks for the one lock that it lacks, behind a savepoint.
When all of them wait inside the server, the victim's own statement closes the circle, and only the
victim looks for deadlocks. Then the stand-ins are undone, and with them whatever they got.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from asyncpg import Connection

from engine.explore.row_locks import Lock

# In it the server asks nobody else whom it shall undo.
NEVER = "1h"
AT_ONCE = "1ms"
_LOCK_SQL = {
    "row": "SELECT FROM walletrace.wallets WHERE account = $1 FOR UPDATE",
    "advisory": "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
}
_INSERT_SQL = {
    "row": "INSERT INTO walletrace.wallets VALUES ($1, 0, 1)",
    "key": "INSERT INTO walletrace.idempotency_keys VALUES ($1, '', '')",
}
_WAITS = "SELECT count(*) FROM unnest($1::int[]) AS pid WHERE pg_blocking_pids(pid) <> '{}'"


class Waiter(NamedTuple):
    """Who waits in the circle, and for what; `inserted`: the holder has inserted it."""

    connection: "Connection[Any]"
    lock: Lock
    inserted: bool

    @property
    def sql(self) -> str:
        return (_INSERT_SQL if self.inserted else _LOCK_SQL)[self.lock.kind]


class Deadlock:
    """Made by `prepare`, ended by `end`; between the two the victim's statement is sent."""

    def __init__(self, probe: "Connection[Any]", others: Sequence[Waiter]) -> None:
        self._probe = probe
        self._others = others
        self._pids = [other.connection.get_server_pid() for other in others]
        self._stand_ins: list[asyncio.Task[Any]] = []

    @classmethod
    async def prepare(
        cls, probe: "Connection[Any]", victim: "Connection[Any]", others: Sequence[Waiter]
    ) -> Self:
        """All but the victim wait, and it will be the one that is undone."""
        deadlock = cls(probe, others)
        for other in others:
            await other.connection.execute("SAVEPOINT stand_in")
        deadlock._stand_ins = [
            asyncio.create_task(other.connection.fetch(other.sql, other.lock.name))
            for other in others
        ]
        while await probe.fetchval(_WAITS, deadlock._pids) < len(others):
            ended = [task for task in deadlock._stand_ins if task.done()]
            assert not ended, "a stand-in did not have to wait: nobody holds what it asked for"
        await victim.execute(f"SET LOCAL deadlock_timeout = '{AT_ONCE}'")
        return deadlock

    async def end(self) -> None:
        """The others are again where they were."""
        await self._probe.fetch(
            "SELECT pg_cancel_backend(pid) FROM unnest($1::int[]) AS pid",
            [pid for pid, task in zip(self._pids, self._stand_ins, strict=True) if not task.done()],
        )
        await asyncio.gather(*self._stand_ins, return_exceptions=True)
        for other in self._others:
            await other.connection.execute(
                "ROLLBACK TO SAVEPOINT stand_in; RELEASE SAVEPOINT stand_in"
            )
