"""One run under one schedule: whose step is next, and with which fault, is decided here."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.errors import UsageError
from engine.explore.faults import BESIDE, CANCELS, GO, Facts, Faults, How, fault_moves
from engine.explore.stage import Lane
from engine.explore.steps import Step, awaited
from engine.explore.world import Ending, World
from engine.history import CallRecord

STEPS_MAX = 1000
# Whoever has tried again so often, and can only try again, will never get further.
SPINS_MAX = 50
_STRIKES = frozenset({How.EXPIRE, How.CRASH, How.SWEEP})


class Move(NamedTuple):
    """One entry of a schedule. Its text names the lane, and the fault if there is one: "A!lose"."""

    lane: str
    how: How = GO

    def __str__(self) -> str:
        return self.lane if self.how is GO else f"{self.lane}!{self.how}"

    @classmethod
    def parse(cls, text: str) -> "Move":
        """Read what `str` wrote. UsageError."""
        lane, _, how = text.partition("!")
        try:
            return cls(lane, How(how or "go"))
        except ValueError:
            known = ", ".join(f"!{how}" for how in How if how is not How.GO)
            raise UsageError(
                f"no move {text!r}", f"a move is a client, or a client and one of {known}"
            ) from None


class Taken(NamedTuple):
    """A move that was made: its step, its result, the mutexes it freed, the choice it was."""

    move: Move
    step: Step
    result: Any
    freed: tuple[object, ...]
    chosen: int
    options: int
    preempts: bool


@dataclass(frozen=True, slots=True)
class Run:
    """One complete run."""

    taken: tuple[Taken, ...]
    deadlocked: tuple[str, ...]
    awaited: tuple[str, ...]
    overlong: bool
    ending: Ending
    history: tuple[CallRecord, ...]
    faults: tuple[str, ...]
    excused: bool = True  # by a fault that struck; see `Faults.excuse`

    @property
    def schedule(self) -> tuple[str, ...]:
        return tuple(str(taken.move) for taken in self.taken)

    @property
    def preemptions(self) -> int:
        return sum(taken.preempts for taken in self.taken)


Choose = Callable[[Sequence[Move]], int]


class Seen(NamedTuple):
    """What an observer is told after a move: `instance` is the one the lane talks to, or -1."""

    world: World
    lane: Lane
    instance: int
    move: Move
    step: Step
    result: Any


Observe = Callable[[Seen], Awaitable[None]]


async def run_schedule(
    world: World, faults: Faults, choose: Choose, observe: Observe | None = None
) -> Run:
    """Let `choose` pick a move until every lane has ended, or nobody can go on (a deadlock)."""
    try:
        return await _run(world, faults, choose, observe)
    finally:
        await world.dispose()


async def _run(world: World, faults: Faults, choose: Choose, observe: Observe | None) -> Run:
    stage, taken = world.stage, list[Taken]()
    left, calm = faults, faults.none
    deadlocked: list[Lane] = []
    previous: Lane | None = None
    while waiting := stage.waiting():
        able = [lane for lane in waiting if _is_ready(world, lane)]
        # With nobody else to wait for, a back-off is over at once; who only spins is in a livelock.
        able = able or [lane for lane in waiting if _backs_off(lane) and lane.backoffs < SPINS_MAX]
        if not able or len(taken) == STEPS_MAX:
            deadlocked = [] if able else waiting
            break
        options = [Move(lane.name) for lane in able]
        if not calm:
            options += _faults(world, waiting, able, left)
        chosen = choose(options)
        if chosen >= len(options):
            raise UsageError(
                f"after {len(taken)} steps the same schedule offers other moves than before",
                "the code under test must be deterministic: no luck, no clock, no globals",
            )
        move = options[chosen]
        lane = able[chosen] if chosen < len(able) else _named(move.lane, waiting)
        beside = move.how in BESIDE
        preempts = not beside and previous is not lane and _is_cut_off(previous, able)
        if move.how is not GO:
            left = left.after(move.how)
            calm = left.none
        step, before = lane.pending, lane.instance
        assert step is not None
        result = await _take(world, lane, move.how)
        freed = tuple(stage.released)
        taken.append(Taken(move, step, result, freed, chosen, len(options), preempts))
        if observe is not None:
            # A request's last step takes the client out of it, its first one into it.
            instance = before if lane.instance is None else lane.instance
            at = -1 if instance is None else instance
            await observe(Seen(world, lane, at, move, step, result))
        previous = previous if beside else lane
    return Run(
        tuple(taken),
        tuple(lane.name for lane in deadlocked),
        tuple(awaited(lane.pending) for lane in deadlocked if lane.pending is not None),
        bool(stage.waiting()) and not deadlocked,
        await world.ending(),
        tuple(stage.history),
        tuple(f"{lane.name}: {lane.fault}" for lane in stage.lanes if lane.fault),
        faults.excuse(left),
    )


async def _take(world: World, lane: Lane, how: How) -> Any:
    """Take the lane's step, or let happen to it what is no step of its own."""
    world.stage.moves += 1
    world.stage.released.clear()
    if how in _STRIKES:
        await _strike(world, lane, how)
        return None
    lane.last_move = world.stage.moves
    lane.backoffs += _backs_off(lane)
    # Who was cancelled once cleans up undisturbed.
    lane.shielded = lane.shielded or how in CANCELS
    return await world.advance(lane, how)


async def _strike(world: World, lane: Lane, how: How) -> None:
    if how is How.EXPIRE:
        await world.expire(lane)
        return
    assert lane.instance is not None
    await (world.crash if how is How.CRASH else world.sweep)(lane.instance)


def _backs_off(lane: Lane) -> bool:
    return lane.pending is not None and lane.pending.kind == "backoff"


def _is_ready(world: World, lane: Lane) -> bool:
    return world.stage.moves > lane.last_move if _backs_off(lane) else world.ready(lane)


def _named(name: str, lanes: Sequence[Lane]) -> Lane:
    return next(lane for lane in lanes if lane.name == name)


def _is_cut_off(previous: Lane | None, able: list[Lane]) -> bool:
    """The lane that moved last could go on inside its request; moving another one preempts it."""
    return (
        previous in able
        and previous is not None
        and previous.pending is not None
        and previous.pending.kind != "invoke"
    )


def _faults(world: World, waiting: list[Lane], able: list[Lane], left: Faults) -> list[Move]:
    facts = [
        Facts(
            lane.name,
            kind=lane.pending.kind if lane.pending is not None else "",
            instance=lane.instance,
            background=lane.background,
            shielded=lane.shielded,
            ready=lane in able,
            # The database is asked only where the answer matters.
            in_transaction=left.lost > 0 and world.in_transaction(lane),
            holds_lease=left.expire > 0 and world.holds_lease(lane),
        )
        for lane in waiting
    ]
    return [Move(name, how) for name, how in fault_moves(facts, left)]


class ScheduleMismatch(UsageError):
    """The code under test no longer takes the steps of a schedule."""


def follow(schedule: Sequence[str]) -> Choose:
    """A chooser that repeats a schedule; ScheduleMismatch where the code takes other steps."""
    moves = [Move.parse(text) for text in schedule]
    position = 0

    def choose(options: Sequence[Move]) -> int:
        nonlocal position
        if position == len(moves):
            raise ScheduleMismatch(
                f"the schedule ends after {position} steps, the run does not",
                "it was recorded with other code: explore again",
            )
        move = moves[position]
        position += 1
        if move not in options:
            raise ScheduleMismatch(
                f"step {position} of the schedule, {move}, cannot be taken here",
                "it was recorded with other code: explore again",
            )
        return options.index(move)

    return choose
