"""The closed loop: n asyncio clients, each asking again as soon as it was answered; then a verdict.

All but a database server runs in this process, without Locust: the wallet, its lock strategy, and
SQLite behind one thread. Figures come from the measured time only, the judgement from the whole
run.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import cast, get_args

from engine.cached_reads import CachedReads
from engine.caches import MemoryCache
from engine.catalog import find, lock_strategy
from engine.errors import SystemFault, UsageError, WalletraceError
from engine.histories.parquet import Books
from engine.load.ending import final_books, judged
from engine.load.judgement import Judgement
from engine.load.machine import pinned
from engine.load.recorder import CLIENT, Recorder, table
from engine.load.summary import summary
from engine.load.workload import Workload, parse
from engine.operations import Question
from engine.ports import Store
from engine.recording import SUFFIX, Recording
from engine.results import Load, LoadRun
from engine.runtimes import AsyncioRuntime
from engine.stores.opening import Database, Synchronous, open_database
from engine.stores.working import Working
from engine.timed import TimedRuntime, Watched
from engine.verdicts import Break, Finding, Verdict
from engine.wallet import WalletService

CLIENTS_MAX = 1_000
# A connection for each client, but no more than a server takes.
CONNECTIONS_MAX = 64
# After the end: if nobody was answered for so long, those who still wait do so for ever.
LAST_ANSWERS_S = 10.0
# A client that is failed at once must let the others, and the clock, run.
FAULT_PAUSE_S = 0.01
INTERRUPTED = "interrupted"
CLOSED_LOOP = (
    "closed loop: a client asks again only when it was answered, so a stall also stops the asking"
    " and weighs less in the percentiles than it would for independent callers"
)

_SYNCHRONOUS: dict[str, Synchronous] = {level: level for level in get_args(Synchronous)}


async def run_round(
    load: Load,
    *,
    seconds: float,
    warmup_s: float,
    seed: int,
    address: str,
    round: int,
    pin: bool = True,
    record: Path | None = None,
    boundaries: bool = False,
) -> LoadRun:
    """One round of `load` on the database at `address` (file or URL), which is emptied first.

    Every call is recorded, and judged after the end; `record` keeps the history in a Parquet file.
    `boundaries` records the steps of locks and transactions too.
    Cancelling it (Ctrl-C) ends the round early: the result, with the note INTERRUPTED, is of what
    was done till then. UsageError for a load that cannot be; what a lock strategy raises that is
    no WalletraceError comes through. `pin` keeps the run on one core, see `machine`.
    """
    workload = _checked(load, seconds, warmup_s)
    with TemporaryDirectory(prefix="walletrace-") as folder:
        with Recording(Path(folder) / f"round{SUFFIX}") as recording:
            recorder = Recorder(recording, boundaries=boundaries)
            clients, books = await _loaded(
                load, workload, recorder, (warmup_s, seconds), seed=seed, address=address, pin=pin
            )
        found, notes = judged(recorder, books, openings=workload.openings(), record=record)
        if await _cancelled():
            notes.append(INTERRUPTED)
    return summary(
        load,
        round=round,
        calls=table(recorder, from_ns=clients.from_ns, until_ns=clients.until_ns),
        codes=tuple(recorder.codes),
        seconds=(clients.until_ns - clients.from_ns) / 1e9,
        judgement=_with_stuck(found, clients.stuck),
        note="; ".join(filter(None, [clients.note, *notes])),
    )


async def _loaded(
    load: Load,
    workload: Workload,
    recorder: Recorder,
    times_s: tuple[float, float],
    *,
    seed: int,
    address: str,
    pin: bool,
) -> tuple["_Clients", Books | str]:
    """The clients, all of whose calls have ended, and what the database holds then."""
    with pinned(pin):
        async with open_database(
            address,
            connections=min(load.clients, CONNECTIONS_MAX),
            synchronous=_SYNCHRONOUS[load.synchronous],
        ) as database:
            await database.reset(workload.openings())
            runtime = AsyncioRuntime(random.Random(f"{seed}/runtime"))
            wallet = _wallet(load, database, runtime, recorder)
            clients = _Clients(wallet, workload, recorder, load.clients, seed)
            await clients.run(*times_s)
            await runtime.drain()
            return clients, await final_books(database)


def _checked(load: Load, seconds: float, warmup_s: float) -> Workload:
    if not 1 <= load.clients <= CLIENTS_MAX:
        raise UsageError(f"{load.clients} clients", f"use 1 to {CLIENTS_MAX}")
    if load.workers != 1:
        raise UsageError(
            f"{load.workers} workers under the asyncio driver",
            "it has one; load several with Locust over HTTP",
        )
    if not (seconds > 0 and warmup_s >= 0 and load.work_ms >= 0):
        raise UsageError(
            f"{seconds} s, {warmup_s} s of warm-up and {load.work_ms} ms of work",
            "use positive times",
        )
    find("synchronous level", load.synchronous, _SYNCHRONOUS)
    return parse(load.mix, load.accounts)


def _wallet(
    load: Load, database: Database, runtime: AsyncioRuntime, recorder: Recorder
) -> WalletService:
    def working() -> Store:
        return Working(database.session(), partial(asyncio.sleep, load.work_ms / 1000))

    timed = TimedRuntime(runtime)
    sessions: Callable[[], Store] = working if load.work_ms else database.session
    return WalletService(
        Watched(
            lock_strategy(load.lock, database.session().dialect)(timed),
            recorder,
            boundaries=recorder.boundaries,
        ),
        sessions,
        timed,
        reads=CachedReads(MemoryCache(), sessions, timed, recorder) if load.cache else None,
    )


class _Clients:
    """The clients of one round, from the first request to the last answer."""

    def __init__(
        self, wallet: WalletService, workload: Workload, recorder: Recorder, count: int, seed: int
    ) -> None:
        self._wallet = wallet
        self._workload = workload
        self._recorder = recorder
        self._luck = [random.Random(f"{seed}/client {number}") for number in range(count)]
        self._going = True
        self.from_ns = self.until_ns = perf_counter_ns()
        self.stuck = 0
        self.note = ""

    async def run(self, warmup_s: float, seconds: float) -> None:
        """Load for this long, then let every call under way end."""
        tasks = [asyncio.create_task(self._client(*one)) for one in enumerate(self._luck)]
        try:
            await _pass(tasks, warmup_s)
            self.from_ns = perf_counter_ns()
            await _pass(tasks, seconds)
        except asyncio.CancelledError:
            cast("asyncio.Task[None]", asyncio.current_task()).uncancel()
            self.note = INTERRUPTED
        self.until_ns = perf_counter_ns()
        self._going = False
        await self._end(tasks)

    async def _client(self, number: int, rng: random.Random) -> None:
        CLIENT.set(f"client {number}")
        while self._going and not self._recorder.full:
            request = self._workload.draw(rng)
            try:
                if isinstance(request, Question):
                    await self._recorder.asked(request, self._wallet.ask)
                    # An answer from the cache never waits; without this nobody else would run.
                    await asyncio.sleep(0)
                else:
                    await self._wallet.execute(request)
            except SystemFault:
                await asyncio.sleep(FAULT_PAUSE_S)
            except WalletraceError:
                pass  # a result like another; the recorder has it

    async def _end(self, tasks: Sequence["asyncio.Task[None]"]) -> None:
        waiting = set(tasks)
        while waiting:
            answered = len(self._recorder.rows)
            _, waiting = await asyncio.wait(waiting, timeout=LAST_ANSWERS_S)
            if len(self._recorder.rows) == answered:
                break
        self.stuck = len(waiting)
        for task in waiting:
            task.cancel()
        for task in waiting:
            with suppress(asyncio.CancelledError):
                await task
        for task in set(tasks) - waiting:
            task.result()


async def _pass(tasks: Sequence["asyncio.Task[None]"], seconds: float) -> None:
    """Let `seconds` pass, or less if a client fails or all have ended."""
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)


async def _cancelled() -> bool:
    """Whether Ctrl-C came while the judge, who never waits, kept it from being heard."""
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        cast("asyncio.Task[None]", asyncio.current_task()).uncancel()
        return True
    return False


def _with_stuck(found: Judgement, stuck: int) -> Judgement:
    if not stuck:
        return found
    hung = Finding(
        Break.LIVENESS, f"{stuck} clients were not answered within {LAST_ANSWERS_S:g} s of the end"
    )
    return Judgement(Verdict.BROKEN, (hung, *found.findings), found.lost_cents)
