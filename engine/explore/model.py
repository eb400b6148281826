"""The model world: coroutines driven by hand over a database in memory; no event loop, no clock."""

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from functools import partial
from typing import Any

from engine.explore.faults import CANCELS, GO, TAKES_EFFECT, How, told
from engine.explore.loop import NeedsLoop, by_hand
from engine.explore.rules import MemoryDatabase
from engine.explore.stage import Lane, Stage
from engine.explore.steps import BESIDE_DATABASE, Step, SteppedStore
from engine.explore.world import Ending, Setting, raise_the_curtain
from engine.ports import Cache

# A coroutine that goes on after so many cancellations is a bug in the code under test.
THROWS_MAX = 100


@types.coroutine
def announce(step: Step) -> Generator[Step, Any, Any]:
    """Suspend the coroutine with the step it is about to take."""
    return (yield step)


def run_now(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never has to wait."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("this coroutine had to wait")


class ModelWorld:
    """One run of one setting in the model."""

    def __init__(self, setting: Setting) -> None:
        self._database = MemoryDatabase(setting.scenario.openings, setting.dialect)
        self._coroutines: dict[Lane, Coroutine[Any, Any, None]] = {}
        self._fresh: list[Lane] = []
        self._current: Lane | None = None
        self.stage = Stage(self._announce, self._get_current, self._launch)
        self._house = raise_the_curtain(
            setting, self.stage, partial(SteppedStore, self.stage.perform, setting.dialect)
        )
        self._start_fresh()

    def ready(self, lane: Lane) -> bool:
        step = lane.pending
        assert step is not None
        if step.kind == "acquire":
            return step.args[0].held_by is None
        return self._database.ready(lane, self.stage.lanes)

    def awaits(self, lane: Lane) -> str:
        return self._database.awaits(lane)

    async def locks(self, lane: Lane) -> tuple[str, ...]:
        return self._database.locks_of(lane)

    def in_transaction(self, lane: Lane) -> bool:
        return self._database.in_transaction(lane)

    def holds_lease(self, lane: Lane) -> bool:
        return self._database.holds_lease(lane)

    async def advance(self, lane: Lane, how: How) -> Any:
        step = lane.pending
        assert step is not None
        self._current = lane
        result = self._answer(lane, step, how)
        if how is GO:
            self._resume(lane, result)
        elif how in CANCELS:
            self._resume(lane, asyncio.CancelledError())
        else:
            self._resume(lane, told(how))
        self._start_fresh()
        return result

    def _answer(self, lane: Lane, step: Step, how: How) -> Any:
        """What the step does to the world, and its result; an error is one too."""
        if how in TAKES_EFFECT:
            try:
                return self._effect(lane, step)
            except Exception as error:  # the strategy's to bear, as with a real store
                return error
        if how is How.DROP:
            self._database.hang_up(lane)
        elif how is How.BUSY:
            self._database.fail(lane)
        return told(how)

    async def sweep(self, number: int) -> None:
        self._house.swept(number)

    async def expire(self, lane: Lane) -> None:
        self._database.expire(lane)

    async def crash(self, number: int) -> None:
        for lane in self.stage.lanes:
            if lane.instance == number and not lane.ended:
                lane.dead = True
                self._current = lane
                self._unwind(lane)
                self._database.bury(lane)
        self._house.crashed(number)

    async def dispose(self) -> None:
        for lane in self.stage.lanes:
            self._current = lane
            lane.dead = True
            self._unwind(lane)

    async def balances(self) -> Mapping[str, int]:
        return {account: row.balance for account, row in self._database.tables.rows}

    async def ending(self) -> Ending:
        held = [f"mutex {m.name}" for m in self.stage.mutexes if m.held_by is not None]
        return Ending(
            dict(self._database.tables.rows),
            self._database.tables.log or (),
            tuple(held + self._database.leaked()),
        )

    def _announce(self, step: Step) -> Awaitable[Any]:
        return announce(step)

    def _get_current(self) -> Lane:
        assert self._current is not None
        return self._current

    def _launch(self, lane: Lane, work: Coroutine[Any, Any, None]) -> None:
        self._coroutines[lane] = work
        # Started only when its parent waits again, as an event loop would.
        self._fresh.append(lane)

    def _start_fresh(self) -> None:
        while self._fresh:
            self._current = lane = self._fresh.pop(0)
            self._resume(lane, None)

    def _effect(self, lane: Lane, step: Step) -> Any:
        if step.kind not in BESIDE_DATABASE:
            return self._database.perform(lane, step)
        match step.kind:
            case "acquire":
                step.args[0].held_by = lane.name
            case "cache_get" | "cache_put":
                cache: Cache = step.args[0]
                verb = cache.get if step.kind == "cache_get" else cache.put
                return run_now(verb(*step.args[1:]))
        return None

    def _resume(self, lane: Lane, given: Any) -> None:
        """Give the lane's coroutine an answer, or an exception to raise."""
        lane.pending = None
        work = self._coroutines[lane]
        resume = work.throw if isinstance(given, BaseException) else work.send
        try:
            lane.pending = self._resumed(lane, resume, given)
        except (StopIteration, asyncio.CancelledError):
            lane.ended = True
        except NeedsLoop:
            lane.ended = True
            if not lane.dead:
                raise
        except BaseException:
            lane.ended = True
            raise

    def _resumed(self, lane: Lane, resume: Callable[[Any], Step], given: Any) -> Step:
        return by_hand(lane.context.run, resume, given)

    def _unwind(self, lane: Lane) -> None:
        """End the lane's coroutine without taking any of its steps."""
        for _ in range(THROWS_MAX):
            if lane.ended:
                return
            self._resume(lane, asyncio.CancelledError())
        raise AssertionError(f"{lane.name} goes on after {THROWS_MAX} cancellations")
