"""frontrun and detangle on one case each, set up to answer it as fast and as fully as they can."""

import asyncio
import importlib
import importlib.util
from importlib import metadata
from time import perf_counter
from typing import Any

from scenarios.explore_bench.asyncio_programs import AsyncioProgram, Bank, program
from scenarios.explore_bench.cases import CASES, Answer, Asks

INSTALL = 'pip install "walletrace[bench]"'
_UNBOUNDED = 10**9


def version(tool: str) -> str | None:
    """The installed version of a peer; None if it is not there."""
    return metadata.version(tool) if importlib.util.find_spec(tool) is not None else None


class _Watch:
    """The invariant, which counts losing ends, and stands or falls by them only if asked."""

    def __init__(self, story: AsyncioProgram, *, only_counts: bool) -> None:
        self.losing = 0
        self._story = story
        self._only_counts = only_counts

    def __call__(self, bank: Bank) -> bool:
        right = self._story.is_right(bank)
        self.losing += not right
        return right or self._only_counts


def frontrun(name: str, limit_s: float) -> Answer:
    """DPOR. Proofs need `preemption_bound=None`: its default, 2, lets bugs of 3 pass.

    Counterexamples are explained but not run again ten times, as they would be by default.
    """
    explore: Any = importlib.import_module("frontrun").explore
    case, story = CASES[name], program(name)
    watch = _Watch(story, only_counts=case.asks is Asks.COUNT)

    async def timed() -> tuple[float, Any]:
        started = perf_counter()
        found = await explore(
            story.setup,
            list(story.workers),
            watch,
            strategy="dpor",
            preemption_bound=2 if case.asks is Asks.FIND else None,
            reproduce_on_failure=0,
            timeout_per_run=limit_s,
            total_timeout=limit_s,
            trace_packages=["scenarios.explore_bench.*"],
        )
        return perf_counter() - started, found

    seconds, found = asyncio.run(timed())
    holds, runs = found.property_holds, found.num_explored
    if case.asks is Asks.FIND:
        said = "broken" if holds is False and found.explanation else "not found"
        return Answer(seconds, said == "broken", said, runs)
    # It certifies what it has run, also where its time was up before it had run everything.
    complete = holds is True and seconds < limit_s
    said = "explored all, no count" if case.asks is Asks.COUNT else "proven"
    return Answer(seconds, complete, said if complete else _doubt(holds), runs)


def _doubt(holds: bool | None) -> str:
    return {True: "not all explored", None: "inconclusive", False: "false alarm"}[holds]


def detangle(name: str, limit_s: float) -> Answer:
    """Depth-first search without a bound on deviations; failures are told but not shrunk.

    Its runs are distinct interleavings here: the main coroutine sleeps until the last worker
    wakes it. With `gather` it also branches on asyncio's own callbacks (182 runs instead of 70).
    """
    module: Any = importlib.import_module("detangle")
    case, story = CASES[name], program(name)
    watch = _Watch(story, only_counts=case.asks is Asks.COUNT)

    async def main() -> None:
        bank = story.setup()
        going = len(story.workers)
        finished = asyncio.get_running_loop().create_future()

        async def work(worker: Any) -> None:
            nonlocal going
            await worker(bank)
            going -= 1
            if not going:
                finished.set_result(None)

        # Kept until the end: a loop holds its tasks by weak references only.
        tasks = [asyncio.create_task(work(worker)) for worker in story.workers]
        await finished
        del tasks
        assert watch(bank), bank.holds()

    started = perf_counter()
    try:
        stats = module.explore(
            main,
            strategy=module.DFS(max_delays=_UNBOUNDED),
            runs=_UNBOUNDED,
            max_duration=limit_s,
            shrink=False,
            database=False,
        )
    except module.BugFound as bug:
        seconds = perf_counter() - started
        asked = case.asks is Asks.FIND
        return Answer(seconds, asked, "broken" if asked else "false alarm", bug.report.runs)
    seconds = perf_counter() - started
    if not stats.exhausted:
        return Answer(seconds, False, "not all explored", stats.runs)
    if case.asks is not Asks.COUNT:
        return Answer(seconds, case.asks is Asks.PROVE, "proven", stats.runs)
    counted = stats.distinct_schedules
    right = counted == stats.runs == case.interleavings
    said = "counted" if right else f"counted {counted:,}"
    return Answer(seconds, right, said, stats.runs, None, counted, watch.losing)
