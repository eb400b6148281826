"""The programs in plain asyncio, as the peers run them; standard library only.

They are written to cost the peers as little as we could make them. A step is what a task does
between two awaits, the first one needing no await before it, so no run branches where there is
nothing to choose. Accounts are objects, not entries of one dict: frontrun takes 36 runs instead of
62 for two clients on two keys so.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from scenarios.explore_bench.cases import CASES


class Account:
    """A balance and the lock of its own."""

    def __init__(self, balance: int) -> None:
        self.balance = balance
        self.lock = asyncio.Lock()


class Bank:
    """Accounts, and one lock for everybody."""

    def __init__(self, **balances: int) -> None:
        self.lock = asyncio.Lock()
        self.accounts = {name: Account(balance) for name, balance in balances.items()}

    def holds(self) -> dict[str, int]:
        """What the accounts hold."""
        return {name: account.balance for name, account in self.accounts.items()}


Worker = Callable[[Bank], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class AsyncioProgram:
    """Opening balances, one worker for each client, and the only right balances at the end."""

    openings: dict[str, int]
    workers: Sequence[Worker]
    correct: dict[str, int]

    def setup(self) -> Bank:
        return Bank(**self.openings)

    def is_right(self, bank: Bank) -> bool:
        return bank.holds() == self.correct


def program(name: str) -> AsyncioProgram:
    """The program of the case called `name`."""
    case = CASES[name]
    clients = case.clients
    if case.program == "race":
        return AsyncioProgram(
            {"alice": 1000_00}, [_change(-500_00), _change(300_00)], {"alice": 800_00}
        )
    if case.program == "one-lock":
        amounts = [-500_00, *[300_00] * (clients - 1)]
        workers = [_locked(amount) for amount in amounts]
        return AsyncioProgram({"alice": 1000_00}, workers, {"alice": 1000_00 + sum(amounts)})
    if case.program == "two-keys":
        return AsyncioProgram({"b": 0, "l": 0}, [_two_keys] * clients, {"b": clients, "l": clients})
    names = "abcd"[:clients]
    same = dict.fromkeys(names, 100)
    if case.program == "own-locks":
        return AsyncioProgram(same, [_own(each) for each in names], dict.fromkeys(names, 101))
    assert case.program == "ring", name
    ring = zip(names, names[1:] + names[0], strict=True)
    return AsyncioProgram(same, [_transfer(*pair) for pair in ring], same)


def _change(amount: int) -> Worker:
    async def change(bank: Bank) -> None:
        alice = bank.accounts["alice"]
        seen = alice.balance
        await asyncio.sleep(0)
        alice.balance = seen + amount

    return change


def _locked(amount: int) -> Worker:
    async def change(bank: Bank) -> None:
        alice = bank.accounts["alice"]
        async with bank.lock:
            seen = alice.balance
            await asyncio.sleep(0)
            alice.balance = seen + amount

    return change


def _own(name: str) -> Worker:
    async def change(bank: Bank) -> None:
        account = bank.accounts[name]
        async with account.lock:
            seen = account.balance
            await asyncio.sleep(0)
            account.balance = seen + 1

    return change


async def _two_keys(bank: Bank) -> None:
    first, second = bank.accounts["b"], bank.accounts["l"]
    seen = first.balance
    await asyncio.sleep(0)
    first.balance = seen + 1
    await asyncio.sleep(0)
    seen = second.balance
    await asyncio.sleep(0)
    second.balance = seen + 1


def _transfer(source: str, target: str) -> Worker:
    lower, higher = sorted((source, target))

    async def transfer(bank: Bank) -> None:
        giver, taker = bank.accounts[source], bank.accounts[target]
        async with bank.accounts[lower].lock, bank.accounts[higher].lock:
            seen = giver.balance
            await asyncio.sleep(0)
            giver.balance = seen - 1
            await asyncio.sleep(0)
            seen = taker.balance
            await asyncio.sleep(0)
            taker.balance = seen + 1

    return transfer
