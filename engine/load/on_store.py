"""A closed loop on lock strategy and store alone: no wallet, and only some calls are timed.

What a strategy costs shows best beside a program that does the same to the same database and
nothing else, so as little as possible stands between client and store. Every call counts for the
throughput and for the money; one in TIMED_EVERY has its waits noted, as `driver` does with all.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count, cycle
from time import perf_counter_ns

from engine.catalog import lock_strategy
from engine.errors import SystemFault
from engine.load.driver import FAULT_PAUSE_S, LAST_ANSWERS_S
from engine.load.judgement import Judgement
from engine.load.recorder import OK, Recorder, table
from engine.load.summary import summary
from engine.load.workload import parse
from engine.operations import Operation, Question
from engine.ports import Call
from engine.results import Load, LoadRun
from engine.runtimes import AsyncioRuntime
from engine.stores.opening import Database
from engine.timed import TimedRuntime, Watched
from engine.verdicts import Break, Finding, Verdict

# Often enough for a p99, seldom enough not to show in the throughput.
TIMED_EVERY = 8
# Drawn before the clock starts; when all are done the clients begin again.
DRAWN = 5_000


@dataclass(frozen=True, slots=True)
class Turn:
    """When a run is had and for how long: `seconds` measured, after `warmup_s` that are not."""

    round: int
    seconds: float
    warmup_s: float
    seed: int


async def run_on_store(load: Load, database: Database, turn: Turn) -> LoadRun:
    """One round on an open database that has the workload's wallets; what is done to it stays.

    Lock wait and latency are those of the timed calls. Cancelling it ends it without a result.
    UsageError for a load that cannot be.
    """
    names = parse(load.mix, load.accounts).accounts.names
    before = await _held(database, names)
    clients = _Clients(load, database, turn.seed)
    stuck = await clients.run(turn.warmup_s, turn.seconds)
    lost_cents = before + clients.gained_cents - await _held(database, names)
    run = summary(
        load,
        round=turn.round,
        calls=table(clients.recorder, from_ns=clients.from_ns, until_ns=clients.until_ns),
        codes=tuple(clients.recorder.codes),
        seconds=(clients.until_ns - clients.from_ns) / 1e9,
        judgement=_judged(lost_cents, stuck, in_doubt=clients.in_doubt),
        note=f"one call in {TIMED_EVERY} was timed",
    )
    completed = clients.ended.pop(OK, 0)
    return replace(
        run,
        driver="store",
        completed=completed,
        errors=dict(clients.ended),
        throughput_per_s=completed / run.seconds,
        samples={},
    )


@lru_cache(maxsize=4)
def operations(mix: str, accounts: str, seed: int) -> tuple[Operation, ...]:
    """What is asked for, questions left out: the same for every lock strategy of a round."""
    workload, rng = parse(mix, accounts), random.Random(seed)
    requests = [workload.draw(rng) for _ in range(DRAWN)]
    return tuple(each for each in requests if not isinstance(each, Question))


async def _held(database: Database, names: Sequence[str]) -> int:
    """What these wallets hold together, in cents."""
    seen = await database.session().read(tuple(names))
    return sum(row.balance for row in seen.rows.values())


def _judged(lost_cents: int, stuck: int, *, in_doubt: bool) -> Judgement:
    findings = []
    if lost_cents and not in_doubt:
        told = "less" if lost_cents > 0 else "more"
        findings.append(
            Finding(
                Break.MONEY, f"the wallets hold {told} than the receipts say", cents=-lost_cents
            )
        )
    if stuck:
        findings.append(Finding(Break.LIVENESS, f"{stuck} clients were never answered"))
    verdict = Verdict.UNKNOWN if in_doubt else Verdict.CLEAN
    return Judgement(Verdict.BROKEN if findings else verdict, tuple(findings), lost_cents)


class _Clients:
    """The clients of one round, who draw from one heap of operations."""

    def __init__(self, load: Load, database: Database, seed: int) -> None:
        self.recorder = Recorder()
        self.ended: Counter[str] = Counter()
        self.gained_cents = 0
        self.in_doubt = False
        self.from_ns = self.until_ns = 0
        self._going = True
        self._count = load.clients
        self._database = database
        self._runtime = AsyncioRuntime(random.Random(f"{seed}/runtime"))
        dialect = database.session().dialect
        self._strategy = lock_strategy(load.lock, dialect)(TimedRuntime(self._runtime))
        self._watched = Watched(self._strategy, self.recorder)
        self._wanted: Iterator[tuple[int, Operation]] = zip(
            count(), cycle(operations(load.mix, load.accounts, seed)), strict=False
        )

    async def run(self, warmup_s: float, seconds: float) -> int:
        """Load for this long, then let what is under way end; how many clients never ended."""
        tasks = [asyncio.create_task(self._client()) for _ in range(self._count)]
        try:
            await asyncio.wait(tasks, timeout=warmup_s, return_when=asyncio.FIRST_EXCEPTION)
            self.ended.clear()
            self.from_ns = perf_counter_ns()
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
            self.until_ns, ended = perf_counter_ns(), self.ended.copy()
            self._going = False
            _, stuck = await asyncio.wait(tasks, timeout=LAST_ANSWERS_S)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await self._runtime.drain()
        for result in results:
            if isinstance(result, Exception):
                raise result
        self.ended = ended
        return len(stuck)

    async def _client(self) -> None:
        while self._going:
            number, operation = next(self._wanted)
            way = self._strategy if number % TIMED_EVERY else self._watched
            try:
                receipt = await way.run(
                    Call(self._runtime.new_id(), operation), self._database.session()
                )
            except SystemFault as error:
                self.ended[error.code] += 1
                self.in_doubt |= error.may_have_happened
                await asyncio.sleep(FAULT_PAUSE_S)
            else:
                self.ended[OK] += 1
                for _, before, after, _ in receipt.entries:
                    self.gained_cents += after - before
