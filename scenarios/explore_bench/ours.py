"""Our explorer on one case: the whole wallet where the case is about locks, bare ports elsewhere.

This module is the only one here that knows how our explorer is called.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from time import perf_counter

from engine.explore.cells import explore_cell
from engine.explore.client import Client
from engine.explore.model import run_now
from engine.explore.scenario import Program, Scenario
from engine.explore.search import Budget
from engine.history import Entry, Receipt
from engine.locks.per_user import PerUserLock
from engine.money import show_cents
from engine.operations import Add, Transfer
from engine.ports import Call, Change, Store
from engine.results import Cell
from engine.verdicts import Verdict
from scenarios import documented_race
from scenarios.explore_bench.cases import CASES, Answer, Asks

_UNBOUNDED = 10**12


def ours(name: str, limit_s: float) -> Answer:
    """Explore the case called `name`, for so many seconds at most."""
    case = CASES[name]
    scenario, lock = _setting(name)
    started = perf_counter()
    cell: Cell = run_now(
        explore_cell(scenario, lock, "one-service", "memory", budget=Budget(_UNBOUNDED, limit_s))
    )
    seconds = perf_counter() - started
    # A state graph runs nothing; without one every interleaving is a run.
    runs, states = (None, cell.states) if cell.states else (cell.interleavings, None)
    counted = cell.interleavings
    if case.asks is Asks.FIND:
        found = cell.verdict is Verdict.BROKEN and cell.witness is not None
        return Answer(seconds, found, cell.verdict, runs, states, counted, cell.losing)
    if case.asks is Asks.PROVE:
        safe = cell.verdict is Verdict.SAFE
        told = counted if safe else None
        return Answer(seconds, safe, "proven" if safe else cell.verdict, runs, states, told)
    if counted != case.interleavings:
        return Answer(seconds, False, "not all explored", runs, states)
    right = _outcome(scenario)
    losing = sum(n for label, n in cell.outcomes.items() if not label.startswith(right))
    return Answer(seconds, True, "counted", runs, states, counted, losing)


def _outcome(scenario: Scenario) -> str:
    """How the right balances begin the label of an outcome; what a judge adds comes after."""
    assert scenario.correct is not None
    return ", ".join(f"{key}={show_cents(cents)}" for key, cents in scenario.correct.items())


def _setting(name: str) -> tuple[Scenario, str]:
    """The scenario of a case, and the lock strategy it is explored under."""
    clients = CASES[name].clients
    if name == "race":
        return documented_race.SCENARIO, "none"
    if name.startswith("one-lock"):
        programs = [_withdraw("alice", "500.00"), *[_add("alice", "300.00")] * (clients - 1)]
        after = 1000_00 - 500_00 + 300_00 * (clients - 1)
        return _scenario(name, {"alice": 1000_00}, programs, {"alice": after}), "global"
    if name.startswith("two-keys"):
        empty = {"b": 0, "l": 0}
        return _scenario(name, empty, [_two_keys] * clients, dict.fromkeys(empty, clients)), "none"
    names = "abcd"[:clients]
    same = dict.fromkeys(names, 100)
    if name.startswith("own-locks"):
        adds = [_add(each, "0.01") for each in names]
        return _scenario(name, same, adds, dict.fromkeys(names, 101)), "per-user"
    assert name.startswith("ring"), name
    ring = [_transfer(*pair) for pair in zip(names, names[1:] + names[0], strict=True)]
    return _scenario(name, same, ring, same), f"{__name__}:{StepByStep.__name__}"


Story = Callable[[Client], Awaitable[object]]


def _scenario(
    name: str, openings: dict[str, int], programs: list[Story], correct: dict[str, int]
) -> Scenario:
    return Scenario(
        name=name,
        title=CASES[name].title,
        story=CASES[name].title,
        openings=openings,
        programs=tuple(Program(lane, run) for lane, run in zip("ABCD", programs, strict=False)),
        expected=lambda lock, topology: None,
        correct=correct,
    )


def _withdraw(account: str, amount: str) -> Story:
    return lambda client: client.withdraw(account, amount)


def _add(account: str, amount: str) -> Story:
    return lambda client: client.add(account, amount)


def _transfer(source: str, target: str) -> Story:
    return lambda client: client.transfer(source, target, "0.01")


async def _two_keys(client: Client) -> None:
    """Straight on the store, without a wallet between: exactly four steps."""
    store = client.store()
    for account in ("b", "l"):
        row = (await store.read((account,))).rows[account]
        call = client.new_call(Add(account, 1))
        await store.write(call, (Change(account, row.balance, row.balance + 1, row.version),))


class StepByStep(PerUserLock):
    """`per-user` that reads and writes one account after the other, as the ring's programs do."""

    async def run(self, call: Call, store: Store) -> Receipt:
        transfer = call.operation
        assert isinstance(transfer, Transfer)
        entries: list[Entry] = []
        async with AsyncExitStack() as held:
            for account in self.in_order(call):
                await held.enter_async_context(self.locks.hold(account))
            for account, amount in (
                (transfer.source, -transfer.amount),
                (transfer.target, transfer.amount),
            ):
                row = (await store.read((account,))).rows[account]
                after = row.balance + amount
                change = Change(account, row.balance, after, row.version)
                entries += (await store.write(call, (change,))).entries
        return Receipt(call.id, tuple(entries))
