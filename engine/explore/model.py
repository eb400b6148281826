"""The model world: coroutines driven by hand over a database in memory; no event loop, no clock."""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator, Mapping
from typing import Any

from engine.errors import UsageError
from engine.explore.memory import MemoryDatabase
from engine.explore.stage import Lane, Stage
from engine.explore.steps import Step, SteppedStore
from engine.explore.world import Ending, How, Setting, raise_the_curtain
from engine.ports import Cache

# A coroutine that goes on after so many cancellations is a bug in the code under test.
THROWS_MAX = 100


@types.coroutine
def _announce(step: Step) -> Generator[Step, Any, Any]:
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
        self._database = MemoryDatabase(setting.scenario.openings)
        self._coroutines: dict[Lane, Coroutine[Any, Any, None]] = {}
        self._fresh: list[Lane] = []
        self._current: Lane | None = None
        self.stage = Stage(_announce, self._get_current, self._launch)
        self._house = raise_the_curtain(
            setting, self.stage, lambda: SteppedStore(self.stage.perform)
        )
        self._start_fresh()

    def ready(self, lane: Lane) -> bool:
        step = lane.pending
        assert step is not None
        if step.kind == "acquire":
            return step.args[0].held_by is None
        return self._database.ready(lane, step)

    async def advance(self, lane: Lane, how: How) -> Any:
        step = lane.pending
        assert step is not None
        self._current = lane
        result: Any = None
        if how is How.CANCEL:
            self._throw(lane, asyncio.CancelledError())
        else:
            try:
                result = self._effect(lane, step)
            except Exception as error:  # the strategy's to bear, as with a real store
                result = error
            if how is How.LOSE:
                self._throw(lane, asyncio.CancelledError())
            elif isinstance(result, Exception):
                self._throw(lane, result)
            else:
                coroutine = self._coroutines[lane]
                self._resume(lane, lambda: coroutine.send(result))
        self._start_fresh()
        return result

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
            coroutine = self._coroutines[lane]
            self._resume(lane, lambda coroutine=coroutine: coroutine.send(None))  # type: ignore[misc]

    def _effect(self, lane: Lane, step: Step) -> Any:
        match step.kind:
            case "invoke" | "sweep" | "backoff":
                return None
            case "acquire":
                step.args[0].held_by = lane.name
                return None
            case "cache_get" | "cache_put":
                cache: Cache = step.args[0]
                verb = cache.get if step.kind == "cache_get" else cache.put
                return run_now(verb(*step.args[1:]))
        return self._database.perform(lane, step)

    def _throw(self, lane: Lane, error: BaseException) -> None:
        coroutine = self._coroutines[lane]
        self._resume(lane, lambda: coroutine.throw(error))

    def _resume(self, lane: Lane, resume: Callable[[], Step]) -> None:
        lane.pending = None
        try:
            lane.pending = resume()
            if not isinstance(lane.pending, Step):
                raise UsageError(
                    f"{lane.name} awaited {lane.pending!r}, which is no step",
                    "in the model await only what Store, Runtime and Cache offer",
                )
        except (StopIteration, asyncio.CancelledError):
            lane.ended = True
        except BaseException:
            lane.ended = True
            raise

    def _unwind(self, lane: Lane) -> None:
        """End the lane's coroutine without taking any of its steps."""
        for _ in range(THROWS_MAX):
            if lane.ended:
                return
            self._throw(lane, asyncio.CancelledError())
        raise AssertionError(f"{lane.name} goes on after {THROWS_MAX} cancellations")
