"""Options that several commands share, and what they are read into."""

from pathlib import Path
from typing import Annotated

import typer

from engine.catalog import find
from engine.errors import UsageError
from engine.explore.cells import STORES
from engine.explore.plan import Counts
from engine.explore.scenario import PROCESSES_MORE, TOPOLOGIES, Scenario
from engine.explore.search import Budget
from scenarios.catalogue import SCENARIOS

BUDGET = Budget()
TOPOLOGY_HELP = f"{'|'.join(TOPOLOGIES)}, or {PROCESSES_MORE}."
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
STORE_HELP = f"Where to run: {', '.join(STORES)}, or postgresql://… (without wallets)."
Store = Annotated[str, typer.Option(help=STORE_HELP)]
PostgresData = Annotated[
    Path | None,
    typer.Option(help="Keep the embedded PostgreSQL's data here (default: a temporary place)."),
]
LOCK_HELP = (
    "A lock strategy's name, or your own module:Class; needed unless --wallet names one that takes"
    " none."
)
Wallet = Annotated[
    str | None,
    typer.Option(
        help="Your own wallet, as module:Class; see docs/own-code.md. Without --lock it has to"
        " keep clients apart itself."
    ),
]
MaxStates = Annotated[
    int, typer.Option(min=1, help="Stop a cell after so many states; it is then bounded.")
]
MaxRuns = Annotated[
    int, typer.Option(min=1, help="Likewise, where schedules have to be run one by one.")
]
MaxMemory = Annotated[
    float, typer.Option("--max-memory-mb", min=1.0, help="Stop before more memory is used.")
]
CountsOption = Annotated[
    Counts, typer.Option(help="Count every interleaving, or only find the verdict, sooner.")
]
AllowBounded = Annotated[
    bool, typer.Option("--allow-bounded", help="Exit 0 if nothing broke in what was explored.")
]
Figure = Annotated[Path | None, typer.Option(help="Draw the schedule's timeline, as .svg or .png.")]
PytestFile = Annotated[
    Path | None,
    typer.Option("--pytest", help="Write a regression test that passes once the code is right."),
]
MaxSeconds = Annotated[float, typer.Option(min=0.0, help="Stop a cell after so many seconds.")]


def scenario_named(name: str) -> Scenario:
    """A scenario from the catalogue, or the user's own as module:ATTR. UsageError."""
    found = find("scenario", name, SCENARIOS)
    if not isinstance(found, Scenario):
        raise UsageError(f"{name!r} is no Scenario", "see engine.explore.scenario")
    return found
