"""What the gate needs of a real database: sessions for the clients, and a view from outside."""

from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple, Protocol

from engine.explore.stage import Lane
from engine.explore.steps import Step
from engine.history import LogRow
from engine.ports import Row, Store


class Books(NamedTuple):
    """What the database holds in the end."""

    rows: Mapping[str, Row]
    log: tuple[LogRow, ...]


class Live(Protocol):
    """A database for gated runs, kept open from run to run.

    No verb ever waits inside it: a step that would wait is not let go.
    """

    def session(self) -> Store:
        """A handle for one client."""
        ...

    async def reset(self, openings: Mapping[str, int]) -> None:
        """Begin a run with these wallets, in cents. Nobody has a transaction open."""
        ...

    def ready(self, lane: Lane, step: Step) -> bool:
        """Whether the lane's step, one that asks the database, could go on now."""
        ...

    def awaits(self, lane: Lane) -> str:
        """The lock of the database that the lane's step waits for; "" if it waits for none."""
        ...

    def leases(self) -> Set[str]:
        """The keys of leases that somebody owns."""
        ...

    async def locks(self, lane: Lane) -> tuple[str, ...]:
        """The locks that the lane's transaction holds, by name."""
        ...

    async def prepare(self, lane: Lane, session: Store | None, step: Step) -> None:
        """The lane's step is about to be taken."""
        ...

    async def moved(self, lane: Lane, step: Step, result: Any) -> None:
        """The lane's step was taken, with this result or error.

        Raises what shows that the run is no exploration any more: a database that is gone, or a
        step that was let go and had to wait.
        """
        ...

    async def fail(self, lane: Lane) -> None:
        """The lane's statement was stopped half-way."""
        ...

    async def hang_up(self, lane: Lane, sessions: Sequence[Store]) -> None:
        """The lane's connection is lost, and with it its transaction."""
        ...

    async def look(self, lanes: Sequence[Lane]) -> None:
        """Something has happened; `ready`, `awaits` and `leases` speak of now from here on."""
        ...

    async def run_out(self, key: str) -> None:
        """The lease on `key` is over by the clock."""
        ...

    async def balances(self) -> Mapping[str, Row]: ...

    async def books(self, lanes: Sequence[Lane]) -> Books:
        """Wallets and log at the end of a run; some lanes may be in a transaction still."""
        ...
