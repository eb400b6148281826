"""Depth-first search through every schedule of a setting, and the cell of the matrix it fills."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from engine.errors import UsageError
from engine.explore.controller import (
    Move,
    Run,
    ScheduleMismatch,
    Taken,
    follow,
    run_schedule,
)
from engine.explore.faults import Faults
from engine.explore.harvest import Harvest
from engine.explore.judge import WORST_FIRST, judge, outcome_label
from engine.explore.reading_order import Canonical
from engine.explore.witness import Observer, marked
from engine.explore.world import Setting, World
from engine.results import Witness
from engine.verdicts import Break, Verdict

OpenWorld = Callable[[], Awaitable[World]]
OnProgress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Budget:
    """Where a search stops unfinished; the verdict is then `bounded`, or `broken` if it is.

    `runs_max` is for schedules that are run one by one, `states_max` for the state graph.
    """

    runs_max: int = 500_000
    seconds_max: float = 600.0
    states_max: int = 2_000_000
    memory_mb_max: float = 4_000.0


@dataclass(frozen=True, slots=True)
class Explored:
    """What a search found. `method` says how; `states` are those of the graph, 0 without one.

    `backoffs_max` is how often one client had to try again in the worst interleaving,
    `preemptions_fewest` what a losing schedule needs at least, where that is proven,
    `memory_mb` what the process held in the end.
    """

    verdict: Verdict
    kinds: tuple[Break, ...]
    interleavings: int
    losing: int
    outcomes: Mapping[str, int]
    witness: Witness | None
    seconds: float
    note: str
    method: str = "schedule by schedule"
    states: int = 0
    backoffs_max: int = 0
    preemptions_fewest: int | None = None
    memory_mb: float = 0.0


async def explore(
    setting: Setting,
    open_world: OpenWorld,
    *,
    faults: Faults,
    budget: Budget,
    on_progress: OnProgress | None = None,
) -> Explored:
    """Run every schedule of `setting`, judge each, and keep the shortest losing one."""
    started, harvest, prefix = time.monotonic(), Harvest(), list[int]()
    while not harvest.complete:
        if harvest.runs >= budget.runs_max:
            break
        if time.monotonic() - started > budget.seconds_max:
            break
        run = await run_schedule(await open_world(), faults, _after(prefix))
        harvest.add(setting.scenario, run, faulted=faults != setting.scenario.faults)
        if on_progress is not None:
            on_progress(harvest.runs)
        prefix, harvest.complete = _next(run)
    harvest.covered = f"{harvest.runs:,} interleavings, not all"
    if harvest.complete:
        harvest.covered = f"all {harvest.runs:,} interleavings"
    return await gathered(harvest, setting, open_world, faults, started, "schedule by schedule")


async def gathered(
    harvest: Harvest,
    setting: Setting,
    open_world: OpenWorld,
    faults: Faults,
    started: float,
    method: str,
) -> Explored:
    """What the runs amount to, with the losing one that says it best."""
    witness = None
    if harvest.best:
        losing = [run.taken for run in harvest.best]
        witness = await told_best(setting, open_world, faults, losing)
    note = harvest.covered
    if harvest.overlong:
        note = f"{harvest.overlong:,} interleavings were cut off as too long"
    elif harvest.complete and not harvest.succeeded:
        note += "; no request ever succeeded"
    return Explored(
        harvest.verdict,
        tuple(kind for kind in WORST_FIRST if kind in harvest.kinds),
        harvest.runs,
        harvest.losing,
        dict(harvest.outcomes.most_common()),
        witness,
        time.monotonic() - started,
        note,
        method,
    )


def _after(prefix: Sequence[int]) -> Callable[[Sequence[Move]], int]:
    """Choose as in `prefix`, then always the first option."""
    choices = iter(prefix)
    return lambda options: next(choices, 0)


def _next(run: Run) -> tuple[list[int], bool]:
    """The prefix that leads to the next schedule in depth-first order; True if there is none."""
    position = len(run.taken) - 1
    while position >= 0 and run.taken[position].chosen == run.taken[position].options - 1:
        position -= 1
    if position < 0:
        return [], True
    prefix = [taken.chosen for taken in run.taken[: position + 1]]
    prefix[-1] += 1
    return prefix, False


async def told_best(
    setting: Setting,
    open_world: OpenWorld,
    faults: Faults,
    candidates: Sequence[Sequence[Taken]],
) -> Witness:
    """The candidate that reads best, replayed; a replay that disagrees is never shown."""
    told = Canonical([program.name for program in setting.scenario.programs]).best(candidates)
    for schedule in (told, tuple(str(taken.move) for taken in candidates[0])):
        # Steps may depend on each other through memory that no step shows, such as a cache's
        # doubts; an order that cannot be taken then gives way to the one that was.
        with suppress(UsageError):
            witness = await replay(setting, open_world, schedule, faults)
            if witness.findings:
                return witness
    raise UsageError(
        f"the losing schedule {' '.join(told)} did not lose again:"
        " the code under test has hidden state",
        "keep all memory that calls share in Runtime.cell",
    )


async def replay(
    setting: Setting, open_world: OpenWorld, schedule: tuple[str, ...], faults: Faults
) -> Witness:
    """Run one schedule and tell it step by step; ScheduleMismatch if the code does not follow."""
    observer = Observer()
    run = await run_schedule(await open_world(), faults, follow(schedule), observer)
    if len(run.schedule) < len(schedule):
        raise ScheduleMismatch(
            f"the run ends after {len(run.schedule)} of the schedule's {len(schedule)} steps",
            "it was recorded with other code: explore again",
        )
    findings = judge(setting.scenario, run, faulted=faults != setting.scenario.faults)
    return Witness(
        run.schedule,
        run.preemptions,
        marked(observer.events, findings),
        findings,
        "; ".join(finding.message for finding in findings) or "nothing is wrong",
        setting.scenario.correct,
        {account: row.balance for account, row in run.ending.rows.items()},
        outcome_label(run, findings),
    )
