"""`walletrace list`, `replay` and `compare`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from engine.catalog import LOCK_STRATEGIES, NEGATIVE_CONTROLS
from engine.errors import UsageError
from engine.explore.cells import STORES, dialect_of, replay_cell, store_name
from engine.explore.controller import ScheduleMismatch
from engine.explore.faults import FAULTS, Faults
from engine.explore.live_stores import LIVE_STORES, placed
from engine.explore.regression import replay_as_far_as_possible
from engine.explore.scenario import PROCESSES_MORE, TOPOLOGIES, Scenario
from engine.explore.search import Budget
from engine.results import Cell, Witness
from engine.verdicts import EXIT_DECIDED_OTHERWISE, EXIT_OK
from reports import junit, markdown, terminal
from scenarios import matrix, recurrence, saved
from scenarios.catalogue import SCENARIOS
from scenarios.console import cell_json, out, print_json, progress
from scenarios.evidence import Evidence
from scenarios.fingerprint import fingerprints
from scenarios.options import (
    BUDGET,
    STORE_HELP,
    Figure,
    Json,
    MaxMemory,
    MaxRuns,
    MaxSeconds,
    MaxStates,
    PostgresData,
    PytestFile,
    Wallet,
    scenario_named,
)
from scenarios.patience import run_patiently
from scenarios.recurrence import replay_json


def list_parts(as_json: Json = False) -> None:
    """Show what there is: scenarios, lock strategies, topologies, faults and stores."""
    parts = {
        "scenarios": {name: scenario.story for name, scenario in SCENARIOS.items()},
        "lock strategies": {
            name: (part.__doc__ or "").split("\n")[0]
            for name, part in (LOCK_STRATEGIES | NEGATIVE_CONTROLS).items()
        },
        "topologies": {**TOPOLOGIES, PROCESSES_MORE: "the same with more of them"},
        "faults": dict(FAULTS),
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


def replay(
    file: Annotated[Path, typer.Argument(help="A file that `explore --save` wrote.")],
    store: Annotated[
        str | None, typer.Option(help=f"{STORE_HELP} Default: where it was found.")
    ] = None,
    postgres_data: PostgresData = None,
    figure: Figure = None,
    pytest_file: PytestFile = None,
    as_json: Json = False,
) -> None:
    """Repeat a kept schedule step by step, and say whether the code has changed since.

    Exit status: 0 if its outcome recurs, 1 if it does not (mended code, say), 2 wrong usage.
    """
    evidence = Evidence(None, figure, pytest_file)
    evidence.check()
    kept = saved.load(file)
    story, at = scenario_named(kept.scenario), store_name(store or kept.store)
    with placed(store or kept.store, postgres_data=postgres_data) as where:
        witness, mismatch = _replayed(kept, story, where)
    code = fingerprints(story, kept.lock, kept.wallet)
    found = recurrence.compared(kept, witness, code, at, mismatch=mismatch)
    where = ", ".join(filter(None, (kept.topology, f"replayed on {at}", kept.faults)))
    if as_json:
        print_json(replay_json(kept, witness, found, mismatch))
    else:
        out.print(f"{_cell_words(kept)}, {where}", markup=False, highlight=False)
        _print_replay(kept, witness, found, mismatch)
    evidence.write(kept, witness, story.story, subtitle=where)
    raise typer.Exit(EXIT_OK if found.recurs else EXIT_DECIDED_OTHERWISE)


def _replayed(kept: saved.Saved, story: Scenario, where: str) -> tuple[Witness, str]:
    """The run, and why the schedule could not be followed to the letter, if it could not."""
    faults = Faults.parse(kept.faults)
    cell = (story, kept.lock, kept.topology, where, kept.schedule)
    try:
        return run_patiently(replay_cell(*cell, wallet=kept.wallet, faults=faults)), ""
    except ScheduleMismatch as error:
        mismatch = recurrence.mismatch(error, kept, where)
    return (
        run_patiently(replay_as_far_as_possible(*cell, wallet=kept.wallet, faults=faults)),
        mismatch,
    )


def _cell_words(kept: saved.Saved) -> str:
    own = f"{kept.wallet} and " if kept.wallet not in (None, kept.lock) else ""
    return f"{kept.scenario} with {own}{kept.lock}"


def _print_replay(
    kept: saved.Saved, witness: Witness, found: recurrence.Recurrence, mismatch: str
) -> None:
    if mismatch:
        out.print(f"followed as far as possible: {mismatch}", markup=False, highlight=False)
    terminal.print_witness(out, witness)
    lines = [f"recorded: {kept.outcome}", f"replayed: {witness.outcome}", found.says]
    if found.next:
        lines.append(f"Next: {found.next}")
    out.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def compare(
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Explore the model only; replay witnesses on the database."),
    ] = False,
    store: Annotated[
        str,
        typer.Option(help=f"The database beside its model: {', '.join(LIVE_STORES)}, or a URL."),
    ] = "sqlite",
    postgres_data: PostgresData = None,
    scenario: Annotated[list[str] | None, typer.Option(help="Only these (repeatable).")] = None,
    lock: Annotated[
        list[str] | None, typer.Option(help="Only these, or your own module:Class (repeatable).")
    ] = None,
    wallet: Wallet = None,
    topology: Annotated[list[str] | None, typer.Option(help="Only these (repeatable).")] = None,
    faults: Annotated[
        list[str] | None,
        typer.Option(help="Under these budgets, or `each` for one of every fault (repeatable)."),
    ] = None,
    junit_file: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML.")] = None,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", help="Write a Markdown report.")
    ] = None,
    max_states: MaxStates = BUDGET.states_max,
    max_runs: MaxRuns = BUDGET.runs_max,
    max_seconds: MaxSeconds = BUDGET.seconds_max,
    max_memory: MaxMemory = BUDGET.memory_mb_max,
    as_json: Json = False,
) -> None:
    """Fill the whole verdict matrix, in the model and on a real database.

    Exit status: 0 if every cell is as its scenario declares, 1 if one is not, 3 if undecided.
    """
    for file in (junit_file, markdown_file):
        if file is not None:
            _write(file, "")  # what cannot be written is told before the work, not after
    stories = {name: scenario_named(name) for name in scenario or SCENARIOS}
    plan = matrix.Plan(
        scenarios=list(stories.values()),
        locks=lock or matrix.locks_for(wallet, dialect_of(store)),
        topologies=topology or list(TOPOLOGIES),
        budget=Budget(max_runs, max_seconds, max_states, max_memory),
        wallet=wallet,
        faults=faults or (),
    )
    with placed(store, postgres_data=postgres_data) as at, progress("comparing") as advance:
        plan = replace(plan, store=at)
        cells = run_patiently(matrix.compare(plan, quick=quick, on_cell=advance))
    if junit_file is not None:
        _write(junit_file, junit.junit_xml(cells, []))
    if markdown_file is not None:
        _write(markdown_file, markdown.markdown(cells))
    if as_json:
        print_json(_matrix_json(cells))
    else:
        terminal.print_matrix(out, cells, {story.name: name for name, story in stories.items()})
    raise typer.Exit(matrix.exit_of(cells))


def _matrix_json(cells: list[Cell]) -> object:
    unexpected = [cell_json(cell) for cell in cells if not cell.as_expected]
    return {"unexpected": unexpected, "cells": [cell_json(cell) for cell in cells]}


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path} ({error.strerror})", "name another file") from error
