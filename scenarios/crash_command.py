"""`walletrace crash-test`: real processes over one database, killed and paused while they work."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from engine.catalog import lock_strategy, strategies_on
from engine.crashes.driver import CrashRun, crash_test
from engine.crashes.judgement import BROKEN_BY_PAUSES
from engine.stores.opening import borrowed, dialect_of
from engine.verdicts import EXIT_DECIDED_OTHERWISE, EXIT_OK, EXIT_UNDECIDED, Verdict, exit_status
from scenarios.console import out, print_json, progress
from scenarios.load_commands import Expect, Locks, Store
from scenarios.options import Json, PostgresData

FINDINGS_MAX = 3


def crash(
    lock: Locks = None,
    workers: Annotated[int, typer.Option(help="Worker processes.")] = 3,
    kills: Annotated[int, typer.Option(help="How often one is killed (SIGKILL).")] = 5,
    pauses: Annotated[
        int, typer.Option(help="How often one is paused past its lease (SIGSTOP).")
    ] = 0,
    lease_s: Annotated[float, typer.Option(help="How long leases last.")] = 0.5,
    store: Store = "sqlite",
    postgres_data: PostgresData = None,
    seed: Annotated[int, typer.Option(help="Decides the calls, who is struck, and when.")] = 0,
    expect: Expect = None,
    as_json: Json = False,
) -> None:
    """Kill and pause worker processes in the middle of their work, and judge by the money.

    Every acknowledged call must be in the log exactly once, one that was repeated too, and what the
    dead held must come free. Exit status: 0 if each verdict is the expected one (or what --expect
    names), 1 if not, 3 if it cannot be told. Without --lock, all strategies that run on the store.
    """
    dialect = dialect_of(store)
    names = lock or [*strategies_on(dialect), *BROKEN_BY_PAUSES]
    for name in names:
        lock_strategy(name, dialect)
    runs = []
    with (
        progress("striking") as advance,
        borrowed(store, postgres_data=postgres_data) as address,
    ):
        for number, name in enumerate(names):
            advance(number, len(names), name)
            work = crash_test(
                name,
                address,
                workers=workers,
                kills=kills,
                pauses=pauses,
                lease_s=lease_s,
                seed=seed,
            )
            runs.append(asyncio.run(work))
    if as_json:
        print_json({"store": dialect, "runs": [asdict(run) for run in runs]})
    else:
        _print(runs, dialect)
    raise typer.Exit(_status(runs, expect))


def _status(runs: Sequence[CrashRun], expect: Verdict | None) -> int:
    statuses = [
        exit_status(run.verdict, expected=expect or run.expected or run.verdict) for run in runs
    ]
    for status in (EXIT_DECIDED_OTHERWISE, EXIT_UNDECIDED):
        if status in statuses:
            return status
    return EXIT_OK


def _print(runs: Sequence[CrashRun], dialect: str) -> None:
    first = runs[0]
    out.print(
        f"{first.workers} processes over one {dialect} database:"
        f" {first.kills} killed, {first.pauses} paused past their leases",
        style="bold",
    )
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for column in ("lock", "verdict", "expected"):
        table.add_column(column, no_wrap=True)
    for column in ("acknowledged", "unanswered", "of these happened", "freed after"):
        table.add_column(column, justify="right")
    for run in runs:
        freed = f"{run.freed_s:.2f} s" if run.kills else "–"
        counts = (run.acknowledged, run.unanswered, run.happened)
        table.add_row(
            run.lock, run.verdict, run.expected or "either", *(f"{n:,}" for n in counts), freed
        )
    out.print(table)
    for run in runs:
        if run.verdict is not (run.expected or run.verdict):
            for finding in run.findings[:FINDINGS_MAX]:
                out.print(Text(f"✗ {run.lock}: {finding.message}", "red"))
    out.print(
        Text(
            "unanswered: their process died first; they were asked again with the same key. freed"
            f" after: from a death to another's write, at most {first.freed_s_bound:g} s",
            style="dim",
        )
    )
