"""What the controller needs of a world, and how every world begins."""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from engine.errors import UsageError, WalletraceError
from engine.explore.client import Client, House, Parts
from engine.explore.faults import How
from engine.explore.scenario import Program, Scenario
from engine.explore.stage import Lane, Stage
from engine.history import LogRow
from engine.ports import Dialect, Row, Store


@dataclass(frozen=True, slots=True)
class Setting:
    """What is explored, and under which database's rules."""

    scenario: Scenario
    topology: str
    parts: Parts
    dialect: Dialect = "sqlite"


@dataclass(frozen=True, slots=True)
class Ending:
    """What the database holds in the end, and what was never given back.

    `gap` says that the operation log's chain is broken where the log itself was not kept.
    """

    rows: Mapping[str, Row]
    log: tuple[LogRow, ...]
    leaked: tuple[str, ...]
    gap: bool = False


class World(Protocol):
    """One run of one setting. A lane that is not ended has a pending step whenever asked."""

    stage: Stage

    def ready(self, lane: Lane) -> bool:
        """Whether the lane's pending step could go on now."""
        ...

    def awaits(self, lane: Lane) -> str:
        """The lock of the database that the lane's pending step waits for; "" if for none."""
        ...

    async def locks(self, lane: Lane) -> tuple[str, ...]:
        """The locks of the database that the lane's transaction holds, by name."""
        ...

    def in_transaction(self, lane: Lane) -> bool:
        """Whether the lane has a transaction open."""
        ...

    def holds_lease(self, lane: Lane) -> bool:
        """Whether the lane holds a lease that has not run out."""
        ...

    async def advance(self, lane: Lane, how: How) -> Any:
        """Take the lane's step; its result, or the error it was answered with."""
        ...

    async def crash(self, number: int) -> None:
        """The service instance dies with all that talk to it."""
        ...

    async def sweep(self, number: int) -> None:
        """The service instance forgets its idle locks."""
        ...

    async def expire(self, lane: Lane) -> None:
        """The lane's leases run out; it is not told."""
        ...

    async def dispose(self) -> None:
        """End whatever still runs."""
        ...

    async def balances(self) -> Mapping[str, int]: ...

    async def ending(self) -> Ending: ...


def raise_the_curtain(setting: Setting, stage: Stage, sessions: Callable[[], Store]) -> House:
    """Build the house and launch one lane for each client."""
    house = House(stage, setting.scenario, setting.topology, setting.parts, sessions)
    for number, program in enumerate(setting.scenario.programs):
        lane = Lane(program.name, after=program.after)
        stage.lanes.append(lane)
        stage.launch(lane, play(program, Client(stage, house, lane, number), lane))
    return house


async def play(program: Program, client: Client, lane: Lane) -> None:
    """The whole life of one client; what it died of is its lane's fault."""
    try:
        await program.run(client)
    except UsageError:
        raise  # the user's, not the scenario's
    except WalletraceError:
        pass  # the history has it
    except (Exception, SystemExit) as error:
        lane.fault = f"{type(error).__name__}: {error} ({_where(error)})"


def _where(error: BaseException) -> str:
    """The line that raised it."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"
