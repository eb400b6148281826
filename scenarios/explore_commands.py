"""`walletrace list`, `explore`, `replay` and `compare`: everything that explores."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from engine.catalog import LOCK_STRATEGIES, NEGATIVE_CONTROLS, find
from engine.errors import UsageError
from engine.explore.cells import STORES, explore_cell, replay_cell
from engine.explore.controller import ScheduleMismatch
from engine.explore.scenario import TOPOLOGIES, Faults, Scenario
from engine.explore.search import Budget
from engine.results import Cell
from engine.verdicts import EXIT_DECIDED_OTHERWISE, EXIT_OK, Verdict, exit_status
from reports import junit, markdown, terminal
from scenarios import matrix, saved
from scenarios.catalogue import SCENARIOS
from scenarios.console import cell_json, err, out, print_json, progress, witness_json

_BUDGET = Budget()
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
Store = Annotated[str, typer.Option(help=f"Where to run: {' or '.join(STORES)}.")]
MaxInterleavings = Annotated[
    int, typer.Option(min=1, help="Stop a cell after so many interleavings; it is then bounded.")
]
MaxSeconds = Annotated[float, typer.Option(min=0.0, help="Stop a cell after so many seconds.")]


def _scenario(name: str) -> Scenario:
    found = find("scenario", name, SCENARIOS)
    if not isinstance(found, Scenario):
        raise UsageError(f"{name!r} is no Scenario", "see engine.explore.scenario")
    return found


def list_parts(as_json: Json = False) -> None:
    """Show what there is: scenarios, lock strategies, topologies and stores."""
    parts = {
        "scenarios": {name: scenario.story for name, scenario in SCENARIOS.items()},
        "lock strategies": {
            name: (part.__doc__ or "").split("\n")[0]
            for name, part in (LOCK_STRATEGIES | NEGATIVE_CONTROLS).items()
        },
        "topologies": dict(TOPOLOGIES),
        "stores": dict(STORES),
    }
    if as_json:
        print_json(parts)
        return
    for title, members in parts.items():
        out.print(f"\n[bold]{title}[/bold]")
        for name, text in members.items():
            out.print(f"  [cyan]{name:22}[/cyan] {text}", highlight=False)
    out.print("\nNext: [bold]walletrace explore documented-race --lock none[/bold]")


def explore(
    scenario: Annotated[str, typer.Argument(help="A name from `walletrace list`, or module:ATTR.")],
    lock: Annotated[str, typer.Option(help="A lock strategy's name, or your own module:Class.")],
    store: Store = "memory",
    topology: Annotated[str, typer.Option(help="|".join(TOPOLOGIES))] = "one-service",
    faults: Annotated[
        str | None,
        typer.Option(help="Fault budget like cancel=1,crash=1 (default: the scenario's)"),
    ] = None,
    expect: Annotated[
        Verdict | None, typer.Option(help="Exit 0 if this is the verdict (default: safe).")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Keep the losing schedule in this file.")
    ] = None,
    max_interleavings: MaxInterleavings = _BUDGET.interleavings_max,
    max_seconds: MaxSeconds = _BUDGET.seconds_max,
    as_json: Json = False,
) -> None:
    """Run every interleaving of one scenario; show how many lose money and the shortest that does.

    Exit status: 0 the wanted verdict, 1 another one, 2 wrong usage, 3 not everything was explored.
    """
    story = _scenario(scenario)
    with progress("exploring") as advance:
        cell = asyncio.run(
            explore_cell(
                story,
                lock,
                topology,
                store,
                faults=None if faults is None else Faults.parse(faults),
                budget=Budget(max_interleavings, max_seconds),
                on_progress=lambda count: advance(count, 0, "interleavings"),
            )
        )
    if as_json:
        print_json(cell_json(cell))
    else:
        terminal.print_cell(out, cell, story.story)
    if save is not None:
        _save(cell, save)
    raise typer.Exit(exit_status(cell.verdict, expected=expect))


def _save(cell: Cell, path: Path) -> None:
    if cell.witness is None:
        err.print("nothing to save: no interleaving that was run breaks anything")
        return
    saved.save(cell, cell.witness, path)
    err.print(f"kept the schedule in {path}; next: walletrace replay {path}", soft_wrap=True)


def replay(
    file: Annotated[Path, typer.Argument(help="A file that `explore --save` wrote.")],
    store: Annotated[
        str | None, typer.Option(help="memory or sqlite (default: where it was found).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Repeat a kept schedule step by step. Exit 0 if its outcome recurs, else 1."""
    kept = saved.load(file)
    try:
        witness = asyncio.run(
            replay_cell(
                _scenario(kept.scenario),
                kept.lock,
                kept.topology,
                store or kept.found_in,
                kept.schedule,
                faults=Faults.parse(kept.faults),
            )
        )
    except ScheduleMismatch as error:
        if as_json:
            print_json({"recurs": False, "recorded": kept.outcome, "explanation": str(error)})
        else:
            out.print(f"recorded: {kept.outcome}\nit does not recur: {error}", highlight=False)
        raise typer.Exit(EXIT_DECIDED_OTHERWISE) from None
    recurs = witness.outcome == kept.outcome
    if as_json:
        print_json({"recurs": recurs, "recorded": kept.outcome, **witness_json(witness)})
    else:
        terminal.print_witness(out, witness)
        says = "it recurs" if recurs else "another outcome: the code has changed its meaning"
        out.print(f"recorded: {kept.outcome}\nreplayed: {witness.outcome}\n{says}")
    raise typer.Exit(EXIT_OK if recurs else EXIT_DECIDED_OTHERWISE)


