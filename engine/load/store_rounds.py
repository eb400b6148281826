"""Lock strategies on their stores, and the references beside them, in turns on the same tables.

One database of each kind serves the whole comparison, opened and filled once, so that a round costs
little more than its measured time. Its operation log grows from run to run, for all alike.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import uvloop

from engine.load.machine import pinned
from engine.load.on_store import operations, run_on_store
from engine.load.references import bare_sqlite, pgbench
from engine.load.rounds import Interrupted
from engine.load.workload import parse
from engine.results import Load, LoadRun
from engine.stores.opening import Database, open_database
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
                    runs.append(
                        await stand.run(
                            load, seconds=seconds, warmup_s=warmup_s, seed=seed + round, round=round
                        )
                    )
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

    async def run(
        self, load: Load, *, seconds: float, warmup_s: float, seed: int, round: int
    ) -> LoadRun:
        """One run of a lock strategy, or of the reference."""
        timing = {"seconds": seconds, "warmup_s": warmup_s}
        if load.store == "postgres":
            if load.lock == REFERENCES["postgres"]:
                return _plain(load, round, seconds, await self._pgbench(load, seconds))
            pool = await self._pool(load)
            return await run_on_store(load, pool, **timing, seed=seed, round=round)
        address = self.addresses["sqlite"]
        # A pinned thread starts threads that are pinned: so the file is opened here.
        with pinned(True):
            if load.lock == REFERENCES["sqlite"]:
                wanted = operations(load.mix, load.accounts, seed)
                done = bare_sqlite(address, wanted, **timing, synchronous=load.synchronous)
                return _plain(load, round, seconds, done)
            async with open_database(address, synchronous=load.synchronous) as database:
                return await run_on_store(load, database, **timing, seed=seed, round=round)

    async def _pgbench(self, load: Load, seconds: float) -> float:
        return await pgbench(
            self.addresses["postgres"],
            clients=load.clients,
            accounts=load.accounts,
            seconds=seconds,
            synchronous_commit=load.synchronous != "OFF",
        )

    async def _pool(self, load: Load) -> Database:
        if load.synchronous not in self.pools:
            self.pools[load.synchronous] = await self.opened.enter_async_context(
                open_database(
                    self.addresses["postgres"],
                    connections=self.connections,
                    synchronous=load.synchronous,
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


def _plain(load: Load, round: int, seconds: float, throughput_per_s: float) -> LoadRun:
    """A reference's run: one figure, and nobody judges its money."""
    return LoadRun.of_throughput(load, round, seconds, throughput_per_s)
