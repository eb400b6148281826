"""The losing schedule that says it best: fewest faults, then fewest preemptions, proven.

A search through the state graph in order of cost, where a step costs nothing, a preemption one, and
a fault more than all preemptions. A preemption moves one client while the one that moved last could
go on inside its request. Among the cheapest schedules the one is told in which clients go in order.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from engine.explore.controller import Move
from engine.explore.controller import Taken as Told
from engine.explore.count import LOOK_EVERY, Limits, limit_reached
from engine.explore.ends import End, end_of
from engine.explore.faults import BESIDE, GO
from engine.explore.graph import Graph
from engine.explore.moves import Gone, State, Taken
from engine.explore.steps import Step

Cost = tuple[int, int]  # faults, preemptions
Place = tuple[State, str]  # and who moved last


@dataclass(slots=True)
class _Seen:
    cost: Cost
    ways_here: list[tuple[Place, Taken]]


class Shortest(NamedTuple):
    """The cheapest losing schedules (some of them, if there are many), and their outcomes."""

    schedules: tuple[tuple[Told, ...], ...]
    faults: int
    preemptions: int
    outcomes: frozenset[str]


def shortest(
    graph: Graph, wanted: Callable[[End], bool], limits: Limits, *, schedules_max: int
) -> Shortest | None:
    """The cheapest schedules whose end is wanted; None if there is none within the limits."""
    start: Place = (graph.start, "")
    seen = {start: _Seen((0, 0), [])}
    queues: dict[Cost, deque[Place]] = {(0, 0): deque([start])}
    targets: list[tuple[Place, End]] = []
    looked = 0
    while queues:
        cost = min(queues)
        if targets and cost > seen[targets[0][0]].cost:
            break
        queue = queues[cost]
        while queue:
            place = queue.popleft()
            if seen[place].cost != cost:
                continue
            looked += 1
            if looked % LOOK_EVERY == 0 and limit_reached(limits, looked):
                queues.clear()
                break
            if not _expand(graph, place, cost, seen, queues):
                end = end_of(graph, place[0])
                if wanted(end):
                    targets.append((place, end))
        queues.pop(cost, None)
    if not targets:
        return None
    found = tuple(_told(start, [place for place, _ in targets], seen, schedules_max))
    labels = frozenset(end.label for _, end in targets)
    return Shortest(found, *seen[targets[0][0]].cost, labels)


def _expand(
    graph: Graph,
    place: Place,
    cost: Cost,
    seen: dict[Place, _Seen],
    queues: dict[Cost, deque[Place]],
) -> bool:
    """Look at every move from here; False if there is none."""
    state, previous = place
    moves = graph.successors(state)
    faults, preemptions = cost
    preempted = (faults, preemptions + _can_be_cut_off(place, moves))
    for taken in moves:
        lane, how, after, _ = taken
        name = state[0][lane].name
        beside = how in BESIDE
        dearer = cost if beside or name == previous else preempted
        if how is not GO:
            dearer = (faults + 1, dearer[1])
        following = (after, previous if beside else name)
        known = seen.get(following)
        if known is None or dearer < known.cost:
            seen[following] = _Seen(dearer, [(place, taken)])
            queues.setdefault(dearer, deque()).append(following)
        elif dearer == known.cost:
            known.ways_here.append((place, taken))
    return bool(moves)


def _can_be_cut_off(place: Place, moves: Sequence[Taken]) -> bool:
    """Whether whoever moved last could go on inside its request."""
    (nodes, _, _), previous = place
    for lane, how, _, _ in moves:
        node = nodes[lane]
        if how is GO and node.name == previous:
            return node.step is not None and node.step.kind != "invoke"
    return False


def _told(
    start: Place, targets: Sequence[Place], seen: dict[Place, _Seen], schedules_max: int
) -> Iterator[tuple[Told, ...]]:
    """Cheapest schedules, those first in which earlier clients go first."""
    onward: dict[Place, list[tuple[Place, Told]]] = {}
    known: dict[Gone | None, Told] = {}
    todo, met = list(targets), set(targets)
    while todo:
        place = todo.pop()
        for before, taken in seen[place].ways_here:
            gone = taken[3]
            told = known.get(gone) or _as_told(before[0], taken)
            if gone is not None:  # one step, taken in many states
                known[gone] = told
            onward.setdefault(before, []).append((place, told))
            if before not in met:
                met.add(before)
                todo.append(before)
    order = {node.name: node.order for node in start[0][0]}
    ends = set(targets)
    stack: list[tuple[Place, tuple[Told, ...]]] = [(start, ())]
    yielded = 0
    while stack and yielded < schedules_max:
        place, path = stack.pop()
        if place in ends:
            yielded += 1
            yield path
            continue
        ways = sorted(
            onward.get(place, ()),
            key=lambda way: order.get(way[1].move.lane, len(order)),
            reverse=True,
        )
        stack += [(following, (*path, told)) for following, told in ways]


def _as_told(state: State, taken: Taken) -> Told:
    lane, how, _, gone = taken
    node = state[0][lane]
    step = node.step
    assert step is not None
    if step.kind == "acquire":  # each client has an object of its own for it
        step = Step("acquire", (step.args[0].mutex_id,))
    freed = gone.freed if gone is not None else ()
    result = gone.result if gone is not None else None
    return Told(Move(node.name, how), step, result, freed, 0, 1, False)
