"""Exact numbers from the state graph: how many interleavings there are, and how each of them ends.

Layer by layer, each state with the number of ways that lead to it: big integers, not runs. Only one
layer is kept, so memory grows with the width of the graph and not with its length.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from engine.explore.controller import STEPS_MAX
from engine.explore.ends import end_of
from engine.explore.graph import Graph
from engine.explore.moves import State
from engine.resident import memory_mb
from engine.verdicts import Break

OnProgress = Callable[[int], None]
# Time and memory are looked at once in so many states.
LOOK_EVERY = 500


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a search stops unfinished: states, a moment of `time.monotonic`, MB of memory."""

    states_max: int
    until: float
    memory_mb_max: float


@dataclass(slots=True)
class Count:
    """What was counted. `stopped` says which limit ended it, empty if none did."""

    states: int = 0
    interleavings: int = 0
    losing: int = 0
    overlong: int = 0
    answered: bool = False
    succeeded: bool = False
    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: set[Break] = field(default_factory=set)
    depth: int = 0
    stopped: str = ""


def count(graph: Graph, limits: Limits, on_progress: OnProgress | None = None) -> Count:
    """Count every interleaving of the graph, or as many as the limits allow."""
    counted = Count()
    layer: dict[State, int] = {graph.start: 1}
    while layer and not counted.stopped:
        if counted.depth == STEPS_MAX:
            counted.overlong += sum(layer.values())
            counted.interleavings += sum(layer.values())
            counted.outcomes["cut off"] += sum(layer.values())
            break
        following: dict[State, int] = {}
        for state, ways in layer.items():
            if counted.states % LOOK_EVERY == 0:
                counted.stopped = limit_reached(limits, counted.states)
                if on_progress is not None:
                    on_progress(counted.states)
            elif counted.states >= limits.states_max:
                counted.stopped = limit_reached(limits, counted.states)
            if counted.stopped:
                break
            counted.states += 1
            if not _spread(graph, state, ways, following):
                _finish(graph, state, ways, counted)
        layer = following
        counted.depth += 1
    return counted


def _spread(graph: Graph, state: State, ways: int, following: dict[State, int]) -> bool:
    """Hand the ways on to whatever can follow; False if nothing can."""
    nodes, common, past = state
    moved = False
    if graph.automaton.particular or not past.calm or graph.rings(common):
        for taken in graph.successors(state):
            moved = True
            following[taken.state] = following.get(taken.state, 0) + ways
        return moved
    # The same without faults, back-offs and clients that wait for others' end: the inner loop.
    moves = common.moves
    for lane, node in enumerate(nodes):
        if node.ended:
            continue
        gone = moves.get(node)
        if gone is None and (node in moves or (gone := graph.gone(node, common)) is None):
            continue
        moved = True
        if gone.alone:
            later = past
            if gone.news:
                later = past.later.get(gone.outcomes[0]) or graph.later(past, node, gone)
            after = (nodes[:lane] + (gone.node,) + nodes[lane + 1 :], gone.common, later)
        else:
            after = graph.after(state, lane, gone, past.faults)
        following[after] = following.get(after, 0) + ways
    return moved


def _finish(graph: Graph, state: State, ways: int, counted: Count) -> None:
    end = end_of(graph, state)
    counted.interleavings += ways
    counted.outcomes[end.label] += ways
    counted.answered = counted.answered or end.answered
    counted.succeeded = counted.succeeded or end.succeeded
    if end.findings:
        counted.losing += ways
        counted.kinds |= {finding.kind for finding in end.findings}


def limit_reached(limits: Limits, states: int) -> str:
    """What stopped a search that has looked at so many states; empty if it may go on."""
    if states >= limits.states_max:
        return f"after {states:,} states"
    if time.monotonic() > limits.until:
        return f"out of time after {states:,} states"
    if states and memory_mb() > limits.memory_mb_max:
        return f"at {memory_mb():,.0f} MB of memory after {states:,} states"
    return ""
