"""The stage on which clients are moved step by step: lanes, mutexes, and what was said so far."""

from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any

from engine.explore.steps import Perform, Step, SteppedMutex, SteppedRuntime
from engine.history import CallRecord
from engine.ports import Cell


@dataclass(slots=True, eq=False)
class Lane:
    """One client, or one piece of background work. `pending` is the step it waits to take."""

    name: str
    instance: int | None = None
    after: tuple[str, ...] = ()
    background: bool = False
    pending: Step | None = None
    ended: bool = False
    dead: bool = False
    shielded: bool = False
    in_transaction: bool = False
    fault: str = ""
    ids: int = 0
    children: int = 0
    last_move: int = 0
    backoffs: int = 0
    # Each client, and each piece of background work, has context variables of its own.
    context: Context = field(default_factory=copy_context)


@dataclass(slots=True, eq=False)
class Stage:
    """Shared by both worlds. `current` answers whose step is being taken."""

    perform: Perform
    current: Callable[[], Lane]
    launch: Callable[[Lane, Coroutine[Any, Any, None]], None]
    lanes: list[Lane] = field(default_factory=list)
    mutexes: list[SteppedMutex] = field(default_factory=list)
    released: list[SteppedMutex] = field(default_factory=list)
    history: list[CallRecord] = field(default_factory=list)
    moves: int = 0
    opened: int = 0  # calls invoked so far
    make_cell: Callable[[int, str, Any], Cell[Any]] = lambda instance, name, value: Cell(value)
    # Told when a service instance has been built, with its parts that may have a memory.
    built: Callable[[int, object], None] = lambda instance, parts: None

    def make_runtime(self, number: int) -> SteppedRuntime:
        """The runtime of service instance `number`."""
        return SteppedRuntime(self, number)

    def shared_mutex(self, name: str) -> SteppedMutex:
        """A mutex that all clients know by this name."""
        for mutex in self.mutexes:
            if mutex.name == name and mutex.shared:
                return mutex
        made = SteppedMutex(self, name, shared=True)
        self.mutexes.append(made)
        return made

    def new_id(self) -> str:
        """A call id that names its client: the same in every schedule."""
        lane = self.current()
        lane.ids += 1
        return f"{lane.name}.{lane.ids}"

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """A lane of its own for background work."""
        parent = self.current()
        if parent.dead:  # what a dead instance would have done beside, it does not do
            work.close()
            return
        parent.children += 1
        lane = Lane(f"{parent.name}+{parent.children}", parent.instance, background=True)
        self.lanes.append(lane)
        self.launch(lane, work)

    def waiting(self) -> list[Lane]:
        """Lanes that have a step to take, those who still wait for others to end left out."""
        going = [lane for lane in self.lanes if not lane.ended]
        if not [lane for lane in going if lane.after]:
            return going
        names = {lane.name for lane in going}
        return [lane for lane in going if names.isdisjoint(lane.after)]

    def held_by(self, lane: Lane) -> list[SteppedMutex]:
        return [mutex for mutex in self.mutexes if mutex.held_by == lane.name]
