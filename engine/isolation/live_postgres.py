"""PostgreSQL as a live database: who waits for whom is asked of the server, never guessed.

A statement that is not answered at once is looked up with `pg_blocking_pids`. It is taken as
waiting only where all that it waits for stand still: idle sessions of ours, or others that wait.
So a deadlock, which the server itself will end, is waited out.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg

from engine.errors import StoreBusy, StoreUnavailable
from engine.isolation.levels import IsolationLevel
from engine.isolation.live import SESSIONS_MAX
from engine.isolation.scripts import Answer, Opening, Parameters
from engine.stores.postgres_errors import typed_error

SCHEMA = "walletrace_isolation"
OURS = "made by walletrace isolation, which drops it when it ends"
# One plan whatever the statistics say; nobody needs what we write after a power cut.
SETTINGS = {
    "application_name": "walletrace isolation",
    "search_path": SCHEMA,
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "synchronous_commit": "off",
}
# Two of us never work in one database at a time. The number is any that others will not take.
ADVISORY_LOCK = 0x77616C6C65747261
LOOK_EVERY_S = 0.001
SETTLE_S_MAX = 30.0
CONNECT_S_MAX = 10.0
_ENDINGS = ("COMMIT", "ROLLBACK")
_CONFLICTS = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


@asynccontextmanager
async def postgres_live(url: str) -> "AsyncIterator[PostgresLive]":
    """Connections to the database at `url`, and a schema of our own in it, dropped at the end.

    StoreUnavailable, StoreForbidden, StoreBusy if another one works there.
    """
    try:
        async with AsyncExitStack() as undo:
            admin = await undo.enter_async_context(_connection(url))
            await undo.enter_async_context(_schema(admin))
            sessions = [
                await undo.enter_async_context(_connection(url)) for _ in range(SESSIONS_MAX)
            ]
            live = PostgresLive(admin, sessions, decides_victim=await _no_deadlock_check(sessions))
            undo.push_async_callback(live.hang_up)
            yield live
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise typed_error(error, may_have_happened=False) from error


@asynccontextmanager
async def _connection(url: str) -> "AsyncIterator[asyncpg.Connection[Any]]":
    connection = await asyncpg.connect(url, server_settings=SETTINGS, timeout=CONNECT_S_MAX)
    try:
        yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def _schema(admin: "asyncpg.Connection[Any]") -> AsyncIterator[None]:
    if not await admin.fetchval("SELECT pg_try_advisory_lock($1)", ADVISORY_LOCK):
        raise StoreBusy("another walletrace isolation works in this database", "wait for its end")
    left = await admin.fetchrow(
        "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = $1", SCHEMA
    )
    if left is not None and left[0] != OURS:
        raise StoreUnavailable(
            f"this database has a schema {SCHEMA} that is not ours", "use another database"
        )
    await admin.execute(
        f"""
        DROP SCHEMA IF EXISTS {SCHEMA} CASCADE;
        CREATE SCHEMA {SCHEMA};
        COMMENT ON SCHEMA {SCHEMA} IS '{OURS}';
        CREATE TABLE test (id int PRIMARY KEY, value int NOT NULL) WITH (autovacuum_enabled = off)
        """
    )
    try:
        yield
    finally:
        await admin.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


async def _no_deadlock_check(sessions: "list[asyncpg.Connection[Any]]") -> bool:
    """Whoever waits first never looks for a deadlock. False if the role may not say so.

    Then the server's `deadlock_timeout` passes before a deadlock is found, by whoever looks first.
    """
    try:
        for session in sessions:
            await session.execute(f"SET deadlock_timeout = '{2 * SETTLE_S_MAX:.0f}s'")
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True


class PostgresLive:
    """One connection looks on and resets; each session has its own."""

    def __init__(
        self,
        admin: "asyncpg.Connection[Any]",
        sessions: "list[asyncpg.Connection[Any]]",
        *,
        decides_victim: bool,
    ) -> None:
        version = admin.get_server_version()  # 18.6 is major 18, micro 6
        self.database = f"PostgreSQL {version.major}.{version.micro}"
        self._admin = admin
        self._sessions = sessions
        self._decides_victim = decides_victim
        self._pids = [session.get_server_pid() for session in sessions]
        self._prepared: list[dict[str, Any]] = [{} for _ in sessions]
        self._unended: set[int] = set()
        self._flying: dict[int, asyncio.Task[Answer]] = {}

    async def reset(self, level: IsolationLevel, opening: Opening) -> None:
        self._level = level
        await self.hang_up()
        rows = ", ".join(f"({key}, {value})" for key, value in opening)
        # A new file each time: pages, and the locks on them, are the same in every run.
        await self._admin.execute(f"TRUNCATE test; INSERT INTO test VALUES {rows}")

    async def go(
        self, session: int, sql: str, parameters: Parameters, *, outside: bool
    ) -> Mapping[int, Answer]:
        before = []
        self._unended.add(session)
        if not (outside or self._sessions[session].is_in_transaction()):
            before.append(str(self._level.begin))
        if self._flying and self._decides_victim and not outside:
            # Only who comes when others wait already can close a circle: that one is the victim.
            before.append("SET LOCAL deadlock_timeout = '1ms'")
        work = self._send(session, "; ".join(before), sql, parameters)
        self._flying[session] = asyncio.create_task(work)
        return await self._settle(session)

    async def final(self) -> dict[int, int]:
        return dict(await self._admin.fetch("SELECT id, value FROM test"))

    async def hang_up(self) -> None:
        """Give up what has not been answered, and end what has not ended: a run was cut short."""
        for task in self._flying.values():
            task.cancel()
        await asyncio.gather(*self._flying.values(), return_exceptions=True)
        self._flying.clear()
        for session in tuple(self._unended):
            await self._end(session, "ROLLBACK")

    async def _send(self, session: int, before: str, sql: str, parameters: Parameters) -> Answer:
        connection, prepared = self._sessions[session], self._prepared[session]
        try:
            if before:
                await connection.execute(before)
            if sql in _ENDINGS:
                await self._end(session, sql)
                return Answer()
            if sql not in prepared:
                prepared[sql] = await connection.prepare(sql)
            rows = await prepared[sql].fetch(*parameters)
        except _CONFLICTS as error:
            await self._end(session, "ROLLBACK")
            return Answer(error=str(error.sqlstate))
        verb, *_, number = prepared[sql].get_statusmsg().split()
        if verb != "SELECT":
            return Answer(changed=int(number))
        # A lock is granted by a function, whose answer is empty.
        return Answer(None if sql.startswith("SELECT pg_") else tuple(map(tuple, rows)))

    async def _end(self, session: int, how: str) -> None:
        # A lock that is held beyond the transaction is given back in the same step.
        await self._sessions[session].execute(f"{how}; SELECT pg_advisory_unlock_all()")
        self._unended.remove(session)

    async def _settle(self, first: int) -> Mapping[int, Answer]:
        """Wait until everybody has been answered or waits for somebody who stands still."""
        answers: dict[int, Answer] = {}
        give_up_s = asyncio.get_running_loop().time() + SETTLE_S_MAX
        while self._flying:
            tasks = list(self._flying.values())
            await asyncio.wait(tasks, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
            for session in list(self._flying):
                if self._flying[session].done():
                    answers[session] = await self._flying.pop(session)
            if await self._all_wait():
                break
            if asyncio.get_running_loop().time() > give_up_s:
                raise StoreBusy(
                    f"a statement has waited {SETTLE_S_MAX:.0f} s, for nobody of ours",
                    "see who else works in this database",
                )
        # Who was let go comes first, for the others were answered because of that. Their answers
        # may well have come sooner.
        return {one: answers[one] for one in sorted(answers, key=lambda one: (one != first, one))}

    async def _all_wait(self) -> bool:
        if not self._flying:
            return True
        asked = [self._pids[session] for session in self._flying]
        found = await self._admin.fetch(
            "SELECT pid, pg_blocking_pids(pid) FROM unnest($1::int[]) AS pid", asked
        )
        still = set(self._pids) - set(asked)
        waiting = {pid: set(by) for pid, by in found if by}
        while more := {pid for pid, by in waiting.items() if pid not in still and by <= still}:
            still |= more
        return still.issuperset(asked)
