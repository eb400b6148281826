"""The programs as our explorer runs them: on bare ports like the peers', or through the wallet.

A bare program's steps are those of the peers' program: lock, read, write. Giving a mutex back is no
step of ours, as it is none of theirs. Each client's work is recorded as one call from its beginning
to its end, so that more is checked than balances: some order of the calls must explain them.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from engine.explore.client import Client
from engine.explore.scenario import Program, Scenario
from engine.history import Entry, Receipt
from engine.locks.per_user import PerUserLock
from engine.money import BALANCE_CENTS_MAX
from engine.operations import Add, Batch, Operation, Transfer, Withdraw
from engine.ports import Call, Change, Store
from scenarios import documented_race
from scenarios.explore_bench.cases import Case

Story = Callable[[Client], Awaitable[object]]


def setting(case: Case) -> tuple[Scenario, str]:
    """The scenario of a case, and the lock strategy that its wallet is explored under."""
    if case.program == "race" and case.wallet:
        return documented_race.SCENARIO, "none"
    operations, openings = _asked(case)
    balances = dict(openings)
    for operation in operations:
        balances |= operation.apply(balances)
    locks, strategy = {
        "race": (_nothing, "none"),
        "one-lock": (_everybody, "global"),
        "own-locks": (_accounts, "per-user"),
        "two-keys": (_nothing, "none"),
        "ring": (_accounts, f"{__name__}:{StepByStep.__name__}"),
    }[case.program]
    stories = [_asking(each) if case.wallet else _bare(each, locks(each)) for each in operations]
    scenario = Scenario(
        name=case.name,
        title=case.title,
        story=case.title,
        openings=openings,
        programs=tuple(Program(lane, run) for lane, run in zip("ABCD", stories, strict=False)),
        expected=lambda lock, topology: None,
        correct=balances,
    )
    return scenario, strategy


def _asked(case: Case) -> tuple[list[Operation], dict[str, int]]:
    """What each client wants, and the opening balances, in cents."""
    if case.program in ("race", "one-lock"):
        adds: list[Operation] = [Add("alice", 300_00)] * (case.clients - 1)
        return [Withdraw("alice", 500_00), *adds], {"alice": 1000_00}
    if case.program == "two-keys":
        return [Batch((Add("b", 1), Add("l", 1)))] * case.clients, {"b": 0, "l": 0}
    names = "abcd"[: case.clients]
    opening = dict.fromkeys(names, 100)
    if case.program == "own-locks":
        return [Add(each, 1) for each in names], opening
    assert case.program == "ring", case.program
    pairs = zip(names, names[1:] + names[0], strict=True)
    return [Transfer(source, target, 1) for source, target in pairs], opening


def _nothing(operation: Operation) -> tuple[str, ...]:
    return ()


def _everybody(operation: Operation) -> tuple[str, ...]:
    return ("everybody",)


def _accounts(operation: Operation) -> tuple[str, ...]:
    return tuple(sorted(operation.written))


def _asking(operation: Operation) -> Story:
    return lambda client: client.execute(operation)


def _bare(operation: Operation, locks: tuple[str, ...]) -> Story:
    """The operation by hand: the locks, then read and write account by account."""

    gains = _gains(operation)

    async def locked(client: Client, locks: tuple[str, ...]) -> None:
        if locks:
            async with client.mutex(locks[0]):
                await locked(client, locks[1:])
            return
        store, call = client.store(), client.new_call(operation)
        for account, gain in gains:
            await _changed(store, call, account, gain)

    return lambda client: client.recorded(operation, locked(client, locks))


async def _changed(store: Store, call: Call, account: str, gain: int) -> tuple[Entry, ...]:
    """Read one account and write what it holds then."""
    row = (await store.read((account,))).rows[account]
    change = Change(account, row.balance, row.balance + gain, row.version)
    return (await store.write(call, (change,))).entries


def _gains(operation: Operation) -> tuple[tuple[str, int], ...]:
    """What the operation adds to each of its accounts, in the order in which it names them."""
    rich = dict.fromkeys(operation.written, BALANCE_CENTS_MAX // 2)
    after = operation.apply(rich)
    return tuple((account, after[account] - rich[account]) for account in operation.written)


class StepByStep(PerUserLock):
    """`per-user` that reads and writes one account after the other, as the ring's programs do."""

    async def run(self, call: Call, store: Store) -> Receipt:
        entries: tuple[Entry, ...] = ()
        async with AsyncExitStack() as held:
            for account in self.in_order(call):
                await held.enter_async_context(self.locks.hold(account))
            for account, gain in _gains(call.operation):
                entries += await _changed(store, call, account, gain)
        return Receipt(call.id, entries)
