"""How a path through the state graph ended: judged like a run, from what its last state kept.

The past of a state says for every call which calls had been answered before it was invoked. Those
sets only grow with time, so they can be put on a line again: the judge gets step numbers that have
exactly the real-time order that the runs had.
"""

from dataclasses import replace
from typing import NamedTuple

from engine.explore.controller import Run
from engine.explore.graph import CALLS_MAX, Graph, State
from engine.explore.judge import judge, outcome_label
from engine.explore.memory import leaked
from engine.explore.steps import awaited
from engine.explore.world import Ending
from engine.history import CallRecord, Outcome
from engine.verdicts import Finding


class End(NamedTuple):
    """What all runs that end in one state have in common."""

    findings: tuple[Finding, ...]
    label: str
    succeeded: bool


def end_of(graph: Graph, state: State) -> End:
    """Judge a state from which nothing follows."""
    stuck = [state.nodes[lane] for lane in graph.waiting(state)]
    shared = state.common.shared
    held = [f"mutex {mutex.name}" for mutex, _ in shared.held]
    history = _history(state)
    run = Run(
        taken=(),
        deadlocked=tuple(node.name for node in stuck),
        awaited=tuple(awaited(node.step) for node in stuck if node.step is not None),
        overlong=False,
        ending=Ending(
            dict(shared.db.tables.rows),
            (),
            tuple(held + leaked(shared.db)),
            gap=shared.db.tables.gap,
        ),
        history=history,
        faults=tuple(f"{node.name}: {node.fault}" for node in state.nodes if node.fault),
    )
    findings = judge(graph.scenario, run, faulted=graph.faulted)
    succeeded = any(call.outcome is Outcome.OK for call in history)
    return End(findings, outcome_label(run, findings), succeeded)


def _history(state: State) -> tuple[CallRecord, ...]:
    """The calls of all clients, with times that have the order that the past kept."""
    before = dict(state.past.before)
    # An answer comes before the first set that holds it, an invocation with its own set.
    sets = sorted({0, *before.values()}, key=int.bit_count)
    when = {mask: 2 * number for number, mask in enumerate(sets)}
    calls = []
    for node in state.nodes:
        for number, call in enumerate(node.calls):
            bit = node.order * CALLS_MAX + number
            completed = call.completed_ns
            if completed is not None:
                holding = [when[mask] for mask in sets if mask >> bit & 1]
                completed = min(holding, default=2 * len(sets)) - 1
            invoked = when[before.get(bit, 0)]
            calls.append(replace(call, invoked_ns=invoked, completed_ns=completed))
    return tuple(calls)