def compare(
    quick: Annotated[
        bool, typer.Option("--quick", help="Explore the model only; replay witnesses on SQLite.")
    ] = False,
    scenario: Annotated[list[str] | None, typer.Option(help="Only these (repeatable).")] = None,
    lock: Annotated[
        list[str] | None, typer.Option(help="Only these, or your own module:Class (repeatable).")
    ] = None,
    topology: Annotated[list[str] | None, typer.Option(help="Only these (repeatable).")] = None,
    junit_file: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML.")] = None,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", help="Write a Markdown report.")
    ] = None,
    max_interleavings: MaxInterleavings = _BUDGET.interleavings_max,
    max_seconds: MaxSeconds = _BUDGET.seconds_max,
    as_json: Json = False,
) -> None:
    """Fill the whole verdict matrix, in the model and on real SQLite.

    Exit status: 0 if every cell is as its scenario declares, 1 if one is not, 3 if undecided.
    """
    for file in (junit_file, markdown_file):
        if file is not None:
            _write(file, "")  # what cannot be written is told before the work, not after
    plan = matrix.Plan(
        scenarios=[_scenario(name) for name in scenario or SCENARIOS],
        locks=lock or (*LOCK_STRATEGIES, *NEGATIVE_CONTROLS),
        topologies=topology or list(TOPOLOGIES),
        budget=Budget(max_interleavings, max_seconds),
    )
    with progress("comparing") as advance:
        cells = asyncio.run(matrix.compare(plan, quick=quick, on_cell=advance))
    if junit_file is not None:
        _write(junit_file, junit.junit_xml(cells, []))
    if markdown_file is not None:
        _write(markdown_file, markdown.markdown(cells))
    if as_json:
        print_json(_matrix_json(cells))
    else:
        terminal.print_matrix(out, cells)
    raise typer.Exit(matrix.exit_of(cells))


def _matrix_json(cells: list[Cell]) -> object:
    unexpected = [cell_json(cell) for cell in cells if not cell.as_expected]
    return {"unexpected": unexpected, "cells": [cell_json(cell) for cell in cells]}


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path} ({error.strerror})", "name another file") from error
