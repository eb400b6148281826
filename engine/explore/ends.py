"""How a path through the state graph ended: judged like a run, from what its last state kept."""

from typing import NamedTuple

from engine.explore.controller import Run
from engine.explore.frozen import LearnedMore
from engine.explore.graph import Graph
from engine.explore.harvest import was_answered
from engine.explore.judge import judge, outcome_label
from engine.explore.leases import leaked
from engine.explore.moves import State
from engine.explore.past import on_a_line
from engine.explore.steps import awaited
from engine.explore.world import Ending
from engine.history import Outcome
from engine.verdicts import Finding


class End(NamedTuple):
    """What all runs that end in one state have in common."""

    findings: tuple[Finding, ...]
    label: str
    answered: bool
    succeeded: bool


def end_of(graph: Graph, state: State) -> End:
    """Judge a state from which nothing follows; each ending is judged once."""
    nodes, common, past = state
    key = (nodes, common, past.before, past.faults)
    end = graph.ends.get(key)
    if end is None:
        end = graph.ends[key] = _judged(graph, state)
    return end


def _judged(graph: Graph, state: State) -> End:
    nodes, common, past = state
    stuck = [nodes[lane] for lane in graph.waiting(state)]
    shared = common.shared
    held = [f"mutex {mutex.name}" for mutex, _ in shared.held]
    history = on_a_line(nodes, past, graph.learned)
    if graph.learned.news:  # a call that was never answered connects accounts too
        raise LearnedMore
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
        excused=graph.faults.excuse(past.faults),
        faults=tuple(f"{node.name}: {node.fault}" for node in nodes if node.fault),
    )
    findings = judge(graph.scenario, run, faulted=graph.faulted)
    succeeded = any(call.outcome is Outcome.OK for call in history)
    return End(findings, outcome_label(run, findings), was_answered(history), succeeded)
