"""The gated world: the same steps on a real SQLite file, each one waiting for its permission.

Every client is an asyncio task that parks before each step. The controller lets one go and waits
until every task has parked again or ended. A cancellation whose answer is lost is a real one: the
task is cancelled while its statement runs, and the store has to wait that statement out.
"""

import asyncio
import sqlite3
from collections.abc import Coroutine, Mapping
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, Self

from engine.explore.stage import Lane, Stage
from engine.explore.steps import Step, SteppedStore
from engine.explore.world import Ending, How, Setting, raise_the_curtain
from engine.ports import Store
from engine.stores import sqlite_statements
from engine.stores.sqlite import SqliteDatabase

_LANE: ContextVar[Lane] = ContextVar("walletrace_lane")


class LiveDatabase:
    """A SQLite file for gated runs, kept open from run to run, and a probe that looks on.

    No verb ever waits inside SQLite: what would wait is not let go (busy timeout 0).
    """

    def __init__(self, database: SqliteDatabase, probe: sqlite3.Connection) -> None:
        self.database = database
        self.probe = probe

    @classmethod
    async def open(cls, path: Path, *, connections: int) -> Self:
        database = await SqliteDatabase.open(
            path,
            connections=connections,
            synchronous="OFF",
            busy_timeout_s=0.0,
            lease_s=3600.0,
            now_ms=lambda: 0,
        )
        return cls(database, sqlite3.connect(path, isolation_level=None, timeout=0.0))

    async def close(self) -> None:
        self.probe.close()
        await self.database.close()


