"""What a scenario is: opening balances, clients' programs, and the verdicts it expects."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.errors import UsageError
from engine.orders import Fulfil, accept
from engine.verdicts import Verdict

if TYPE_CHECKING:
    from engine.explore.client import Client

TOPOLOGIES: dict[str, str] = {
    "one-service": "one service instance answers every request",
    "service-per-request": "each request builds a service instance of its own",
    "two-processes": "two service instances over one database take requests in turn",
}


@dataclass(frozen=True, slots=True)
class Faults:
    """How many of each fault may strike, at any step. `cancel`: a client goes away in the middle
    of a request, or its answer is lost. `crash`: a service instance dies, its memory is gone, its
    transactions are rolled back, its leases run out.
    """

    cancel: int = 0
    crash: int = 0

    def __str__(self) -> str:
        named = (("cancel", self.cancel), ("crash", self.crash))
        return ",".join(f"{name}={count}" for name, count in named if count)

    @classmethod
    def parse(cls, text: str) -> "Faults":
        """Read "cancel=1,crash=1". UsageError."""
        budgets: dict[str, int] = {}
        for part in filter(None, text.split(",")):
            name, _, count = part.partition("=")
            if name not in ("cancel", "crash") or not (count.isdigit() and len(count) < 3):
                raise UsageError(f"no fault budget {part!r}", "write it like cancel=1,crash=1")
            budgets[name] = int(count)
        return cls(**budgets)


@dataclass(frozen=True, slots=True)
class Program:
    """One client: its lane's name, what it does, and whom it waits for before it begins."""

    name: str
    run: Callable[["Client"], Awaitable[object]]
    after: tuple[str, ...] = ()


_NAME = re.compile(r"[A-Za-z0-9-]+", re.ASCII)
Expected = Callable[[str, str], Verdict | None]


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
    expected: Expected
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
