"""The search of Wing and Gong for an order of calls that a sequential model explains, with memory.

Testing and verifying concurrent objects (1993); Lowe's memory of configurations (2016), as in
Porcupine: try the calls that could come first, remember which calls with which state were tried,
step back where a call has returned and has no place yet.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from typing import Any, Generic, NamedTuple, TypeVar

from engine.checks.verdict import Budget

# So many of the states that were possible are remembered for the message.
STATES_SHOWN_MAX = 4
_CHECK_EVERY = 4096


class Unanswered(Enum):
    """The output of a call that was never answered: every answer fits."""

    UNANSWERED = "unanswered"


UNANSWERED = Unanswered.UNANSWERED


class Operation(NamedTuple):
    """One call of a history: when it was asked and answered, by one clock; None for never."""

    client: str
    input: Any
    output: Any
    invoked: int
    completed: int | None


S = TypeVar("S", bound=Hashable)


def _shown(input: Any, output: Any) -> str:
    return f"{input} -> {output}"


def _never(input: Any, output: Any) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Model(Generic[S]):
    """A sequential object: what each call may answer, one after the other.

    `step(state, input, output)` says whether the output fits and which state it leaves; an output
    of UNANSWERED always fits where the call can happen at all. States and inputs are hashed.
    `partition` splits a history into parts that do not depend on each other (places of operations),
    since a history is linearizable if each object's part is. `describe` tells an operation.
    `only_looked(input, output)`: whether a call so answered changes no state by its nature, like a
    read. (Not one that happens to write what was there.) The search is faster where it knows.
    """

    initial: S
    step: Callable[[S, Any, Any], tuple[bool, S]]
    partition: Callable[[Sequence[Operation]], Iterable[Sequence[int]]] | None = None
    only_looked: Callable[[Any, Any], bool] = _never
    describe: Callable[[Any, Any], str] = _shown
    describe_state: Callable[[S], str] = repr


class Explained(NamedTuple):
    """An order of the operations, by their places, without those that never happened; or None.

    Then `stuck` is the earliest operation at whose return no order is left, and `states` are some
    of those that were possible until then.
    """

    order: tuple[int, ...] | None
    stuck: int = -1
    states: tuple[Any, ...] = ()


def explain(model: Model[S], operations: Sequence[Operation], budget: Budget) -> Explained:
    """An order that explains these operations, or where none is left. Raises Exceeded."""
    return _Search(model, operations, budget).run()


class _Search:
    """Calls and returns: a doubly linked list in order of time, from which placed ones are lifted.

    Nodes: `i` for the call of operation i, `count + i` for its return; calls are numbered by
    invocation. What has been placed is remembered as (how many answered calls all have their place,
    those after them, the unanswered ones), so that it stays small however long the history is.
    """

    def __init__(self, model: Model[Any], operations: Sequence[Operation], budget: Budget) -> None:
        self._model, self._budget = model, budget
        self._places = sorted(range(len(operations)), key=lambda place: operations[place].invoked)
        ordered = [operations[place] for place in self._places]
        self._count = len(ordered)
        self._answered = [each.completed is not None for each in ordered]
        self._asked = [
            (each.input, UNANSWERED if each.completed is None else each.output) for each in ordered
        ]
        self._looked = [
            each.completed is not None and model.only_looked(each.input, each.output)
            for each in ordered
        ]
        events = [(each.invoked, place) for place, each in enumerate(ordered)]
        events += [
            (each.completed, self._count + place)
            for place, each in enumerate(ordered)
            if each.completed is not None
        ]
        self._link([node for _, node in sorted(events)])
        self._rank, ranks = [], [0, 0]
        for answered in self._answered:
            self._rank.append(ranks[answered])
            ranks[answered] += 1
        self._left = ranks[True]
        self._stuck = _Stuck()

    def _link(self, nodes: list[int]) -> None:
        self._head = 2 * self._count
        self._next = [-1] * (self._head + 2)
        self._previous = [-1] * (self._head + 2)
        self._moment = [0] * (self._head + 2)
        chain = [self._head, *nodes, self._head + 1]
        for moment, (one, other) in enumerate(pairwise(chain)):
            self._next[one], self._previous[other], self._moment[other] = other, one, moment

    def run(self) -> Explained:
        placed, state, left, steps = (0, 0, 0), self._model.initial, self._left, 0
        known: set[tuple[tuple[int, int, int], Any]] = set()
        path: list[tuple[int, tuple[int, int, int], Any]] = []
        # For each call of the path and for the start, what else could come next.
        choices = [self._choices(state)] if left else []
        while left:
            steps += 1
            if not steps % _CHECK_EVERY:
                self._budget.check()
            if choices[-1]:
                node, after = choices[-1].pop()
                now = self._placed(placed, node)
                if (now, after) in known:
                    continue
                known.add((now, after))
                path.append((node, placed, state))
                placed, state = now, after
                left -= self._answered[node]
                self._lift(node)
                choices.append(self._choices(state))
            elif path:
                choices.pop()
                node, placed, state = path.pop()
                left += self._answered[node]
                self._put_back(node)
            else:
                return self._stuck.explained(self._places, self._count)
        return Explained(tuple(self._places[node] for node, _, _ in path))

    def _choices(self, state: Any) -> list[tuple[int, Any]]:
        """The calls that can come next, the last to be tried first, with the state each leaves."""
        step, asked, following = self._model.step, self._asked, self._next
        changes, maybe, alike = [], [], set[Any]()
        node = following[self._head]
        while node < self._count:
            fits, after = step(state, *asked[node])
            if fits:
                if self._looked[node]:
                    # It fits and changes nothing: whatever comes of another order comes of this.
                    return [(node, after)]
                if self._answered[node]:
                    changes.append((node, after))
                elif after != state and asked[node] not in alike:
                    # An unanswered call that changes nothing need not have happened; and of those
                    # that ask the same, the first may as well be the first to happen.
                    alike.add(asked[node])
                    maybe.append((node, after))
            node = following[node]
        self._stuck.returned(node, self._moment[node], state)
        return [*reversed(maybe), *reversed(changes)]

    def _placed(self, placed: tuple[int, int, int], node: int) -> tuple[int, int, int]:
        all_before, after_them, unanswered = placed
        if not self._answered[node]:
            return all_before, after_them, unanswered | 1 << self._rank[node]
        after_them |= 1 << (self._rank[node] - all_before)
        while after_them & 1:
            after_them >>= 1
            all_before += 1
        return all_before, after_them, unanswered

    def _lift(self, node: int) -> None:
        following, previous = self._next, self._previous
        following[previous[node]] = following[node]
        previous[following[node]] = previous[node]
        if self._answered[node]:
            node += self._count
            following[previous[node]] = following[node]
            previous[following[node]] = previous[node]

    def _put_back(self, node: int) -> None:
        following, previous = self._next, self._previous
        if self._answered[node]:
            back = node + self._count
            following[previous[back]] = previous[following[back]] = back
        following[previous[node]] = previous[following[node]] = node


@dataclass(slots=True)
class _Stuck:
    """The latest return that the search has come to, and the states in which it did."""

    node: int = -1
    moment: int = -1
    states: dict[Any, None] = field(default_factory=dict)

    def returned(self, node: int, moment: int, state: Any) -> None:
        if moment > self.moment:
            self.node, self.moment, self.states = node, moment, {}
        if moment == self.moment and len(self.states) < STATES_SHOWN_MAX:
            self.states[state] = None

    def explained(self, places: Sequence[int], count: int) -> Explained:
        return Explained(None, places[self.node - count], tuple(self.states))
