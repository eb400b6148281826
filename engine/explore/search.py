"""Depth-first search through every schedule of a setting, and the cell of the matrix it fills."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from engine.errors import UsageError
from engine.explore.controller import Move, Run, ScheduleMismatch, follow, run_schedule
from engine.explore.faults import Faults
from engine.explore.judge import WORST_FIRST, judge, outcome_label
from engine.explore.witness import Observer, canonical, marked
from engine.explore.world import Setting, World
from engine.history import Outcome
from engine.results import Witness
from engine.verdicts import Break, Finding, Verdict

OpenWorld = Callable[[], Awaitable[World]]
OnProgress = Callable[[int], None]

# So many of the best losing runs are put into reading order.
CANDIDATES_MAX = 200


@dataclass(frozen=True, slots=True)
class Budget:
    """Where a search stops unfinished; the verdict is then `bounded`, or `broken` if it is."""

    interleavings_max: int = 500_000
    seconds_max: float = 600.0


@dataclass(slots=True)
class _Tally:
    interleavings: int = 0
    losing: int = 0
    overlong: int = 0
    succeeded: bool = False
    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: set[Break] = field(default_factory=set)
    best_rank: tuple[int, int, int] | None = None
    best: list[Run] = field(default_factory=list)
    judged: dict[object, tuple[tuple[Finding, ...], str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explored:
    """What a search found."""

    verdict: Verdict
    kinds: tuple[Break, ...]
    interleavings: int
    losing: int
    outcomes: Mapping[str, int]
    witness: Witness | None
    seconds: float
    note: str


async def explore(
    setting: Setting,
    open_world: OpenWorld,
    *,
    faults: Faults,
    budget: Budget,
    on_progress: OnProgress | None = None,
) -> Explored:
    """Run every schedule of `setting`, judge each, and keep the shortest losing one."""
    started = time.monotonic()
    tally, prefix, complete = _Tally(), list[int](), False
    while not complete:
        if tally.interleavings >= budget.interleavings_max:
            break
        if time.monotonic() - started > budget.seconds_max:
            break
        run = await run_schedule(await open_world(), faults, _after(prefix))
        _count(tally, setting, run, faulted=faults != setting.scenario.faults)
        if on_progress is not None:
            on_progress(tally.interleavings)
        prefix, complete = _next(run)
    witness = await _witness(setting, open_world, faults, tally.best) if tally.best else None
    return Explored(
        _verdict(tally, complete),
        tuple(kind for kind in WORST_FIRST if kind in tally.kinds),
        tally.interleavings,
        tally.losing,
        dict(tally.outcomes.most_common()),
        witness,
        time.monotonic() - started,
        _note(tally, complete),
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


def _count(tally: _Tally, setting: Setting, run: Run, *, faulted: bool) -> None:
    tally.interleavings += 1
    if run.overlong:
        tally.overlong += 1
        tally.outcomes["cut off"] += 1
        return
    tally.succeeded = tally.succeeded or any(c.outcome is Outcome.OK for c in run.history)
    # Many schedules end alike: each ending is judged once.
    ending = (
        *(run.ending.log, run.ending.leaked, tuple(run.ending.rows.items())),
        *(run.deadlocked, run.awaited, run.faults, run.excused, _ranks(run)),
    )
    if ending not in tally.judged:
        found = judge(setting.scenario, run, faulted=faulted)
        tally.judged[ending] = found, outcome_label(run, found)
    findings, label = tally.judged[ending]
    tally.outcomes[label] += 1
    if not findings:
        return
    tally.losing += 1
    tally.kinds |= {finding.kind for finding in findings}
    worst = min(WORST_FIRST.index(finding.kind) for finding in findings)
    faults_used = sum("!" in move for move in run.schedule)
    rank = (worst, faults_used, run.preemptions)
    if tally.best_rank is None or rank < tally.best_rank:
        tally.best_rank, tally.best = rank, []
    if rank == tally.best_rank and len(tally.best) < CANDIDATES_MAX:
        tally.best.append(run)


def _ranks(run: Run) -> tuple[object, ...]:
    """The history with its times replaced by their order, so that equal ones compare equal."""
    times = sorted({c.invoked_ns for c in run.history} | {c.completed_ns or 0 for c in run.history})
    rank = {moment: number for number, moment in enumerate(times)}
    return tuple(
        (c.client, c.request, c.outcome, c.code, c.answer, c.key)
        + (rank[c.invoked_ns], rank[c.completed_ns or 0], c.completed_ns is None)
        for c in run.history
    )


async def _witness(
    setting: Setting,
    open_world: OpenWorld,
    faults: Faults,
    candidates: Sequence[Run],
) -> Witness:
    """The candidate that reads best, replayed; a replay that disagrees is never shown."""
    lanes = [program.name for program in setting.scenario.programs]
    order = {lane: number for number, lane in enumerate(lanes)}

    def reading_order(schedule: tuple[str, ...]) -> list[int]:
        return [order.get(Move.parse(move).lane, len(order)) for move in schedule]

    told = min((canonical(run.taken, lanes) for run in candidates), key=reading_order)
    for schedule in (told, candidates[0].schedule):
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


def _verdict(tally: _Tally, complete: bool) -> Verdict:
    if tally.losing:
        return Verdict.BROKEN
    return Verdict.SAFE if complete and not tally.overlong else Verdict.BOUNDED


def _note(tally: _Tally, complete: bool) -> str:
    if not complete:
        return f"{tally.interleavings:,} interleavings, not all"
    if tally.overlong:
        return f"{tally.overlong:,} interleavings were cut off as too long"
    barren = "" if tally.succeeded else "; no request ever succeeded"
    return f"all {tally.interleavings:,} interleavings{barren}"
