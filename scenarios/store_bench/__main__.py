"""The command behind `make bench-stores`."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from engine.errors import StoreUnavailable, UsageError, WalletraceError
from engine.load.rounds import Interrupted
from engine.load.store_rounds import compare_on_stores
from engine.results import Load, LoadRun
from engine.stores.opening import located
from engine.verdicts import EXIT_USAGE
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
        with _addresses(loads) as (addresses, missing):
            runs = _measured(loads, addresses, rounds, seconds)
    except Interrupted as cut:
        interrupted, runs, missing = True, list(cut.runs), "interrupted"
    except WalletraceError as error:
        err.print(f"walletrace: {error}", markup=False, highlight=False)
        raise typer.Exit(EXIT_USAGE if isinstance(error, UsageError) else 1) from None
    _tell(runs, rounds, seconds, missing, json_file)
    out.print(f"{time.monotonic() - started:.0f} s in all")
    if interrupted:
        raise typer.Exit(130)
