"""A state of the graph, and the moves from one to the next, as values."""

from dataclasses import dataclass
from typing import Any

from engine.explore.automaton import Node, Outcome
from engine.explore.faults import How
from engine.explore.frozen import MutexId
from engine.explore.past import Past
from engine.explore.recall import Memory
from engine.explore.shared import Shared


class Common:
    """A `Shared` that exists once, with the moves that are known from it.

    `rings`: clients may wait for each other in a ring, and the database ends that.
    """

    __slots__ = ("memory", "moves", "rings", "shared")

    def __init__(self, shared: Shared, *, rings: bool) -> None:
        self.shared = shared
        self.rings = rings
        self.memory: Memory = dict(shared.memory)
        self.moves: dict[Node, Gone | None] = {}


# One place of the whole. Background work that goes on follows the clients, by name. All parts are
# compared by identity, so a state is hashed in no time.
State = tuple[tuple[Node, ...], Common, Past]


# Not frozen as other values are: so many are made and looked at that it could be felt.
@dataclass(slots=True, eq=False)
class Gone:
    """A step that was taken. `alone`: no background work came or went. `news`: for the past.

    `outcome` is what became of the client, at `node` now, `born` of the work that it began beside.
    """

    alone: bool
    news: bool
    node: Node
    common: Common
    outcome: Outcome
    born: tuple[Outcome, ...]
    result: Any
    freed: tuple[MutexId, ...]


# A move: whose it is, how it is taken, the state it leads to, and the step if one was taken.
Taken = tuple[int, How, State, Gone | None]
