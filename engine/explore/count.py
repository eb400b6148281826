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
    counted, look_at = Count(), 0
    layer: dict[State, int] = {graph.start: 1}
    while layer and not counted.stopped:
        if counted.depth == STEPS_MAX:
            _cut_off(sum(layer.values()), counted)
            break
        following: dict[State, int] = {}
        for state, ways in layer.items():
            if counted.states >= look_at:
                counted.stopped = limit_reached(limits, counted.states)
                if counted.stopped:
                    break
                if on_progress is not None:
                    on_progress(counted.states)
                look_at = min(counted.states + LOOK_EVERY, limits.states_max)
            counted.states += 1
            moves = graph.successors(state)
            for _, _, after, _ in moves:
                following[after] = following.get(after, 0) + ways
            if not moves:
                _finish(graph, state, ways, counted)
        layer = following
        counted.depth += 1
    return counted


def _cut_off(ways: int, counted: Count) -> None:
    counted.overlong += ways
    counted.interleavings += ways
    counted.outcomes["cut off"] += ways


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
