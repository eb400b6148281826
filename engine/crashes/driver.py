"""Calls on a few hot accounts through several processes, which are killed and paused meanwhile.

Every third kill strikes at any moment, the others between a read and its write, and between a
write and its answer. A call whose answer never came is asked again, with its key, of another
process.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic

from engine.crashes.crew import Crew, Died, Worker, crew
from engine.crashes.judgement import expected, judge
from engine.crashes.worker import Place, Settings
from engine.errors import BusinessError, SystemFault, UsageError
from engine.history import Receipt
from engine.load.workload import Workload, parse
from engine.operations import Operation, accounts_of
from engine.stores.opening import open_database
from engine.verdicts import Break, Finding, Verdict

WORKERS_MAX = 16
BLOWS_MAX = 10_000
ACCOUNTS = "uniform:3"
MIX = "withdraw=3,add=3,transfer=2,batch=1"
KILLED_AT: tuple[Place | None, ...] = (None, "write", "answer")
# The time between two blows is drawn from these.
BETWEEN_S = (0.02, 0.2)
# After a fault that says "try again".
AGAIN_S = 0.005
# A worker that has not come to the place by then is struck where it is.
HALT_S_MAX = 5.0
# How much longer than its lease a process is paused, at most; less where others have gone on.
PAST_LEASE_S_MAX = 1.0
# What a dead process held is another's after its lease, and no later than so much after it.
FREED_S_MAX = 2.0
LAST_ANSWERS_S_MAX = 30.0

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class CrashRun:
    """What came of it.

    `unanswered` calls died with their process; `happened` of them had been applied all the same,
    as the answer to the repeated call said. `freed_s` is the longest time from a death until
    another process had written to an account that the dead one was at work on; `freed_s_bound` is
    what it may be. `expected` is None where luck decides.
    """

    lock: str
    workers: int
    kills: int
    pauses: int
    acknowledged: int
    refused: int
    unanswered: int
    happened: int
    freed_s: float
    freed_s_bound: float
    seconds: float
    verdict: Verdict
    expected: Verdict | None
    findings: tuple[Finding, ...]
    lost_cents: int


async def crash_test(
    lock: str,
    address: str,
    *,
    workers: int = 3,
    kills: int = 5,
    pauses: int = 0,
    lease_s: float = 0.5,
    seed: int = 0,
    on_progress: Progress = lambda done, of: None,
) -> CrashRun:
    """Strike `workers` processes over the database at `address`, which is emptied first.

    `on_progress(done, of)` counts the blows. UsageError, LoadFailed, SystemFault.
    """
    _check(workers, kills, pauses, lease_s)
    workload = parse(MIX, ACCOUNTS)
    started_s = monotonic()
    async with open_database(address) as database:
        await database.reset(workload.openings())
        async with crew(Settings(address, lock, lease_s), workers) as processes:
            clients = _Clients(processes, workload, seed)
            # Where one is paused, nothing else of its process may hold a lock of the database.
            count = workers if pauses else 2 * workers
            load = [asyncio.create_task(clients.run(number)) for number in range(count)]
            try:
                rng = random.Random(f"{seed}/blows")
                async for place, done in _between(rng, workers, kills + pauses, on_progress):
                    if done < kills:
                        await _kill(processes, place, clients, KILLED_AT[done % len(KILLED_AT)])
                    else:
                        await _pause(processes.workers[place], clients, lease_s)
            finally:
                stuck = await clients.end(load)
        judged = judge(
            *await database.books(),
            openings=workload.openings(),
            acknowledged=clients.acknowledged,
            refused=clients.refused,
            unanswered=clients.open,
        )
    late = _late(clients, stuck, lease_s + FREED_S_MAX)
    return CrashRun(
        lock,
        workers,
        kills,
        pauses,
        acknowledged=len(clients.acknowledged),
        refused=len(clients.refused),
        unanswered=len(clients.unanswered),
        happened=clients.happened,
        freed_s=clients.freed_s,
        freed_s_bound=lease_s + FREED_S_MAX,
        seconds=monotonic() - started_s,
        verdict=Verdict.BROKEN if late else judged.verdict,
        expected=expected(lock, pauses=pauses),
        findings=(*late, *judged.findings),
        lost_cents=judged.lost_cents,
    )


def _check(workers: int, kills: int, pauses: int, lease_s: float) -> None:
    if not 2 <= workers <= WORKERS_MAX:
        raise UsageError(f"{workers} workers", f"use 2 to {WORKERS_MAX}")
    if not 0 <= kills + pauses <= BLOWS_MAX or min(kills, pauses) < 0 or lease_s <= 0:
        raise UsageError(
            f"{kills} kills, {pauses} pauses, leases of {lease_s} s", f"use 0 to {BLOWS_MAX}"
        )


async def _between(
    rng: random.Random, workers: int, blows: int, on_progress: Progress
) -> AsyncIterator[tuple[int, int]]:
    """Who is struck next, and the number of the blow, from 0; a random time before each."""
    for done in range(blows):
        on_progress(done, blows)
        await asyncio.sleep(rng.uniform(*BETWEEN_S))
        yield rng.randrange(workers), done


async def _kill(crew: Crew, place: int, clients: "_Clients", at: Place | None) -> None:
    worker = crew.workers[place]
    if at is not None:
        await _halted(worker, at)
    held = worker.touching
    dead_s = await crew.kill(place)
    clients.held.update(dict.fromkeys(held, dead_s))


async def _pause(worker: Worker, clients: "_Clients", lease_s: float) -> None:
    await _halted(worker, "write")
    await asyncio.sleep(lease_s)
    # Its lease has run out: others go on, unless they still have to wait for it.
    with suppress(TimeoutError):
        async with asyncio.timeout(PAST_LEASE_S_MAX):
            await clients.write_to(worker.touching)
    worker.resume()


async def _halted(worker: Worker, place: Place) -> None:
    worker.halt(place)
    with suppress(TimeoutError):
        async with asyncio.timeout(HALT_S_MAX):
            await worker.halted.wait()


def _late(clients: "_Clients", stuck: int, bound_s: float) -> tuple[Finding, ...]:
    found = []
    if stuck:
        what = f"{stuck} clients were not answered within {LAST_ANSWERS_S_MAX:g} s of the end"
        found.append(Finding(Break.LIVENESS, what))
    if clients.freed_s > bound_s:
        what = f"what a dead process held was free after {clients.freed_s:.1f} s, not {bound_s:g} s"
        found.append(Finding(Break.LIVENESS, what))
    return tuple(found)


class _Clients:
    """Clients in a closed loop; each has one call under way, and asks until it is answered."""

    def __init__(self, crew: Crew, workload: Workload, seed: int) -> None:
        self._crew = crew
        self._workload = workload
        self._seed = seed
        self._going = True
        self.acknowledged: dict[str, Receipt] = {}
        self.refused: set[str] = set()
        self.open: set[str] = set()
        self.unanswered: set[str] = set()
        self.happened = 0
        # Accounts that a dead process was at work on and nobody has written to since its death.
        self.held: dict[str, float] = {}
        self.freed_s = 0.0
        self._awaited: set[str] = set()
        self._written = asyncio.Event()

    async def run(self, number: int) -> None:
        """One client's life: it asks the worker in its place, and, unanswered, the next ones."""
        rng = random.Random(f"{self._seed}/client {number}")
        calls = 0
        # On until nobody waits for what the dead held, so that it is known when that came free.
        while self._going or self.held:
            drawn = self._workload.draw(rng)
            assert not hasattr(drawn, "answer"), "the mix holds no questions"
            calls += 1
            key = f"call-{self._seed}-{number}-{calls}"
            operation: Operation = replace(drawn, description=key)
            self.open.add(key)
            place = number
            while not await self._answered(place % len(self._crew.workers), key, operation):
                place += 1
            self.open.discard(key)

    async def _answered(self, place: int, key: str, operation: Operation) -> bool:
        worker, asked_s = self._crew.workers[place], monotonic()
        try:
            receipt = await worker.ask(key, operation)
        except BusinessError:
            self.refused.add(key)
            return True
        except (Died, SystemFault) as error:
            if isinstance(error, Died):
                self.unanswered.add(key)
            await asyncio.sleep(AGAIN_S)
            return False
        self.acknowledged[key] = receipt
        # Another process ran it, and died before it could say so.
        repeated = not receipt.call_id.startswith(self._crew.prefixes[worker])
        self.happened += repeated and key in self.unanswered
        if not repeated:
            self._wrote(operation, asked_s)
        return True

    async def write_to(self, accounts: set[str]) -> None:
        """Wait until the next call that writes to one of these has been answered."""
        self._awaited = accounts
        self._written.clear()
        await self._written.wait()

    def _wrote(self, operation: Operation, asked_s: float) -> None:
        for account in accounts_of(operation):
            if account in self._awaited:
                self._written.set()
            if asked_s > self.held.get(account, asked_s):
                self.freed_s = max(self.freed_s, monotonic() - self.held.pop(account))

    async def end(self, load: Sequence["asyncio.Task[None]"]) -> int:
        """No new calls; how many clients still wait for their last answer when it is too late."""
        self._going = False
        done, waiting = await asyncio.wait(load, timeout=LAST_ANSWERS_S_MAX)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for task in done:
            task.result()
        return len(waiting)
