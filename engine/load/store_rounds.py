"""Lock strategies on their stores, and the references beside them, in turns on the same tables.

One database of each kind serves the whole comparison, opened and filled once, so that a round costs
little more than its measured time. Its operation log grows from run to run, for all alike.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import uvloop

from engine.load.machine import pinned
from engine.load.on_store import Turn, operations, run_on_store
from engine.load.references import bare_sqlite, pgbench
from engine.load.rounds import Interrupted
from engine.load.workload import parse
from engine.results import Load, LoadRun, Percentiles
from engine.stores.opening import Database, Synchronous, open_database
from engine.verdicts import Verdict

# What stands in a Load where a lock strategy would: programs that we compare with.
REFERENCES = {"postgres": "pgbench", "sqlite": "sqlite3"}

Progress = Callable[[LoadRun, int, int], None]


def compare_on_stores(
    loads: Sequence[Load],
    *,
    addresses: Mapping[str, str],
    rounds: int,
    seconds: float,
    warmup_s: float = 0.1,
    seed: int = 0,
    on_progress: Progress = lambda run, done, of: None,
) -> list[LoadRun]:
    """Each load once in every round, in turn; `seconds` are those of one run.

    `addresses` says where "sqlite" and "postgres" are: databases that are emptied first. SQLite's
    runs keep to one core; PostgreSQL's server and clients share them all. Ctrl-C raises Interrupted
    with the runs that were finished. LoadFailed, UsageError, SystemFault.
    """
    runs: list[LoadRun] = []

    async def every() -> None:
        async with _stand(loads, addresses) as stand:
            for round in range(rounds):
                for load in loads:
                    turn = Turn(round, seconds, warmup_s, seed + round)
                    runs.append(await stand.run(load, turn))
                    on_progress(runs[-1], len(runs), rounds * len(loads))

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(every())
    except KeyboardInterrupt:
        raise Interrupted(runs) from None
    return runs


@dataclass(slots=True)
class _Stand:
    """The databases, and PostgreSQL's connections, which stay open between runs."""

    addresses: Mapping[str, str]
    connections: int
    opened: AsyncExitStack
    pools: dict[str, Database] = field(default_factory=dict)

    async def run(self, load: Load, turn: Turn) -> LoadRun:
        """One run of a lock strategy, or of the reference."""
        if load.lock == REFERENCES[load.store]:
            beside = self._pgbench if load.store == "postgres" else self._bare_sqlite
            return _plain(load, turn, await beside(load, turn))
        if load.store == "postgres":
            return await run_on_store(load, await self._pool(load), turn)
        # A pinned thread starts threads that are pinned: so the file is opened here.
        with pinned(True):
            async with open_database(
                self.addresses["sqlite"], synchronous=_synchronous(load)
            ) as file:
                return await run_on_store(load, file, turn)

    async def _bare_sqlite(self, load: Load, turn: Turn) -> float:
        with pinned(True):
            return bare_sqlite(
                self.addresses["sqlite"],
                operations(load.mix, load.accounts, turn.seed),
                seconds=turn.seconds,
                warmup_s=turn.warmup_s,
                synchronous=load.synchronous,
            )

    async def _pgbench(self, load: Load, turn: Turn) -> float:
        return await pgbench(
            self.addresses["postgres"],
            clients=load.clients,
            accounts=load.accounts,
            seconds=turn.seconds,
            synchronous_commit=load.synchronous != "OFF",
        )

    async def _pool(self, load: Load) -> Database:
        if load.synchronous not in self.pools:
            self.pools[load.synchronous] = await self.opened.enter_async_context(
                open_database(
                    self.addresses["postgres"],
                    connections=self.connections,
                    synchronous=_synchronous(load),
                )
            )
        return self.pools[load.synchronous]


@asynccontextmanager
async def _stand(loads: Sequence[Load], addresses: Mapping[str, str]) -> AsyncIterator[_Stand]:
    """The databases of these loads, with all their wallets."""
    for store in {load.store for load in loads}:
        openings: dict[str, int] = {}
        for accounts, mix in {(load.accounts, load.mix) for load in loads if load.store == store}:
            openings |= parse(mix, accounts).openings()
        async with open_database(addresses[store]) as database:
            await database.reset(openings)
    async with AsyncExitStack() as opened:
        yield _Stand(addresses, max(load.clients for load in loads), opened)


def _plain(load: Load, turn: Turn, throughput_per_s: float) -> LoadRun:
    """A reference's run: one figure, and nobody judges its money."""
    return LoadRun(
        driver=load.lock,
        load=load,
        round=turn.round,
        seconds=turn.seconds,
        completed=int(throughput_per_s * turn.seconds),
        refused={},
        errors={},
        throughput_per_s=throughput_per_s,
        latency=Percentiles(),
        lock_wait=Percentiles(),
        store_wait=Percentiles(),
        hold=Percentiles(),
        locks_per_operation=0.0,
        store_accesses_per_operation=0.0,
        retries=0,
        verdict=Verdict.UNKNOWN,
        findings=(),
        lost_cents=0,
    )


def _synchronous(load: Load) -> Synchronous:
    return cast(Synchronous, load.synchronous)
