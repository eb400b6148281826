"""What each move of a run uses, noted while the run is made."""

from collections.abc import Iterator

from engine.explore.controller import Seen
from engine.explore.faults import How
from engine.explore.frozen import Unfit
from engine.explore.independence import (
    Footprint,
    Learned,
    Use,
    Uses,
    answered,
    invoked,
    mutex,
)
from engine.explore.stage import Lane
from engine.explore.steps import Step
from engine.explore.tracking import Tracker
from engine.explore.unseen import changed, outline
from engine.explore.world import World


class Recorder:
    """Watches one run. Made before its first move; `note` is told of every move."""

    def __init__(self, world: World, learned: Learned) -> None:
        self._stage = world.stage
        self._learned = learned
        self._tracker = Tracker(learned)
        world.stage.make_cell = self._tracker.make_cell
        world.stage.built = self._built
        self._watched: list[tuple[object, object]] = []
        self._made = 0
        self._latest: dict[str, int] = {}
        self._lanes = len(world.stage.lanes)
        self._born: list[Lane] = []
        # What was invoked before the first move was invoked before every move.
        self._calls = len(world.stage.history), world.stage.opened
        self._inside: set[str] = set()
        self._pending: list[tuple[Lane, Step, int]] = []

    @property
    def moves(self) -> int:
        """How many moves were made."""
        return self._made

    def note(self, seen: Seen, known: Footprint | None) -> tuple[Footprint, int | None]:
        """What the move just made used, and the number of the one that its client had made.

        `known` is what it used in an earlier run with the same moves before it.
        """
        number, self._made = self._made, self._made + 1
        before = self._latest.get(seen.lane.name)
        self._latest[seen.lane.name] = number
        self._born = self._stage.lanes[self._lanes :]
        self._lanes += len(self._born)
        self._latest.update({lane.name: number for lane in self._born})
        inside = self._is_inside(seen)
        used = known or self._used(seen, inside=inside).footprint()
        self._tracker.taken()
        self._calls = len(self._stage.history), self._stage.opened
        others = (waiting for waiting in self._pending if waiting[0] is not seen.lane)
        if any(lane.pending is not step for lane, step, _ in others):
            self._learned.meddles()
        # Kept here: when a run has ended, nobody waits for anything any more.
        self._pending = [
            (lane, lane.pending, -1 if lane.instance is None else lane.instance)
            for lane in self._stage.waiting()
            if lane.pending is not None
        ]
        return used, before

    def waiting(self, *, struck: bool) -> Iterator[tuple[str, Footprint, int | None]]:
        """Lanes, what they wait to do, and their latest move. `struck`: faults may strike them."""
        for lane, step, at in self._pending:
            used = Uses()
            used.step(step, How.GO, None, place=at, inside=lane.name in self._inside)
            used.everything = used.everything or struck
            yield lane.name, used.footprint(), self._latest.get(lane.name)

    def _used(self, seen: Seen, *, inside: bool) -> Uses:
        used, stage, learned = Uses(), self._stage, self._learned
        if not learned.unseen and changed(self._watched):
            learned.cannot_see()
        at = seen.instance
        used.step(seen.step, seen.move.how, seen.result, place=at, inside=inside)
        used.change(*(mutex(freed, at) for freed in stage.released))
        for (cell, key), use in self._tracker.taken().items():
            used.add(("cell", cell, key), use)
        if learned.unseen and at >= 0:
            used.change(("memory", at))
        elif learned.unseen and seen.step.kind == "invoke":
            used.everything = True  # asked and answered at once: nobody says by which instance
        answers, calls = self._calls
        for call in stage.history[answers:]:
            answered(used, learned, call)
        invoked(used, learned, seen.step, stage.opened - calls)
        self._ends(used, seen.lane)
        if seen.lane.after:
            for name in seen.lane.after:
                used.add(("end", name), Use.LOOK)
                used.awaits.add(("end", name))
        return used

    def _built(self, number: int, parts: object) -> None:
        self._tracker.built.add(number)
        try:
            self._watched.append((parts, outline(parts)))
        except Unfit:
            self._learned.cannot_see()

    def _is_inside(self, seen: Seen) -> bool:
        """Whether the lane has a transaction open, before this move or after it."""
        before = seen.lane.name in self._inside
        after = seen.world.in_transaction(seen.lane)
        (self._inside.add if after else self._inside.discard)(seen.lane.name)
        return before or after

    def _ends(self, used: Uses, mover: Lane) -> None:
        # A client that another one waits for ends by its own moves, or in a crash.
        for lane in (mover, *self._born):
            if lane.ended:
                used.change(("end", lane.name))
        # A back-off ends when anybody else has moved: then it matters who moved last.
        if mover.pending is not None and mover.pending.kind == "backoff":
            used.everything = True
