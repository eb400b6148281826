"""Random concurrent programs under random schedules, judged like everything else; for the report.

Hypothesis draws them and shrinks one that loses. What held in every program that was tried is
clean and never safe: most schedules of most programs were not run.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from hypothesis import Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from engine.errors import UsageError
from engine.explore.cells import STORES, dialect_of, explore_cell, setting_of
from engine.explore.controller import Choose, Run, run_schedule
from engine.explore.gated import GatedWorld
from engine.explore.judge import judge
from engine.explore.live import Live
from engine.explore.live_stores import LIVE_STORES, live_database
from engine.explore.model import ModelWorld, run_now
from engine.explore.plan import Counts
from engine.explore.search import Budget
from engine.explore.world import Setting, World
from engine.results import Cell, ProgramsResult
from engine.verdicts import Finding, Verdict
from scenarios.concurrent_program import CLIENT_NAMES, ConcurrentProgram
from scenarios.expectations import needs_one_order
from scenarios.program_strategies import by_luck, luck, programs, topologies_for

T = TypeVar("T")
Play = Callable[[ConcurrentProgram, str, Choose], Run]


# Random schedules for each program; more once one has lost, so that the shrunk ones lose too.
SCHEDULES = 3
SCHEDULES_TO_SHRINK = 6
# What the whole exploration of one small program may cost.
SMALL = Budget(runs_max=5_000, seconds_max=20.0)


def run_programs(lock: str, store: str, *, examples: int, seed: int) -> ProgramsResult:
    """Try so many random programs under `lock`, in topologies where it should hold if it can.

    Broken comes with the smallest losing program in words, clean means that none was found;
    `examples` of the result counts the programs up to the first that lost. The same seed draws
    the same programs. Not for use inside a running event loop. UsageError for unknown names.
    """
    started = time.monotonic()
    lost: list[bool] = []
    with player(store) as play:

        def loses(drawn: tuple[ConcurrentProgram, int]) -> bool:
            schedules = SCHEDULES_TO_SHRINK if True in lost else SCHEDULES
            lost.append(losing_run(play, lock, *drawn, schedules=schedules) is not None)
            return lost[-1]

        smallest = _smallest(st.tuples(programs(topologies_for(lock)), luck), loses, examples, seed)
    return ProgramsResult(
        lock,
        store,
        examples=lost.index(True) + 1 if smallest else len(lost),
        verdict=Verdict.BROKEN if smallest else Verdict.CLEAN,
        expected=expected_of(lock),
        smallest=str(smallest[0]) if smallest else "",
        seconds=time.monotonic() - started,
    )


def _smallest(
    drawn: st.SearchStrategy[T], loses: Callable[[T], bool], examples: int, seed: int
) -> T | None:
    wanted = settings(
        max_examples=examples,
        phases=(Phase.generate, Phase.shrink),
        database=None,
        deadline=None,
        derandomize=False,
    )
    try:
        return find(drawn, loses, settings=wanted, random=random.Random(seed))
    except NoSuchExample:
        return None


def losing_run(
    play: Play, lock: str, program: ConcurrentProgram, seed: int, *, schedules: int
) -> tuple[Run, tuple[Finding, ...]] | None:
    """The first of so many random schedules under which the program loses, and what it loses."""
    for number in range(schedules):
        run = play(program, lock, by_luck(random.Random(f"{seed}.{number}")))
        if findings := judge(program.scenario(), run, faulted=False):
            return run, findings
    return None


def explored_program(
    program: ConcurrentProgram, lock: str, *, counts: Counts = Counts.EXACT
) -> Cell:
    """Every interleaving of the program in the model, as far as a small budget goes.

    Not for use inside a running event loop.
    """
    cell = explore_cell(
        program.scenario(), lock, program.topology, "memory", budget=SMALL, counts=counts
    )
    return asyncio.run(cell)


def expected_of(lock: str) -> Verdict:
    """Broken for those that are declared wrong even within one service, clean for all others."""
    wrong = needs_one_order(lock, "one-service") is Verdict.BROKEN
    return Verdict.BROKEN if wrong else Verdict.CLEAN


@contextmanager
def player(store: str) -> Iterator[Play]:
    """Plays programs on `store`, one after another: (program, lock, chooser) to a run.

    A real database is temporary and kept open from run to run, on an event loop of its own.
    """
    if store.startswith("memory") and store in STORES:

        async def model(setting: Setting) -> World:
            return ModelWorld(setting)

        yield lambda *played: run_now(_play(store, model, *played))
    elif store in LIVE_STORES:
        with asyncio.Runner() as runner:
            # One connection for each client's transaction, one for everybody else.
            database = live_database(store, connections=len(CLIENT_NAMES) + 1)
            live = runner.run(database.__aenter__())
            try:
                yield lambda *played: runner.run(_play(store, partial(_gated, live), *played))
            finally:
                runner.run(database.__aexit__(None, None, None))
    else:
        raise UsageError(f"no store {store!r}", f"known: {', '.join(STORES)}")


async def _gated(live: Live, setting: Setting) -> World:
    return await GatedWorld.open(setting, live)


async def _play(
    store: str,
    open_world: Callable[[Setting], Awaitable[World]],
    program: ConcurrentProgram,
    lock: str,
    choose: Choose,
) -> Run:
    setting = setting_of(program.scenario(), lock, program.topology, dialect=dialect_of(store))
    world = await open_world(setting)
    try:
        return await run_schedule(world, program.faults, choose)
    except BaseException:
        # The chooser may give up in the middle; nobody is left waiting for it.
        await world.dispose()
        raise
