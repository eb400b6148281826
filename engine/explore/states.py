"""Explore a setting state by state: exact numbers, the shortest losing schedule, real runs beside.

What the graph says is confirmed by running the real coroutines: the losing schedule always, and a
few schedules drawn by luck, each compared with the graph move by move. If they disagree, the code
under test has memory that the explorer cannot see, and `Unfit` says so.
"""

import gc
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from engine.errors import UsageError
from engine.explore.controller import Move, run_schedule
from engine.explore.count import Count, Limits, count
from engine.explore.ends import End, end_of
from engine.explore.faults import Faults
from engine.explore.frozen import LearnedMore, Unfit
from engine.explore.graph import Graph
from engine.explore.independence import Learned
from engine.explore.judge import WORST_FIRST, judge, outcome_label
from engine.explore.moves import State
from engine.explore.search import (
    Budget,
    Explored,
    OnProgress,
    OpenWorld,
    told_best,
)
from engine.explore.shortest import Shortest, shortest
from engine.explore.world import Setting
from engine.results import Witness
from engine.verdicts import Verdict

METHOD = "state by state"
# Schedules drawn by luck are run for real and compared with the graph: one, and one more for each
# so many states, so that they take their share of the time.
STATES_PER_SAMPLE = 4_000
SAMPLES_MAX = 10
# Of the best schedules, which come in the order of the clients, so many are put into reading order.
TOLD_MAX = 12


async def explore_states(
    setting: Setting,
    open_world: OpenWorld,
    *,
    faults: Faults,
    budget: Budget,
    on_progress: OnProgress | None = None,
) -> Explored:
    """Count all interleavings of `setting` and find the shortest losing one. Unfit."""
    started, known = time.monotonic(), Learned()
    limits = Limits(budget.states_max, started + budget.seconds_max, budget.memory_mb_max)
    while True:
        try:
            graph = Graph(setting, faults, known)
            with _uncollected(), closing(graph):
                counted, found, witness = await _explored(
                    graph, setting, open_world, limits, on_progress
                )
            break
        except LearnedMore:
            if not known.news:
                raise Unfit("the code under test looks at its memory in ever new ways") from None
            continue  # the graph is built anew with what is known now
    return Explored(
        _verdict(counted),
        tuple(kind for kind in WORST_FIRST if kind in counted.kinds),
        counted.interleavings,
        counted.losing,
        dict(counted.outcomes.most_common()),
        witness,
        time.monotonic() - started,
        _note(counted),
        METHOD,
        counted.states,
        graph.automaton.backoffs_max,
        found and found.preemptions,
    )


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector: it would go through all states again and again, and finds
    next to nothing, since a state refers to no later one."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


async def _explored(
    graph: Graph,
    setting: Setting,
    open_world: OpenWorld,
    limits: Limits,
    on_progress: OnProgress | None,
) -> tuple[Count, Shortest | None, Witness | None]:
    """The counts, the shortest losing schedule and its replay. LearnedMore, Unfit."""
    while True:
        graph.learned.news = False
        try:
            counted = count(graph, limits, on_progress)
            samples = min(SAMPLES_MAX, 1 + counted.states // STATES_PER_SAMPLE)
            await _sample(graph, setting, open_world, samples)
            found = _shortest(graph, counted, limits)
            witness = found and await _confirmed(found, setting, open_world, graph.faults)
        except LearnedMore:
            if graph.outdated:
                raise
            graph.forget_past()
        else:
            return counted, found, witness


def _shortest(graph: Graph, counted: Count, limits: Limits) -> Shortest | None:
    """The best schedule that breaks what is worst; None if none does, or no time is left."""
    if not counted.kinds:
        return None
    worst = min(counted.kinds, key=WORST_FIRST.index)

    def wanted(end: End) -> bool:
        return any(finding.kind is worst for finding in end.findings)

    return shortest(graph, wanted, limits, schedules_max=TOLD_MAX)


async def _confirmed(
    found: Shortest, setting: Setting, open_world: OpenWorld, faults: Faults
) -> Witness:
    try:
        witness = await told_best(setting, open_world, faults, found.schedules)
    except UsageError as error:
        raise Unfit(f"a replay disagrees: {error}") from None
    if witness.outcome not in found.outcomes:
        raise Unfit(f"a replay ends in {witness.outcome}, which the state graph does not")
    return witness


async def _sample(graph: Graph, setting: Setting, open_world: OpenWorld, samples: int) -> None:
    """Compare real runs with the graph; Unfit if they disagree."""
    for number in range(samples):
        walk = _Walk(graph, random.Random(number))
        run = await run_schedule(await open_world(), graph.faults, walk.choose)
        if run.overlong:
            continue
        findings = judge(setting.scenario, run, faulted=graph.faulted)
        ended = outcome_label(run, findings)
        if graph.successors(walk.state) or end_of(graph, walk.state).label != ended:
            raise Unfit(f"a real run ends in {ended}, which the state graph does not")


class _Walk:
    """Chooses by luck, and goes the same way through the graph."""

    def __init__(self, graph: Graph, rng: random.Random) -> None:
        self.state: State = graph.start
        self._graph = graph
        self._rng = rng

    def choose(self, options: Sequence[Move]) -> int:
        successors = self._graph.successors(self.state)
        nodes, _, _ = self.state
        # Pairs, which equal moves of the same parts and are made in less time.
        known = [(nodes[lane].name, how) for lane, how, _, _ in successors]
        # Background work may be listed in another order; hashing every move would be slow.
        if known != list(options) and set(known) != set(options):
            raise Unfit("a real run can make other moves than the state graph knows")
        chosen = self._rng.randrange(len(options))
        _, _, self.state, _ = successors[known.index(options[chosen])]
        return chosen


def _verdict(counted: Count) -> Verdict:
    if counted.losing:
        return Verdict.BROKEN
    if counted.stopped or counted.overlong:
        return Verdict.BOUNDED
    return Verdict.SAFE if counted.answered else Verdict.UNKNOWN


def _note(counted: Count) -> str:
    if counted.stopped:
        return (
            f"stopped {counted.stopped}, {counted.depth} steps deep;"
            f" {counted.interleavings:,} interleavings to their end, not all"
        )
    if counted.overlong:
        return f"{counted.overlong:,} interleavings were cut off as too long"
    barren = "" if counted.succeeded else "; no request ever succeeded"
    return f"all {counted.interleavings:,} interleavings, {counted.states:,} states{barren}"
