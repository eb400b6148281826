"""The gated world: the same steps on a real database, each one waiting for its permission.

Every client is an asyncio task that parks before each step. The controller lets one go and waits
until every task has parked again or ended. A cancellation whose answer is lost is a real one: the
task is cancelled while its statement runs, and the store has to wait that statement out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any, Self

from engine.errors import WalletraceError
from engine.explore.faults import How, told
from engine.explore.live import Live
from engine.explore.loop import NeedsLoop, by_hand
from engine.explore.model import announce
from engine.explore.stage import Lane, Stage
from engine.explore.steps import Step, SteppedStore
from engine.explore.world import Ending, Setting, raise_the_curtain
from engine.ports import Store

_LANE: ContextVar[Lane] = ContextVar("walletrace_lane")


# Steps, and how they are taken, for which the database is asked.
_ASKS_NOTHING = frozenset({"invoke", "sweep", "backoff", "acquire", "cache_get", "cache_put"})
_TAKES_EFFECT = frozenset({How.GO, How.LOSE, How.UNHEARD})


class GatedWorld:
    """One run of one setting on a live database. `open` resets the database."""

    def __init__(self, setting: Setting, live: Live) -> None:
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
    async def open(cls, setting: Setting, live: Live) -> Self:
        await live.reset(setting.scenario.openings)
        world = cls(setting, live)
        await world._settle()
        return world

    def ready(self, lane: Lane) -> bool:
        step = lane.pending
        assert step is not None
        match step.kind:
            case "acquire":
                return step.args[0].held_by is None
            case "take" if step.args[0] in self._leases():
                return False
        return self._live.ready(lane, step)

    def awaits(self, lane: Lane) -> str:
        return self._live.awaits(lane)

    async def locks(self, lane: Lane) -> tuple[str, ...]:
        return await self._live.locks(lane)

    def in_transaction(self, lane: Lane) -> bool:
        return lane.in_transaction

    def holds_lease(self, lane: Lane) -> bool:
        return any(self._takers[key] is lane for key in self._leases())

    async def advance(self, lane: Lane, how: How) -> Any:
        self._results.pop(lane, None)
        step, session = lane.pending, self._asked.get(lane)
        assert step is not None
        asks = how in _TAKES_EFFECT and step.kind not in _ASKS_NOTHING
        if asks:
            await self._prepare(lane, session, step)
        elif how is How.BUSY:
            await self._live.fail(lane)
        elif how is How.DROP:
            await self._hang_up(lane)
        if how is How.CANCEL:
            self._tasks[lane].cancel()
        else:
            self._permits.pop(lane).set_result(how)
        lane.pending = None
        await self._settle()
        result = self._results.get(lane)
        if asks:
            await self._live.moved(lane, step, result)
        await self._live.look(self.stage.lanes)
        return result

    async def _prepare(self, lane: Lane, session: Store | None, step: Step) -> None:
        if step.kind == "take" and not lane.in_transaction:
            key = step.args[0]
            if key in self._run_out:
                # Only now: at the time when it ran out another may have been writing.
                self._run_out.remove(key)
                await self._live.run_out(key)
            self._takers[key] = lane
        await self._live.prepare(lane, session, step)

    async def crash(self, number: int) -> None:
        struck = [lane for lane in self.stage.lanes if lane.instance == number and not lane.ended]
        for lane in struck:
            lane.dead = True
            lane.pending = None
            self._tasks[lane].cancel()
        await self._settle()
        for lane in struck:
            await self._hang_up(lane)
            await self._roll_back(lane)
            await self.expire(lane)
        self._house.crashed(number)
        await self._live.look(self.stage.lanes)

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
        for lane in self._sessions:
            await self._roll_back(lane)

    async def balances(self) -> Mapping[str, int]:
        rows = await self._live.balances()
        return {account: row.balance for account, row in rows.items()}

    async def ending(self) -> Ending:
        held = [f"mutex {m.name}" for m in self.stage.mutexes if m.held_by is not None]
        leases = [f"lease on {key}" for key in self._leases()]
        open_ = [f"transaction of {lane.name}" for lane in self.stage.lanes if lane.in_transaction]
        rows, log = await self._live.books(self.stage.lanes)
        return Ending(rows, log, tuple(held + leases + open_))

    def _session(self) -> Store:
        session = self._live.session()
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
        return by_hand(resume)

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
            result = await self._effect(lane, session, step, how)
            if how is How.LOSE:
                # A verb that asked the database nothing has not met its cancellation yet.
                await asyncio.sleep(0)
            self._results[lane] = result
        except Exception as error:
            self._results[lane] = error
            if how is not How.UNHEARD:
                raise
        if unheard := told(how):
            raise unheard
        return result

    async def _effect(self, lane: Lane, session: Store | None, step: Step, how: How) -> Any:
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
        begun = step.kind == "begin"
        try:
            return await getattr(session, step.kind)(*step.args, **dict(step.options))
        except WalletraceError:
            begun = False  # one that was cancelled has begun
            raise
        finally:
            if step.kind in ("begin", "commit", "rollback"):
                lane.in_transaction = begun

    async def _hang_up(self, lane: Lane) -> None:
        """The lane's connection is lost, and with it its transaction; its leases stay."""
        await self._live.hang_up(lane, self._sessions.get(lane, ()))

    async def _roll_back(self, lane: Lane) -> None:
        for session in self._sessions.get(lane, ()):
            await session.rollback()
        lane.in_transaction = False

    def _leases(self) -> list[str]:
        """The keys of leases that are held and have not run out."""
        return sorted(self._live.leases() - self._run_out)
