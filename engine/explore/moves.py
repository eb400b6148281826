"""A state of the graph, and the moves from one to the next, as values."""

from typing import Any, NamedTuple

from engine.explore.automaton import Node, Outcome
from engine.explore.faults import How
from engine.explore.frozen import MutexId
from engine.explore.past import Past
from engine.explore.recall import Memory
from engine.explore.shared import Shared
from engine.explore.steps import Step


class Common:
    """A `Shared` that exists once, with the moves that are known from it."""

    __slots__ = ("memory", "moves", "shared")

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.memory: Memory = dict(shared.memory)
        self.moves: dict[Node, Gone | None] = {}


# One place of the whole. Background work that goes on follows the clients, by name. All parts are
# compared by identity, so a state is hashed in no time.
State = tuple[tuple[Node, ...], Common, Past]


class Gone(NamedTuple):
    """A step that was taken. `alone`: no background work came or went. `news`: for the past."""

    alone: bool
    news: bool
    node: Node
    common: Common
    outcomes: tuple[Outcome, ...]
    step: Step
    result: Any
    freed: tuple[MutexId, ...]


class Taken(NamedTuple):
    """A move and the state it leads to."""

    lane: int
    how: How
    state: State
    gone: Gone | None
