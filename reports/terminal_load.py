"""Load runs on a terminal: what each strategy costs, and what became of the money."""

from collections.abc import Callable, Sequence
from statistics import median

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.results import LoadRun, Ratio
from reports.costs import ratio_sentence
from reports.reading import in_order, short_names
from reports.summary import money

# Medians over the rounds. Below so many characters of width, those of p50 stay in --json.
_WIDE = 100
_COLUMNS: dict[str, Callable[[LoadRun], float]] = {
    "calls/s": lambda run: run.throughput_per_s,
    "p50": lambda run: run.latency.p50_ms,
    "p99": lambda run: run.latency.p99_ms,
    "wait p50": lambda run: run.lock_wait.p50_ms,
    "wait p99": lambda run: run.lock_wait.p99_ms,
    "db p99": lambda run: run.store_wait.p99_ms,
}
_FINDINGS_MAX = 3


def print_load(out: Console, runs: Sequence[LoadRun], ratios: Sequence[Ratio]) -> None:
    """One row for each load, medians over its rounds; then ratios, findings and caveats."""
    loads = in_order(run.load for run in runs)
    out.print(_title(runs), style="bold")
    table = Table(box=None, padding=(0, 1), header_style="bold")
    table.add_column("lock", no_wrap=True)
    table.add_column("money", no_wrap=True)
    columns = {
        name: value
        for name, value in _COLUMNS.items()
        if out.width >= _WIDE or not name.endswith("p50")
    }
    for column in ("work", *columns):
        table.add_column(column, justify="right", no_wrap=True)
    names = short_names(load.lock for load in loads)
    for load in loads:
        mine = [run for run in runs if run.load == load]
        values = [median(map(value, mine)) for value in columns.values()]
        table.add_row(
            names[load.lock], money(mine), f"{load.work_ms:g}", *(f"{v:,.1f}" for v in values)
        )
    out.print(table)
    out.print(Text("p50, p99: latency; wait: for the lock; db: for the database; all in ms", "dim"))
    for ratio in ratios:
        if ratio.measure == "throughput":  # the others are in --json and in the report
            out.print(Text(f"• {ratio_sentence(ratio)}"))
    _print_findings(out, runs)
    out.print(
        Text(
            "A closed loop: a client that waits sends nothing, so stalls weigh less here than for"
            " independent callers. Clean is what happened; safe is what `walletrace explore` says.",
            style="dim",
        )
    )


def _title(runs: Sequence[LoadRun]) -> str:
    load = runs[0].load
    workers = f", {load.workers} workers" if load.workers > 1 else ""
    rounds = len({run.round for run in runs})
    if load.store == "postgres":
        durable = f"PostgreSQL, synchronous_commit={'off' if load.synchronous == 'OFF' else 'on'}"
    else:
        durable = f"SQLite synchronous {load.synchronous}"
    return (
        f"{runs[0].driver}: {load.clients} clients, accounts {load.accounts}, {load.mix}{workers},"
        f" {rounds} round{'s' if rounds > 1 else ''} of {runs[0].seconds:.1f} s,"
        f" {durable}"
    )


def _print_findings(out: Console, runs: Sequence[LoadRun]) -> None:
    for run in runs:
        for finding in run.findings[:_FINDINGS_MAX]:
            out.print(Text(f"✗ {run.load.lock}: {finding.message}", "red"))
        if run.findings:
            more = len(run.findings) - _FINDINGS_MAX
            if more > 0:
                out.print(Text(f"  … and {more} more findings like these", "red"))
            return
    for run in runs:
        if run.note:
            out.print(Text(f"note: {run.load.lock}: {run.note}", "yellow"))
