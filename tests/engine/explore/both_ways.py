"""One setting explored twice: schedule by schedule, which is slow and trusted, and by the graph."""

from collections import Counter
from collections.abc import Awaitable, Callable

from engine.catalog import MakeLock
from engine.explore.client import Client, Parts
from engine.explore.faults import Faults
from engine.explore.model import ModelWorld, run_now
from engine.explore.plan import Counts, Task, explore_task
from engine.explore.scenario import Program, Scenario
from engine.explore.search import Budget, Explored, OpenWorld, explore
from engine.explore.states import explore_states
from engine.explore.world import Setting, World
from engine.history import Receipt
from engine.locks.body import read_apply_write
from engine.ports import Call, Runtime, Store

Play = Callable[[Client], Awaitable[object]]
NO_FAULTS = Faults()


def adds(amount: str = "3.00", account: str = "alice") -> Play:
    """A client that asks for one deposit."""

    async def play(client: Client) -> None:
        await client.add(account, amount)

    return play


def withdraws(amount: str = "5.00", account: str = "alice") -> Play:
    """A client that asks for one withdrawal."""

    async def play(client: Client) -> None:
        await client.withdraw(account, amount)

    return play


def asks(account: str = "alice") -> Play:
    """A client that asks for the balance."""

    async def play(client: Client) -> None:
        await client.balance(account)

    return play


def in_turn(*plays: Play) -> Play:
    """A client that asks for one thing after another."""

    async def play(client: Client) -> None:
        for one in plays:
            await one(client)

    return play


def setting_of(
    make_lock: MakeLock, *plays: Play, topology: str = "one-service", cached: bool = False
) -> Setting:
    """Clients A, B, C, … beside each other, over wallets that hold 10.00 each."""
    scenario = Scenario(
        name="small",
        title="",
        story="",
        openings={"alice": 1000, "bob": 1000},
        programs=tuple(Program(name, play) for name, play in zip("ABCDE", plays, strict=False)),
        expected=lambda lock, topology: None,
        cached=cached,
    )
    return Setting(scenario, topology, Parts(make_lock))


def opener(setting: Setting) -> OpenWorld:
    """Makes model worlds."""

    async def open_world() -> World:
        return ModelWorld(setting)

    return open_world


def by_brute_force(
    setting: Setting, faults: Faults = NO_FAULTS, budget: Budget | None = None
) -> Explored:
    """Every schedule, one by one."""
    found: Explored = run_now(
        explore(setting, opener(setting), faults=faults, budget=budget or Budget())
    )
    return found


def by_graph(
    setting: Setting, faults: Faults = NO_FAULTS, budget: Budget | None = None
) -> Explored:
    """State by state. Unfit."""
    found: Explored = run_now(
        explore_states(setting, opener(setting), faults=faults, budget=budget or Budget())
    )
    return found


def by_plan(
    setting: Setting,
    faults: Faults = NO_FAULTS,
    budget: Budget | None = None,
    counts: Counts = Counts.EXACT,
) -> Explored:
    """The way the plan chooses."""
    task = Task(setting, opener(setting), True, faults, budget or Budget(), counts)
    found: Explored = run_now(explore_task(task))
    return found


def summary(found: Explored) -> tuple[object, ...]:
    """All that two ways must agree on."""
    return (
        found.verdict,
        found.kinds,
        found.interleavings,
        found.losing,
        Counter(found.outcomes),
        found.witness is not None,
        found.witness and price(found),
    )


def price(found: Explored) -> tuple[int, int]:
    """The witness's faults and preemptions."""
    assert found.witness is not None
    faults = sum("!" in move for move in found.witness.schedule)
    return faults, found.witness.preemptions


class Sometimes:
    """Takes its mutex unless `careless(call)`: the base of strategies with a memory."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.mutex = runtime.mutex("m")
        self.begin()

    def begin(self) -> None:
        """Make what is remembered."""

    def careless(self, call: Call) -> bool:
        """Whether this call does without the mutex."""
        raise NotImplementedError

    async def run(self, call: Call, store: Store) -> Receipt:
        if self.careless(call):
            return await read_apply_write(call, store)
        async with self.mutex:
            return await read_apply_write(call, store)