class GatedWorld:
    """One run of one setting on a live database. `open` resets the database."""

    def __init__(self, setting: Setting, live: LiveDatabase) -> None:
        self._live = live
        self._tasks: dict[Lane, asyncio.Task[None]] = {}
        self._permits: dict[Lane, asyncio.Future[How]] = {}
        self._sessions: dict[Lane, list[Store]] = {}
        self._results: dict[Lane, Any] = {}
        self._settled = asyncio.Event()
        self._failure: Exception | None = None
        self.stage = Stage(partial(self._step, None), _LANE.get, self._launch)
        self._house = raise_the_curtain(setting, self.stage, self._session)

    @classmethod
    async def open(cls, setting: Setting, live: LiveDatabase) -> Self:
        await live.database.reset(setting.scenario.openings)
        world = cls(setting, live)
        await world._settle()
        return world

    def ready(self, lane: Lane) -> bool:
        step = lane.pending
        assert step is not None
        match step.kind:
            case "acquire":
                return step.args[0].held_by is None
            case "take":
                key = step.args[0]
                free = sqlite_statements.lease_is_free(self._live.probe, key, 0)
                return self._unlocked(lane) and (free or self._outlived(key))
            case "begin":
                return step.args[0] == "deferred" or self._unlocked(lane)
            case "write" | "give" | "decide":
                return lane.in_transaction or self._unlocked(lane)
        return True

    async def advance(self, lane: Lane, how: How) -> Any:
        self._results.pop(lane, None)
        step = lane.pending
        assert step is not None
        if step.kind == "take" and self._outlived(step.args[0]):
            # Time passes a dead holder by: its lease has run out when somebody asks for it.
            self._live.probe.execute(
                "UPDATE leases SET expires_ms = 0 WHERE key = ?", (step.args[0],)
            )
        if how is How.CANCEL:
            self._tasks[lane].cancel()
        else:
            self._permits.pop(lane).set_result(how)
        lane.pending = None
        await self._settle()
        return self._results.get(lane)

    async def crash(self, number: int) -> None:
        struck = [lane for lane in self.stage.lanes if lane.instance == number and not lane.ended]
        for lane in struck:
            lane.dead = True
            lane.pending = None
            self._tasks[lane].cancel()
        await self._settle()
        for lane in struck:
            for session in self._sessions.get(lane, ()):
                await session.rollback()
        self._house.crashed(number)

    async def dispose(self) -> None:
        # Work that is spawned while others unwind ends here too.
        while unfinished := [lane for lane, task in self._tasks.items() if not task.done()]:
            for lane in unfinished:
                lane.dead = True
                self._tasks[lane].cancel()
            tasks = [self._tasks[lane] for lane in unfinished]
            await asyncio.gather(*tasks, return_exceptions=True)
        for sessions in self._sessions.values():
            for session in sessions:
                await session.rollback()

    async def balances(self) -> Mapping[str, int]:
        rows = sqlite_statements.balances(self._live.probe)
        return {account: row.balance for account, row in rows.items()}

    async def ending(self) -> Ending:
        probe = self._live.probe
        held = [f"mutex {m.name}" for m in self.stage.mutexes if m.held_by is not None]
        keys = probe.execute("SELECT key FROM leases WHERE owner IS NOT NULL ORDER BY key")
        leases = [key for (key,) in keys.fetchall() if not self._outlived(key)]
        open_ = [f"transaction of {lane.name}" for lane in self.stage.lanes if lane.in_transaction]
        return Ending(
            sqlite_statements.balances(probe),
            tuple(sqlite_statements.log_rows(probe, None, 0, None)),
            tuple(held + [f"lease on {key}" for key in leases] + open_),
        )

    def _session(self) -> Store:
        session = self._live.database.session()
        self._sessions.setdefault(_LANE.get(), []).append(session)
        return SteppedStore(partial(self._step, session))

    def _launch(self, lane: Lane, work: Coroutine[Any, Any, None]) -> None:
        async def play() -> None:
            _LANE.set(lane)
            try:
                await work
            except Exception as error:
                self._failure = error
            finally:
                lane.ended = True
                lane.pending = None
                self._settled.set()

        self._tasks[lane] = asyncio.get_running_loop().create_task(play())

    async def _settle(self) -> None:
        """Wait until every task has parked or ended."""
        while any(lane.pending is None and not lane.ended for lane in self.stage.lanes):
            self._settled.clear()
            await self._settled.wait()
        if self._failure is not None:
            raise self._failure

    async def _step(self, session: Store | None, step: Step) -> Any:
        """Park, and when let go take the step for real."""
        lane = _LANE.get()
        if lane.dead:
            raise asyncio.CancelledError
        permit = asyncio.get_running_loop().create_future()
        self._permits[lane] = permit
        lane.pending = step
        self._settled.set()
        how = await permit
        if how is How.LOSE:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        try:
            result = await self._effect(lane, session, step)
        except Exception as error:
            self._results[lane] = error
            raise
        self._results[lane] = result
        return result

    async def _effect(self, lane: Lane, session: Store | None, step: Step) -> Any:
        match step.kind:
            case "invoke" | "sweep" | "backoff":
                return None
            case "acquire":
                step.args[0].held_by = lane.name
                return None
            case "cache_get" | "cache_put":
                verb = getattr(step.args[0], step.kind.removeprefix("cache_"))
                return await verb(*step.args[1:])
        try:
            return await getattr(session, step.kind)(*step.args, **dict(step.options))
        finally:
            if step.kind in ("begin", "commit", "rollback"):
                lane.in_transaction = step.kind == "begin"

    def _outlived(self, key: str) -> bool:
        """The lease's holder is dead. Its owner is a call's id, which begins with its lane."""
        found = self._live.probe.execute("SELECT owner FROM leases WHERE key = ?", (key,))
        owners = {str(owner).rpartition(".")[0] for (owner,) in found.fetchall()}
        return any(lane.dead and lane.name in owners for lane in self.stage.lanes)

    def _unlocked(self, lane: Lane) -> bool:
        """SQLite's write lock is free. Only another client's open transaction can hold it."""
        if not any(other.in_transaction for other in self.stage.lanes if other is not lane):
            return True
        try:
            self._live.probe.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        self._live.probe.execute("ROLLBACK")
        return True
