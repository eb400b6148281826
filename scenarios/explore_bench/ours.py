"""Our explorer on one case; the only module here that knows how it is called."""

from time import perf_counter

from engine.explore.cells import explore_cell
from engine.explore.model import run_now
from engine.explore.plan import Counts
from engine.explore.search import Budget
from engine.results import Cell
from engine.verdicts import Verdict
from scenarios.explore_bench.cases import CASES, Answer, Asks
from scenarios.explore_bench.our_programs import setting

_UNBOUNDED = 10**12


def ours(name: str, limit_s: float) -> Answer:
    """Explore the case called `name`, for so many seconds at most."""
    case = CASES[name]
    scenario, lock = setting(case)
    # Where a race is to be found, or a few runs shall do, nobody asks how many interleavings
    # there are.
    verdict_only = case.asks is Asks.FIND or case.target_runs is not None
    counts = Counts.NONE if verdict_only else Counts.EXACT
    budget = Budget(_UNBOUNDED, limit_s)
    started = perf_counter()
    cell: Cell = run_now(
        explore_cell(scenario, lock, "one-service", "memory", budget=budget, counts=counts)
    )
    seconds = perf_counter() - started
    # A state graph runs nothing; without one every trace is a run.
    runs, states = (None, cell.states) if cell.states else (cell.interleavings, None)
    counted = cell.interleavings if counts is Counts.EXACT else None
    if case.asks is Asks.FIND:
        found = cell.verdict is Verdict.BROKEN and cell.witness is not None
        return Answer(seconds, found, cell.verdict, runs, states, counted, cell.losing)
    if case.asks is Asks.PROVE:
        safe = cell.verdict is Verdict.SAFE
        told = counted if safe else None
        return Answer(seconds, safe, "proven" if safe else cell.verdict, runs, states, told)
    if counted != case.interleavings:
        return Answer(seconds, False, "not all explored", runs, states)
    return Answer(seconds, True, "counted", runs, states, counted, cell.losing)
