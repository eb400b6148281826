"""The model and the gated world, with the code under test on a deterministic event loop.

They are needed only for code that awaits what is no step: asyncio's own locks, queues, timeouts,
task groups and sleeps. Everything else is as in the worlds they are made of.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Self, cast

from engine.explore.faults import How
from engine.explore.gated import GatedWorld
from engine.explore.live import Live
from engine.explore.model import ModelWorld
from engine.explore.puppet import OWN, Puppet
from engine.explore.stage import Lane
from engine.explore.steps import Step
from engine.explore.troupe import Troupe
from engine.explore.world import Setting
from engine.ports import Store


@dataclass(slots=True)
class Heard:
    """What was used to wait with, over all runs; in words, the note of a cell."""

    asyncio: set[str] = field(default_factory=set)
    mutexes: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        note = "on an event loop with virtual time"
        if self.asyncio:
            real = ", ".join(sorted(self.asyncio))
            note += f": {real} as asyncio has it (first in, first out, so fewer schedules)"
        if self.mutexes:
            note += f"; {', '.join(sorted(self.mutexes))}: mutexes of the runtime, in any order"
        return note


class LoopedModel(ModelWorld):
    """The model, driving tasks instead of coroutines."""

    def __init__(self, setting: Setting, heard: Heard) -> None:
        self._heard = heard
        self.troupe = Troupe(lambda: self.stage, self._adopt, self._changed, heard.asyncio)
        super().__init__(setting)

    def ready(self, lane: Lane) -> bool:
        if lane.pending is not None and lane.pending.kind in OWN:
            return self.troupe.able(lane, self.ready)
        return super().ready(lane)

    async def dispose(self) -> None:
        self._heard.mutexes |= {mutex.name for mutex in self.stage.mutexes}
        self.troupe.close()

    def _announce(self, step: Step) -> Awaitable[Any]:
        return self.troupe.perform(step)

    def _get_current(self) -> Lane:
        return self.troupe.current()

    def _launch(self, lane: Lane, work: Coroutine[Any, Any, None]) -> None:
        super()._launch(lane, _as_coroutine(self.troupe.hire(lane, work)))

    def _start_fresh(self) -> None:
        # The first that is started runs the loop, and the loop starts the others.
        fresh, self._fresh = self._fresh, []
        for lane in fresh:
            puppet = self.troupe.puppets[lane]
            if puppet.unseen:
                self._resume(lane, None)

    def _adopt(self, puppet: Puppet) -> None:
        self._coroutines[puppet.lane] = _as_coroutine(puppet)

    def _changed(self, puppet: Puppet) -> None:
        puppet.lane.pending = puppet.show()
        puppet.lane.ended = puppet.lane.pending is None

    def _effect(self, lane: Lane, step: Step) -> Any:
        return None if step.kind in OWN else super()._effect(lane, step)

    def _resumed(self, lane: Lane, resume: Callable[[Any], Step], given: Any) -> Step:
        return resume(given)


class LoopedGated(GatedWorld):
    """The gated world: tasks run on the deterministic loop, their steps on the stock one."""

    def __init__(self, setting: Setting, live: Live, heard: Heard) -> None:
        self._heard = heard
        self.troupe = Troupe(lambda: self.stage, self._adopt, self._changed, heard.asyncio)
        super().__init__(setting, live)

    @classmethod
    async def open_on_loop(cls, setting: Setting, live: Live, heard: Heard) -> Self:
        """As `open`."""
        await live.reset(setting.scenario.openings)
        world = cls(setting, live, heard)
        await world._settle()
        return world

    def ready(self, lane: Lane) -> bool:
        if lane.pending is not None and lane.pending.kind in OWN:
            return self.troupe.able(lane, self.ready)
        return super().ready(lane)

    async def dispose(self) -> None:
        self._heard.mutexes |= {mutex.name for mutex in self.stage.mutexes}
        self.troupe.close()
        await super().dispose()

    def _announce(self, step: Step) -> Awaitable[Any]:
        return self.troupe.perform(step)

    def _get_current(self) -> Lane:
        return self.troupe.current()

    def _launch(self, lane: Lane, work: Coroutine[Any, Any, None]) -> None:
        super()._launch(lane, _as_coroutine(self.troupe.hire(lane, work)))

    def _adopt(self, puppet: Puppet) -> None:
        super()._launch(puppet.lane, _as_coroutine(puppet))

    def _changed(self, puppet: Puppet) -> None:
        permit = self._permits.pop(puppet.lane, None)
        if permit is not None:  # whoever drives it wakes up, and asks it what it waits for now
            puppet.lane.pending = None
            permit.cancel()

    async def _effect(self, lane: Lane, session: Store | None, step: Step, how: How) -> Any:
        return None if step.kind in OWN else await super()._effect(lane, session, step, how)

    def _resumed(self, resume: Callable[[], Step]) -> Step:
        return resume()


def _as_coroutine(puppet: Puppet) -> Coroutine[Any, Any, None]:
    """It is driven with `send` and `throw` only, and has both."""
    return cast(Coroutine[Any, Any, None], puppet)
