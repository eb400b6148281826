"""The command behind `make bench-stores`."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from engine.errors import UsageError, WalletraceError
from engine.load.rounds import Interrupted
from engine.load.store_rounds import compare_on_stores
from engine.results import Load, LoadRun
from engine.verdicts import EXIT_UNDECIDED, EXIT_USAGE
from scenarios.available import available
from scenarios.cli import EXIT_INTERRUPTED, unwind_when_terminated
from scenarios.console import err, out, progress
from scenarios.store_bench.cases import chosen, name
from scenarios.store_bench.table import as_json, notes, rows_of, tables

SEED = 2026


def main(
    case: Annotated[
        list[str] | None, typer.Option(help="Only these, like 'postgres/*/hot/32/*' (repeatable).")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also 1 and 8 clients, and relaxed durability.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Rounds, everybody in turns.")] = 6,
    seconds: Annotated[float, typer.Option(min=0.05, help="Measured time of one run.")] = 0.5,
    json_file: Annotated[
        Path | None, typer.Option("--json", dir_okay=False, writable=True, help="Write JSON too.")
    ] = None,
) -> None:
    """Measure every lock strategy on its store, in turns with pgbench and bare sqlite3.

    Exit status: 0 whatever the figures are; 2 for a case that does not exist, 130 for Ctrl-C,
    after the tables of what was measured till then.
    """
    started = time.monotonic()
    interrupted = False
    try:
        loads = chosen(case or (), everything=everything)
        with available({load.store for load in loads}) as (addresses, missing):
            there = [load for load in loads if load.store in addresses]
            runs = _measured(there, addresses, rounds=rounds, seconds=seconds)
    except Interrupted as cut:
        interrupted, runs, missing = True, list(cut.runs), ""
    except WalletraceError as error:
        err.print(f"walletrace: {error}", markup=False, highlight=False)
        raise typer.Exit(EXIT_USAGE if isinstance(error, UsageError) else EXIT_UNDECIDED) from None
    rows = rows_of(runs, seed=SEED)
    for table in tables(rows):
        out.print(table)
    for note in notes(rows, rounds=rounds, seconds=seconds, missing=missing):
        out.print(note, markup=False, highlight=False)
    out.print(f"{time.monotonic() - started:.0f} s in all")
    if json_file is not None:
        document = as_json(rows, rounds=rounds, seconds=seconds, missing=missing)
        json_file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)


def _measured(
    loads: Sequence[Load], addresses: Mapping[str, str], *, rounds: int, seconds: float
) -> list[LoadRun]:
    with progress("measuring") as advance:
        return compare_on_stores(
            loads,
            addresses=addresses,
            rounds=rounds,
            seconds=seconds,
            seed=SEED,
            on_progress=lambda run, done, of: advance(done, of, name(run.load)),
        )


if __name__ == "__main__":
    unwind_when_terminated()
    typer.run(main)
