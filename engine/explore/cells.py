"""One cell of the verdict matrix: a scenario under a lock strategy, a topology and a store."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from engine.catalog import lock_strategy
from engine.catalog import wallet as own_wallet
from engine.errors import UsageError
from engine.explore.client import Parts
from engine.explore.faults import Faults
from engine.explore.gated import GatedWorld
from engine.explore.live_stores import LIVE_STORES, live_database
from engine.explore.loop import NeedsLoop
from engine.explore.looped import Heard, LoopedGated, LoopedModel
from engine.explore.model import ModelWorld
from engine.explore.own_wallet import takes_lock
from engine.explore.plan import Counts, Task, explore_task
from engine.explore.scenario import Scenario, known_topology
from engine.explore.search import (
    Budget,
    Explored,
    OnProgress,
    OpenWorld,
    replay,
)
from engine.explore.world import Setting, World
from engine.ports import Dialect
from engine.results import Cell, Witness
from engine.stores.opening import is_url

T = TypeVar("T")

# Tasks of the code under test that may each have a transaction open beside their clients.
TASKS_IN_TRANSACTION_MAX = 8

STORES = {
    "memory": "the model: SQLite's rules in memory, coroutines driven by hand",
    "memory:postgres": "the model under PostgreSQL's rules",
    **LIVE_STORES,
}


def dialect_of(store: str) -> Dialect:
    """Whose rules hold there.

    >>> dialect_of("memory:postgres"), dialect_of("postgresql://host/bank"), dialect_of("memory")
    ('postgres', 'postgres', 'sqlite')
    """
    return "postgres" if "postgres" in store.partition("//")[0] else "sqlite"


def store_name(store: str) -> str:
    """How it is called in what we write: an address may hold a password.

    >>> store_name("postgresql://me:secret@host/bank"), store_name("memory:postgres")
    ('postgres', 'memory:postgres')
    """
    return "postgres" if is_url(store) else store


def setting_of(
    scenario: Scenario,
    lock: str | None,
    topology: str,
    wallet: str | None = None,
    dialect: Dialect = "sqlite",
) -> Setting:
    """Names to parts. UsageError for a name that does not exist.

    A wallet that takes no lock strategy needs no `lock`; its cells are named after the wallet.
    """
    if wallet is None:
        if not lock:
            raise UsageError("no lock strategy is named", "name one with --lock")
        only_lock = Parts(lock_strategy(lock, dialect))
        return Setting(scenario, known_topology(topology), only_lock, dialect)
    make_wallet = own_wallet(wallet)
    make_lock = lock_strategy(lock, dialect) if lock and lock != wallet else None
    if make_lock is not None and not takes_lock(make_wallet):
        raise UsageError(
            f"the wallet {wallet!r} takes no lock strategy",
            "leave --lock out, or name one of its parameters lock",
        )
    parts = Parts(make_lock, make_wallet=make_wallet)
    return Setting(scenario, known_topology(topology), parts, dialect)


async def in_worlds(
    setting: Setting, store: str, work: Callable[[OpenWorld, Heard | None], Awaitable[T]]
) -> tuple[T, str]:
    """`work` in worlds of `setting`, and a note on them.

    Coroutines are driven by hand as long as that will do. Code that turns out to want an event
    loop (asyncio's own locks, timeouts, tasks) is given one, and `work` begins anew.
    """
    try:
        async with worlds(setting, store) as open_world:
            return await work(open_world, None), ""
    except NeedsLoop:
        heard = Heard()
    async with worlds(setting, store, on_loop=heard) as open_world:
        return await work(open_world, heard), str(heard)


@asynccontextmanager
async def worlds(
    setting: Setting, store: str, *, on_loop: Heard | None = None
) -> AsyncIterator[OpenWorld]:
    """A maker of worlds for `setting`; a real database is shared by all its runs.

    Without `on_loop` they raise NeedsLoop for code that wants an event loop: see `in_worlds`.
    """
    if store.startswith("memory") and store in STORES:

        async def model() -> World:
            return ModelWorld(setting) if on_loop is None else LoopedModel(setting, on_loop)

        yield model
    elif store in LIVE_STORES or is_url(store):
        # One connection for each client's transaction, one for everybody else.
        connections = len(setting.scenario.programs) + 1
        if on_loop is not None:
            connections += TASKS_IN_TRANSACTION_MAX
        async with live_database(store, connections=connections) as live:

            async def gated() -> World:
                if on_loop is None:
                    return await GatedWorld.open(setting, live)
                return await LoopedGated.open_on_loop(setting, live, on_loop)

            yield gated
    else:
        raise UsageError(f"no store {store!r}", f"known: {', '.join(STORES)}, postgresql://…")


async def explore_cell(
    scenario: Scenario,
    lock: str | None,
    topology: str,
    store: str,
    *,
    wallet: str | None = None,
    faults: Faults | None = None,
    budget: Budget | None = None,
    counts: Counts = Counts.EXACT,
    on_progress: OnProgress | None = None,
) -> Cell:
    """Explore one cell. Its expectation holds for the scenario's own faults only."""
    struck = scenario.faults if faults is None else faults
    setting = setting_of(scenario, lock, topology, wallet, dialect_of(store))

    def search(open_world: OpenWorld, on_loop: Heard | None) -> Awaitable[Explored]:
        # What asyncio's own locks, tasks and timers hold is unseen: there are no states to
        # compare, and nobody can tell which of their moves commute. Every schedule is run.
        graph = store.startswith("memory") and on_loop is None
        asked = counts if on_loop is None else Counts.EXACT
        limit = budget or Budget()
        return explore_task(Task(setting, open_world, graph, struck, limit, asked, on_progress))

    found, on_loop = await in_worlds(setting, store, search)
    declared = struck == scenario.faults and wallet is None
    label = lock or wallet or ""
    return Cell(
        scenario=scenario.name,
        lock=label,
        store=store_name(store),
        topology=topology,
        faults=str(struck),
        expected=scenario.expected(label, topology) if declared else None,
        verdict=found.verdict,
        kinds=found.kinds,
        interleavings=found.interleavings,
        losing=found.losing,
        outcomes=found.outcomes,
        witness=found.witness,
        seconds=found.seconds,
        note="; ".join(filter(None, (found.note, on_loop))),
        method=found.method,
        states=found.states,
        backoffs_max=found.backoffs_max,
        preemptions_fewest=found.preemptions_fewest,
        wallet=wallet or "",
        memory_mb=found.memory_mb,
    )


async def replay_cell(
    scenario: Scenario,
    lock: str | None,
    topology: str,
    store: str,
    schedule: tuple[str, ...],
    *,
    wallet: str | None = None,
    faults: Faults,
) -> Witness:
    """Run one schedule on `store`. UsageError if the code no longer follows it."""
    setting = setting_of(scenario, lock, topology, wallet, dialect_of(store))
    witness, _ = await in_worlds(
        setting, store, lambda open_world, _: replay(setting, open_world, schedule, faults)
    )
    return witness
