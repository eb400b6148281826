"""One run for each trace: schedules that differ only in the order of moves that commute are one.

Used where the state graph cannot be: memory out of sight, real asyncio inside, a live database. Two
methods, both over complete runs, replayed from the start:

- *Sleep sets* (Godefroid, 1996): what was explored at a place need not be explored again after a
  move that it commutes with. Every place is expanded fully, runs that turn out to be redundant are
  given up.
- *Source-DPOR* (Abdulla, Aronsson, Jonsson, Sagonas, POPL 2014, algorithm 1) adds: at each place
  one client is enough, unless a run shows a race that asks for another one. (The algorithm of
  Flanagan and Godefroid, 2005, loses traces when it is combined with sleep sets.)

What differs from the paper, since here moves can be impossible for a while and a client's step can
be struck by a fault:

- A client is explored with all its moves at a place, faults included. Where one of them sleeps, or
  its own step has to wait, the first choice would not do alone; the place is expanded fully.
- A move that can have to wait races with every move it depends on, not with the latest only: the
  latest may be the one that let it go on. What waits for ever at a deadlock races like a move.
- The move after which nobody can go on uses everything: a deadlock also ends others' faults.
- Sleep sets only where one client's move can take another's next step away: under faults that
  strike more than a client's own step (all but `cancel`), and with asyncio's timers.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from engine.errors import UsageError
from engine.explore.controller import Move, Run, Seen, run_schedule
from engine.explore.faults import Faults, How
from engine.explore.harvest import Harvest
from engine.explore.independence import EVERYTHING, Footprint, Learned, Use, depend
from engine.explore.recorder import Recorder
from engine.explore.world import Setting, World

Method = Literal["source", "sleep"]
OpenWorld = Callable[[], Awaitable[World]]
OnProgress = Callable[[int], None]
OnRun = Callable[[Run], None]


class _GiveUp(Exception):
    """This run is redundant, or the search has to begin again."""


@dataclass(slots=True)
class _Place:
    """One move of the current run, and what else is to be explored instead of it.

    `past` has a bit for each earlier move that this one depends on, directly or through others,
    and its own; `before` is the number of the move that this one follows in its own client.
    """

    options: tuple[Move, ...]
    sleep: dict[Move, Footprint]
    lanes: set[str]
    move: Move
    used: Footprint | None = None
    past: int = 0
    before: int | None = None

    def offers(self, lane: str) -> bool:
        return any(move.lane == lane for move in self.options)

    def turn(self) -> bool:
        """Put the next move in place of this one; False if there is none."""
        if self.used is not None:
            self.sleep[self.move] = self.used
        for move in self.options:
            if move.lane in self.lanes and move not in self.sleep:
                self.move, self.used = move, None
                return True
        return False


async def explore_reduced(
    setting: Setting,
    open_world: OpenWorld,
    *,
    faults: Faults,
    runs_max: int,
    seconds_max: float,
    method: Method = "source",
    unseen_memory: bool = False,
    until_lost: bool = False,
    on_progress: OnProgress | None = None,
    on_run: OnRun | None = None,
) -> Harvest:
    """Explore one run of each trace. The outcomes are those of all interleavings if `complete`.

    `unseen_memory`: the code under test may keep memory outside of cells, within an instance.
    `until_lost`: the first losing run is enough.
    `on_run` is told every run that was made to its end, those of an earlier pass too.
    `outcomes` and `losing` count traces, not interleavings; `redundant` are runs given up early.
    """
    started = time.monotonic()
    learned = Learned(unseen=unseen_memory)
    only_cancel = replace(faults, cancel=0).none
    while True:
        learned.news = False
        source = method == "source" and only_cancel and not learned.meddling
        search = _Search(setting, faults, learned, source, on_run)
        harvest = search.harvest
        while not harvest.complete and not learned.news:
            if harvest.runs + harvest.redundant >= runs_max:
                harvest.covered = f"{harvest.runs:,} runs, not all"
                return harvest
            if time.monotonic() - started > seconds_max:
                harvest.covered = f"{harvest.runs:,} runs in {seconds_max:g} s, not all"
                return harvest
            await search.run(await open_world())
            if until_lost and harvest.losing:
                harvest.covered = f"{harvest.runs:,} traces, up to the first that loses"
                return harvest
            harvest.complete = not search.turn()
            if on_progress is not None:
                on_progress(harvest.runs)
        if not learned.news:
            harvest.covered = f"all {harvest.runs:,} traces"
            return harvest


@dataclass(slots=True)
class _Search:
    """Depth-first over traces; `places` is the run at hand, move by move."""

    setting: Setting
    faults: Faults
    learned: Learned
    source: bool
    on_run: OnRun | None = None
    harvest: Harvest = field(default_factory=Harvest)
    places: list[_Place] = field(default_factory=list)
    _fresh: list[int] = field(default_factory=list)

    async def run(self, world: World) -> None:
        """One run: along the places that are there, then on to the end."""
        recorder = Recorder(world, self.learned)
        faulted = self.faults != self.setting.scenario.faults

        async def observe(seen: Seen) -> None:
            place = self.places[recorder.moves]
            used, place.before = recorder.note(seen, place.used)
            if place.used is None:
                place.used = used
                self._fresh.append(recorder.moves - 1)

        def choose(options: Sequence[Move]) -> int:
            return self._choose(recorder.moves, options)

        try:
            run = await run_schedule(world, self.faults, choose, observe)
        except _GiveUp:
            self.harvest.redundant += 1
            return
        if run.deadlocked:
            self._stuck(recorder)
        self.harvest.add(self.setting.scenario, run, faulted=faulted)
        if self.on_run is not None:
            self.on_run(run)

    def turn(self) -> bool:
        """Change the last place where something is left to explore; False if there is none."""
        self._look_for_races()
        while self.places:
            if self.places[-1].turn():
                return True
            self.places.pop()
        return False

    def _choose(self, number: int, options: Sequence[Move]) -> int:
        if self.learned.news:
            raise _GiveUp
        if number == len(self.places):
            return options.index(self._arrive(options).move)
        place = self.places[number]
        if tuple(options) != place.options:
            raise UsageError(
                f"after {number} steps the same schedule offers other moves than before",
                "the code under test must be deterministic: no luck, no clock, no globals",
            )
        return options.index(place.move)

    def _arrive(self, options: Sequence[Move]) -> _Place:
        """A new place, with the first move to be explored there."""
        sleep: dict[Move, Footprint] = {}
        if self.places:
            last = self.places[-1]
            assert last.used is not None
            sleep = {
                move: used
                for move, used in last.sleep.items()
                if move.lane != last.move.lane and not depend(used, last.used)
            }
        awake = [move for move in options if move not in sleep]
        if not awake:
            raise _GiveUp
        drowsy = {move.lane for move in options if move in sleep}
        alone = [m.lane for m in awake if m.how is How.GO and m.lane not in drowsy]
        # Whoever moved longest ago: reads then come before the writes that they make stale, so
        # that what can be lost is lost early.
        moved = {place.move.lane: number for number, place in enumerate(self.places)}
        lanes = {move.lane for move in options}
        if self.source and alone:
            lanes = {min(alone, key=lambda lane: moved.get(lane, -1))}
        first = next(move for move in awake if move.lane in lanes)
        place = _Place(tuple(options), sleep, lanes, first)
        self.places.append(place)
        return place

    def _look_for_races(self) -> None:
        """What the moves that were made depend on, and whom they raced. No run asks before its end:
        one that loses may be the last."""
        for number in self._fresh:
            self._made(number)
        self._fresh.clear()

    def _made(self, number: int) -> None:
        place = self.places[number]
        assert place.used is not None
        if self.source:
            place.past = self._past(number, place.used, place.before) | 1 << number
            self._races(number, place.move.lane, place.used, place.before)

    def _past(self, number: int, used: Footprint, before: int | None) -> int:
        past = 0 if before is None else self.places[before].past
        for earlier in range(number - 1, -1, -1):
            place = self.places[earlier]
            assert place.used is not None
            if not past >> earlier & 1 and depend(place.used, used):
                past |= place.past
        return past

    def _races(self, number: int, lane: str, used: Footprint, before: int | None) -> None:
        known = 0 if before is None else self.places[before].past
        rivals = [
            (earlier, place)
            for earlier, place in enumerate(self.places[:number])
            if not known >> earlier & 1 and place.used is not None and depend(place.used, used)
        ]
        # Whether one of them may have let the move go on: then the latest may be no race at all.
        waited = any(_lets_go(place.used, used) for _, place in rivals)
        for earlier, place in rivals:
            hidden = any(between.past >> earlier & 1 for n, between in rivals if n > earlier)
            if waited or not hidden:
                self._reverse(earlier, place, number, lane, used, before)

    def _reverse(
        self,
        earlier: int,
        place: _Place,
        number: int,
        lane: str,
        used: Footprint,
        before: int | None,
    ) -> None:
        """See to it that the move `number` of `lane` is also made before the move `earlier`."""
        first: dict[str, int] = {}
        after = 0
        needed = False
        initials: list[str] = []
        for n in range(earlier + 1, number):
            between = self.places[n]
            assert between.used is not None
            if between.past >> earlier & 1:
                continue
            if between.move.lane not in first:
                first[between.move.lane] = n
                if not between.past & after:
                    initials.append(between.move.lane)
            after |= 1 << n
            needed = needed or n == before or depend(between.used, used)
        if lane not in first and not needed:
            initials.insert(0, lane)
        if place.lanes.isdisjoint(initials):
            place.lanes.update([name for name in initials if place.offers(name)][:1])

    def _stuck(self, recorder: Recorder) -> None:
        """Nobody can go on: the last move saw to that, and those who wait would have raced."""
        last = len(self.places) - 1
        if last < 0:
            return
        self._look_for_races()
        self.places[last].used = EVERYTHING
        self._made(last)
        waiting = recorder.waiting(struck=not self.faults.none)
        for name, used, before in waiting if self.source else ():
            self._races(last + 1, name, used, before)


def _lets_go(done: Footprint | None, used: Footprint) -> bool:
    if done is None or not (used.awaits or used.everything):
        return False
    if done.everything or used.everything:
        return True
    return any(done.uses.get(thing) is Use.CHANGE for thing in used.awaits)
