"""A small concurrent program as data: what each client asks for, in order, and how it is told.

>>> from engine.operations import Add, Withdraw
>>> clients = (Withdraw("alice", 1),), (Keyed(Add("alice", 2), "k"),)
>>> print(ConcurrentProgram({"alice": 1}, clients))
A: withdraw 0.01 from alice | B: add 0.02 to alice (key k)
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from engine.errors import BusinessError
from engine.explore.client import Client
from engine.explore.faults import Faults
from engine.explore.scenario import Program, Scenario, topology_words
from engine.explore.witness import describe
from engine.money import show_cents
from engine.operations import Balance, CheckSufficient, Operation, Question

CLIENT_NAMES = "ABC"


@dataclass(frozen=True, slots=True)
class Keyed:
    """An operation that is asked for under an idempotency key."""

    operation: Operation
    key: str


Request = Operation | Question | Keyed


@dataclass(frozen=True, slots=True)
class ConcurrentProgram:
    """Opening balances in cents, and the requests of each client, who goes on after a refusal."""

    openings: Mapping[str, int]
    clients: tuple[tuple[Request, ...], ...]
    topology: str = "one-service"
    cached: bool = False
    faults: Faults = field(default_factory=Faults)

    def __str__(self) -> str:
        return " | ".join(
            f"{name}: {'; '.join(_told(request) for request in requests)}"
            for name, requests in zip(CLIENT_NAMES, self.clients, strict=False)
        )

    def scenario(self) -> Scenario:
        """The same as a scenario, which no lock strategy is declared to pass or to fail."""
        return Scenario(
            name="random-program",
            title="a random program",
            story=str(self),
            openings=self.openings,
            programs=tuple(
                Program(name, partial(_play, requests))
                for name, requests in zip(CLIENT_NAMES, self.clients, strict=False)
            ),
            expected=lambda lock, topology: None,
            faults=self.faults,
            cached=self.cached,
        )

    def setting_in_words(self) -> str:
        """What `str` leaves out: wallets, topology, cache and faults."""
        wallets = ", ".join(f"{name} {show_cents(held)}" for name, held in self.openings.items())
        cache = "with the cache" if self.cached else "without a cache"
        faults = str(self.faults) or "no faults"
        return f"{wallets}; {topology_words(self.topology)}, {cache}; {faults}"


def _told(request: Request) -> str:
    if isinstance(request, Keyed):
        return f"{describe(request.operation)} (key {request.key})"
    return describe(request)


async def _play(requests: tuple[Request, ...], client: Client) -> None:
    for request in requests:
        with suppress(BusinessError):
            await _ask(client, request)


async def _ask(client: Client, request: Request) -> None:
    match request:
        case Keyed(operation, key):
            await client.execute(operation, key=key)
        case Balance(account):
            await client.balance(account)
        case CheckSufficient(account, amount):
            await client.check_sufficient(account, show_cents(amount))
        case operation:
            await client.execute(operation)
