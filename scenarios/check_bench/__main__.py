"""The command behind `make bench-checks`."""

import json
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from scenarios.check_bench.cases import CASES, Case
from scenarios.check_bench.rounds import measure
from scenarios.check_bench.table import as_json, notes, table
from scenarios.cli import EXIT_INTERRUPTED
from scenarios.console import out, progress


def main(
    case: Annotated[list[str] | None, typer.Option(help="Only these (repeatable).")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Rounds, everybody in turns.")] = 7,
    json_file: Annotated[
        Path | None, typer.Option("--json", dir_okay=False, writable=True, help="Write JSON too.")
    ] = None,
) -> None:
    """Judge histories that are known to be right or wrong, and tell time, memory and growth.

    Exit status: 0 whatever the figures are; 2 for a case that does not exist, 130 for Ctrl-C,
    without a table.
    """
    started = time.monotonic()
    cases = _wanted(case)
    try:
        with tempfile.TemporaryDirectory(prefix="walletrace-") as folder, progress("judging") as on:
            rows = measure(
                cases,
                Path(folder),
                rounds=rounds,
                on_progress=lambda what, done, of: on(done, of, what),
            )
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None
    out.print(table(rows))
    for note in notes(rows, rounds=rounds):
        out.print(note, markup=False, highlight=False)
    out.print(f"{time.monotonic() - started:.0f} s in all")
    if json_file is not None:
        document = as_json(rows, rounds=rounds)
        json_file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _wanted(names: list[str] | None) -> list[Case]:
    unknown = [name for name in names or () if name not in CASES]
    if unknown:
        raise typer.BadParameter(f"no case {unknown[0]!r}; known: {', '.join(CASES)}")
    return [CASES[name] for name in names or CASES]


if __name__ == "__main__":
    typer.run(main)
