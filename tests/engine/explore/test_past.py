"""What a state keeps of the past: the real-time order of the calls, neither less nor more."""

import random
from itertools import permutations

import pytest

from engine.explore.automaton import Node
from engine.explore.cells import setting_of
from engine.explore.faults import Faults
from engine.explore.graph import Graph
from engine.explore.independence import Learned
from engine.explore.past import CALLS_MAX, Past, Pasts, on_a_line
from engine.history import CallRecord, Outcome
from engine.operations import Add
from scenarios.catalogue import SCENARIOS

CLIENTS, CALLS = 3, 3


def told(rng: random.Random) -> tuple[tuple[Node, ...], Past]:
    """Clients that called at random moments, and what is kept of that."""
    calls: list[list[CallRecord]] = [[] for _ in range(CLIENTS)]
    before: dict[int, int] = {}
    done, open_ = 0, set[int]()
    while len(before) < CLIENTS * CALLS or open_:
        client = rng.randrange(CLIENTS)
        if client in open_:
            open_.remove(client)
            if calls[client][-1].completed_ns is not None:
                done |= 1 << client * CALLS_MAX + len(calls[client]) - 1
        elif len(calls[client]) < CALLS:
            before[client * CALLS_MAX + len(calls[client])] = done
            lost = rng.random() < 0.2
            outcome = Outcome.UNKNOWN if lost else Outcome.OK
            calls[client].append(
                CallRecord("ABC"[client], Add("alice", 1), 0, None if lost else 0, outcome)
            )
            open_.add(client)
    nodes = []
    for order, made in enumerate(calls):
        node = Node()
        node.order, node.calls = order, tuple(made)
        nodes.append(node)
    kept = tuple(sorted((bit, mask) for bit, mask in before.items() if mask))
    return tuple(nodes), Pasts(Faults()).one((), kept)


@pytest.mark.parametrize("seed", range(50))
def test_calls_on_a_line_have_the_order_that_was_kept_and_no_other(seed: int) -> None:
    nodes, past = told(random.Random(seed))
    line = on_a_line(nodes, past, Learned())
    bits = [client * CALLS_MAX + number for client in range(CLIENTS) for number in range(CALLS)]
    before, calls = dict(past.before), dict(zip(bits, line, strict=True))
    assert all(c.completed_ns is None or c.invoked_ns < c.completed_ns for c in line)
    for (bit, call), (other, earlier) in permutations(calls.items(), 2):
        came_first = earlier.completed_ns is not None and earlier.completed_ns < call.invoked_ns
        assert came_first == bool(before.get(bit, 0) >> other & 1)


def test_a_graph_that_begins_again_keeps_nothing_of_the_past() -> None:
    setting = setting_of(SCENARIOS["documented-race"], "none", "one-service")
    graph = Graph(setting, Faults(), Learned())
    try:
        state = graph.start
        while moves := graph.successors(state):
            _, _, state, _ = moves[0]
        runs = graph.automaton.runs
        assert graph.start[2].later
        graph.forget_past()
        assert not graph.start[2].later
        assert (graph.start[2].done, graph.start[2].before) == ((), ())
        graph.successors(graph.start)
        assert graph.automaton.runs == runs  # where clients stand is still known
    finally:
        graph.close()
