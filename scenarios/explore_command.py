"""`walletrace explore`: every interleaving of one scenario."""

from pathlib import Path
from typing import Annotated

import typer

from engine.explore.cells import explore_cell
from engine.explore.faults import FAULTS, Faults
from engine.explore.live_stores import placed
from engine.explore.plan import Counts
from engine.explore.search import Budget
from engine.results import Cell
from engine.verdicts import Verdict, exit_status
from reports import terminal
from scenarios import saved
from scenarios.console import cell_json, out, print_json, progress
from scenarios.evidence import Evidence
from scenarios.options import (
    BUDGET,
    LOCK_HELP,
    TOPOLOGY_HELP,
    AllowBounded,
    CountsOption,
    Figure,
    Json,
    MaxMemory,
    MaxRuns,
    MaxSeconds,
    MaxStates,
    PostgresData,
    PytestFile,
    Store,
    Wallet,
    scenario_named,
)
from scenarios.patience import run_patiently

FaultBudget = Annotated[
    str | None,
    typer.Option(
        help=f"How many of each fault: {', '.join(FAULTS)} (default: the scenario's)."
        " Like cancel=1,crash=1."
    ),
]
Expected = Annotated[
    Verdict | None, typer.Option(help="Exit 0 if this is the verdict (default: safe).")
]
Save = Annotated[Path | None, typer.Option(help="Keep the losing schedule in this file.")]


def explore(
    scenario: Annotated[str, typer.Argument(help="A name from `walletrace list`, or module:ATTR.")],
    lock: Annotated[str | None, typer.Option(help=LOCK_HELP)] = None,
    wallet: Wallet = None,
    store: Store = "memory",
    postgres_data: PostgresData = None,
    topology: Annotated[str, typer.Option(help=TOPOLOGY_HELP)] = "one-service",
    faults: FaultBudget = None,
    expect: Expected = None,
    save: Save = None,
    figure: Figure = None,
    pytest_file: PytestFile = None,
    counts: CountsOption = Counts.EXACT,
    max_states: MaxStates = BUDGET.states_max,
    max_runs: MaxRuns = BUDGET.runs_max,
    max_seconds: MaxSeconds = BUDGET.seconds_max,
    max_memory: MaxMemory = BUDGET.memory_mb_max,
    allow_bounded: AllowBounded = False,
    as_json: Json = False,
) -> None:
    """Explore every interleaving of one scenario: how many break it, and the shortest that does.

    Exit status: 0 the wanted verdict, 1 another one, 2 wrong usage, 3 not everything was explored.
    """
    evidence = Evidence(save, figure, pytest_file)
    evidence.check()
    story = scenario_named(scenario)
    with placed(store, postgres_data=postgres_data) as at, progress("exploring") as advance:
        cell = run_patiently(
            explore_cell(
                story,
                lock,
                topology,
                at,
                wallet=wallet,
                faults=None if faults is None else Faults.parse(faults),
                budget=Budget(max_runs, max_seconds, max_states, max_memory),
                counts=counts,
                on_progress=lambda count: advance(count, 0, "states or runs"),
            )
        )
    if as_json:
        print_json(cell_json(cell))
    else:
        terminal.print_cell(out, cell, story.story)
    if cell.witness is None:
        evidence.nothing()
    else:
        kept = saved.saved_from(cell, cell.witness, story, name=scenario, wallet=wallet)
        broken, where = expect is Verdict.BROKEN, _found_in(cell)
        evidence.write(kept, cell.witness, story.story, subtitle=where, broken=broken)
    raise typer.Exit(exit_status(cell.verdict, expected=expect, allow_bounded=allow_bounded))


def _found_in(cell: Cell) -> str:
    """Where a witness was found, and how many interleavings are like it."""
    faults = f", {cell.faults}" if cell.faults else ""
    return f"{cell.topology}, {cell.store}{faults}: {terminal.how_many_break(cell)}"
