"""What a scenario is: opening balances, clients' programs, and the verdicts it expects."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.errors import UsageError
from engine.explore.faults import Faults
from engine.orders import Fulfil, accept
from engine.verdicts import Verdict

if TYPE_CHECKING:
    from engine.explore.client import Client

TOPOLOGIES: dict[str, str] = {
    "one-service": "one service instance answers every request",
    "service-per-request": "each request builds a service instance of its own",
    "two-processes": "two service instances over one database take requests in turn",
}
# Not in the matrix by default; any of them can be asked for by name.
PROCESSES_MORE = "3-processes … 9-processes"
_PROCESSES = re.compile(r"([3-9])-processes", re.ASCII)


def known_topology(name: str) -> str:
    """`name` itself if a house can be built like that. UsageError."""
    if name in TOPOLOGIES or _PROCESSES.fullmatch(name):
        return name
    raise UsageError(f"no topology {name!r}", f"known: {', '.join(TOPOLOGIES)}, {PROCESSES_MORE}")


def topology_words(name: str) -> str:
    """What the topology is, in words."""
    if many := _PROCESSES.fullmatch(name):
        return f"{many[1]} service instances over one database take requests in turn"
    return TOPOLOGIES[name]


def instance_number(topology: str, clients: int, client: int, request: int) -> int:
    """Which service instance answers client number `client` in its request number `request`.

    It depends on nothing that happened before, so that every interleaving meets the same houses.

    >>> [instance_number("3-processes", 2, client, request) for client, request in ((0, 0), (1, 2))]
    [0, 0]
    >>> [instance_number("service-per-request", 2, 1, request) for request in range(3)]
    [1, 3, 5]
    """
    if topology == "one-service":
        return 0
    if topology == "service-per-request":
        return client + clients * request
    many = _PROCESSES.fullmatch(topology)
    return (client + request) % (int(many[1]) if many else 2)


@dataclass(frozen=True, slots=True)
class Program:
    """One client: its lane's name, what it does, and whom it waits for before it begins."""

    name: str
    run: Callable[["Client"], Awaitable[object]]
    after: tuple[str, ...] = ()


_NAME = re.compile(r"[A-Za-z0-9-]+", re.ASCII)
Expected = Callable[[str, str], Verdict | None]


def undeclared(lock: str, topology: str) -> Verdict | None:
    """No verdict is declared for any cell: whatever is found is news."""
    return None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One story to explore. Balances in cents.

    `expected(lock, topology)` is the verdict declared for a cell. `correct` are the balances at
    the end if every request was answered; with `always`, whatever the faults did. `cached`
    puts the cache in front of balance questions.
    """

    name: str
    title: str
    story: str
    openings: Mapping[str, int]
    programs: tuple[Program, ...]
    expected: Expected = undeclared
    correct: Mapping[str, int] | None = None
    always: bool = False
    faults: Faults = field(default_factory=Faults)
    cached: bool = False
    fulfil: Fulfil = accept

    def __post_init__(self) -> None:
        earlier: set[str] = set()
        for program in self.programs:
            if not _NAME.fullmatch(program.name) or program.name.lower() in earlier:
                raise UsageError(
                    f"{program.name!r} cannot name a client of {self.name}",
                    "use letters, digits and hyphens, each name once",
                )
            if missing := {name for name in program.after if name.lower() not in earlier}:
                raise UsageError(
                    f"{program.name} of {self.name} waits for {', '.join(sorted(missing))}",
                    "a client can wait for those listed before it",
                )
            earlier.add(program.name.lower())
