"""Which way a setting is explored: the best that its code and the budget allow.

| wanted, and possible                             | the way                                  |
|--------------------------------------------------|------------------------------------------|
| exact counts, all memory in cells                | state graph                              |
| exact counts otherwise (live database, asyncio)  | every schedule, one by one               |
| a verdict only                                   | one run a trace, until one loses; the    |
|                                                  | graph if there are many                  |
| nothing lost so far, and the budget is used up   | some runs by luck (PCT) of what was left |

Only the first three can say *safe*, and only when they came to their end.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from enum import StrEnum

from engine.errors import UsageError
from engine.explore.faults import Faults
from engine.explore.frozen import Unfit
from engine.explore.loop import no_loop
from engine.explore.memory_postgres import NotModelled
from engine.explore.outliving import Globals
from engine.explore.reduction import explore_reduced
from engine.explore.sampling import sample
from engine.explore.search import Budget, Explored, OnProgress, OpenWorld, explore, gathered
from engine.explore.states import explore_states
from engine.explore.world import Setting
from engine.resident import memory_mb
from engine.verdicts import Verdict

# With so many traces the state graph, which merges, is the shorter way.
TRACES_MAX = 1_000
# What a search that ran out of its budget may still try by luck.
SAMPLE_RUNS_MAX = 1_000
SAMPLE_SECONDS_MAX = 10.0
# The rest of the seconds is for luck, where the search did not come to its end.
SHARE_OF_SEARCH = 0.9
PCT_DEPTH = 3


class Counts(StrEnum):
    """What is counted: every interleaving, or nothing as long as the verdict is right."""

    EXACT = "exact"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Task:
    """A setting, the worlds it can be run in, and how much may be spent on it.

    `graph` says that the worlds are models whose states can be compared.
    """

    setting: Setting
    open_world: OpenWorld
    graph: bool
    faults: Faults
    budget: Budget
    counts: Counts = Counts.EXACT
    on_progress: OnProgress | None = None


Way = Callable[[Task, Budget], Awaitable[Explored]]


async def explore_task(task: Task) -> Explored:
    """Explore it the best way there is."""
    started, held = time.monotonic(), Globals(task.setting)
    try:
        # Models are driven by hand, and nothing is waited for.
        with no_loop() if task.graph else nullcontext():
            found = await _explored(task, started)
    except NotModelled as why:
        found = Explored(Verdict.UNKNOWN, (), 0, 0, {}, None, 0.0, str(why), "not explored")
    except UsageError:
        held.check()  # says better what is wrong
        raise
    held.check()
    return replace(found, seconds=time.monotonic() - started, memory_mb=memory_mb())


async def _explored(task: Task, started: float) -> Explored:
    reasons: list[str] = []
    for way in _ways(task):
        try:
            found = await way(task, _what_is_left(task.budget, started, SHARE_OF_SEARCH))
        except Unfit as why:
            reasons.append(str(why))
            continue
        if found.verdict is not Verdict.BOUNDED or way is not _few_traces:
            break
    if found.verdict is Verdict.BOUNDED:
        found = await _by_luck(task, _what_is_left(task.budget, started, 1.0), found)
    return replace(found, note="; ".join((found.note, *reasons))) if reasons else found


def _what_is_left(budget: Budget, started: float, share: float) -> Budget:
    """The budget with what is left of this share of its seconds."""
    left_s = budget.seconds_max * share - (time.monotonic() - started)
    return replace(budget, seconds_max=max(0.0, left_s))


def _ways(task: Task) -> tuple[Way, ...]:
    """From the best to the one that always works."""
    if task.counts is Counts.EXACT:
        return (_state_by_state, _every_schedule) if task.graph else (_every_schedule,)
    return (_few_traces, _state_by_state, _all_traces) if task.graph else (_all_traces,)


async def _state_by_state(task: Task, budget: Budget) -> Explored:
    return await _whole(explore_states, task, budget)


async def _every_schedule(task: Task, budget: Budget) -> Explored:
    return await _whole(explore, task, budget)


async def _whole(
    search: Callable[..., Awaitable[Explored]], task: Task, budget: Budget
) -> Explored:
    return await search(
        task.setting,
        task.open_world,
        faults=task.faults,
        budget=budget,
        on_progress=task.on_progress,
    )


async def _few_traces(task: Task, budget: Budget) -> Explored:
    return await _traces(task, min(TRACES_MAX, budget.runs_max), budget.seconds_max)


async def _all_traces(task: Task, budget: Budget) -> Explored:
    return await _traces(task, budget.runs_max, budget.seconds_max)


async def _traces(task: Task, runs_max: int, seconds_max: float) -> Explored:
    started = time.monotonic()
    harvest = await explore_reduced(
        task.setting,
        task.open_world,
        faults=task.faults,
        runs_max=runs_max,
        seconds_max=seconds_max,
        until_lost=True,
        on_progress=task.on_progress,
    )
    return await gathered(
        harvest, task.setting, task.open_world, task.faults, started, "trace by trace"
    )


async def _by_luck(task: Task, budget: Budget, found: Explored) -> Explored:
    """Nothing was lost in what was explored; some runs of the rest may still lose."""
    started = time.monotonic()
    harvest = await sample(
        task.setting,
        task.open_world,
        faults=task.faults,
        runs_max=min(SAMPLE_RUNS_MAX, budget.runs_max),
        seconds_max=min(SAMPLE_SECONDS_MAX, budget.seconds_max),
        seed=0,
        depth=PCT_DEPTH,
        on_progress=task.on_progress,
    )
    note = f"{found.note}; beside it {harvest.covered}"
    if not harvest.losing:
        return replace(found, note=note)
    lost = await gathered(harvest, task.setting, task.open_world, task.faults, started, "by luck")
    return replace(lost, note=note, states=found.states)
