"""The gated world: the same steps on a real SQLite file, each one waiting for its permission.

Every client is an asyncio task that parks before each step. The controller lets one go and waits
until every task has parked again or ended. A cancellation whose answer is lost is a real one: the
task is cancelled while its statement runs, and the store has to wait that statement out.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, Self

from engine.errors import WalletraceError
from engine.explore.faults import How, told
from engine.explore.loop import NeedsLoop
from engine.explore.model import announce, stepping
from engine.explore.stage import Lane, Stage
from engine.explore.steps import Step, SteppedStore
from engine.explore.world import Ending, Setting, raise_the_curtain
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
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[Lane, asyncio.Task[None]] = {}
        self._permits: dict[Lane, asyncio.Future[How]] = {}
        self._sessions: dict[Lane, list[Store]] = {}
        self._results: dict[Lane, Any] = {}
        self._takers: dict[str, Lane] = {}
        self._run_out: set[str] = set()
        self._settled = asyncio.Event()
        self._failure: Exception | NeedsLoop | None = None
        self._asked: dict[Lane, Store | None] = {}
        self.stage = Stage(partial(self._ask, None), self._get_current, self._launch)
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
                return self._unlocked(lane) and (free or key in self._run_out)
            case "begin":
                waits = step.args[0] == "immediate" and not step.options
                return not waits or self._unlocked(lane)
            case "write" | "give" | "decide" | "guarded" | "group":
                return lane.in_transaction or self._unlocked(lane)
        return True

    def in_transaction(self, lane: Lane) -> bool:
        return lane.in_transaction

    def holds_lease(self, lane: Lane) -> bool:
        return any(self._takers[key] is lane for key in self._leases())

    async def advance(self, lane: Lane, how: How) -> Any:
        self._results.pop(lane, None)
        assert lane.pending is not None
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
            await self._hang_up(lane)
            await self.expire(lane)
        self._house.crashed(number)

    async def sweep(self, number: int) -> None:
        self._house.swept(number)

    async def expire(self, lane: Lane) -> None:
        # The row is changed when somebody asks for the lease: now another may be writing.
        self._run_out |= {key for key in self._leases() if self._takers[key] is lane}

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
        open_ = [f"transaction of {lane.name}" for lane in self.stage.lanes if lane.in_transaction]
        return Ending(
            sqlite_statements.balances(probe),
            tuple(sqlite_statements.log_rows(probe, None, 0, None)),
            tuple(held + [f"lease on {key}" for key in self._leases()] + open_),
        )

    def _session(self) -> Store:
        session = self._live.database.session()
        self._sessions.setdefault(self._get_current(), []).append(session)
        return SteppedStore(partial(self._ask, session), session.dialect)

    def _get_current(self) -> Lane:
        return _LANE.get()

    def _ask(self, session: Store | None, step: Step) -> Awaitable[Any]:
        self._asked[self._get_current()] = session
        return self._announce(step)

    def _announce(self, step: Step) -> Awaitable[Any]:
        return announce(step)

    def _resumed(self, resume: Callable[[], Step]) -> Step:
        return stepping(resume)

    def _launch(self, lane: Lane, work: Coroutine[Any, Any, None]) -> None:
        async def play() -> None:
            _LANE.set(lane)
            try:
                await self._drive(lane, work)
            except (Exception, NeedsLoop) as error:
                self._failure = error
            finally:
                lane.ended = True
                lane.pending = None
                self._settled.set()

        self._tasks[lane] = self._loop.create_task(play())

    async def _drive(self, lane: Lane, work: Coroutine[Any, Any, None]) -> None:
        """Take the steps of `work`, which is driven by hand: it sees no event loop of ours."""
        resume: Callable[[], Step] = partial(work.send, None)
        while True:
            try:
                step = self._resumed(resume)
            except StopIteration:
                return
            try:
                result = await self._step(self._asked.get(lane), step)
            except (Exception, asyncio.CancelledError) as error:
                resume = partial(work.throw, error)
            else:
                resume = partial(work.send, result)

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
            result = self._results[lane] = await self._effect(lane, session, step, how)
        except Exception as error:
            self._results[lane] = error
            if how is not How.UNHEARD:
                raise
        if unheard := told(how):
            raise unheard
        return result

    async def _effect(self, lane: Lane, session: Store | None, step: Step, how: How) -> Any:
        if how is How.DROP:
            await self._hang_up(lane)
        if how is not How.UNHEARD and (refusal := told(how)):
            raise refusal
        match step.kind:
            case "invoke" | "sweep" | "backoff":
                return None
            case "acquire":
                step.args[0].held_by = lane.name
                return None
            case "cache_get" | "cache_put":
                verb = getattr(step.args[0], step.kind.removeprefix("cache_"))
                return await verb(*step.args[1:])
            case "take" if not lane.in_transaction:
                self._take(lane, step.args[0])
        begun = step.kind == "begin"
        try:
            return await getattr(session, step.kind)(*step.args, **dict(step.options))
        except WalletraceError:
            begun = False  # one that was cancelled has begun
            raise
        finally:
            if step.kind in ("begin", "commit", "rollback"):
                lane.in_transaction = begun

    def _take(self, lane: Lane, key: str) -> None:
        """Only a lease that is free is ever taken, and nobody writes meanwhile."""
        if key in self._run_out:
            self._run_out.remove(key)
            self._live.probe.execute("UPDATE leases SET expires_ms = 0 WHERE key = ?", (key,))
        self._takers[key] = lane

    async def _hang_up(self, lane: Lane) -> None:
        """The lane's connection is lost, and its transaction with it; its leases stay."""
        for session in self._sessions.get(lane, ()):
            await session.rollback()
        lane.in_transaction = False

    def _leases(self) -> list[str]:
        """The keys of leases that are held and have not run out."""
        held = self._live.probe.execute("SELECT key FROM leases WHERE owner IS NOT NULL")
        return sorted({key for (key,) in held.fetchall()} - self._run_out)

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
