"""The comparison with the targets as one table with its footnotes, and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from engine.load.machine import machine
from engine.results import ROUNDS_FOR_INTERVAL
from scenarios.check_bench.cases import CASES
from scenarios.check_bench.rounds import Row

NOT_COVERED = (
    "Not covered: other people's tools (their figures are told in the documentation), reading files"
    " and drawing pictures, PostgreSQL, and other machines than this one."
)


def table(rows: Sequence[Row]) -> Table:
    """One line for each case: target beside figure, for time and for memory."""
    shown = Table(box=None, padding=(0, 1, 0, 0))
    shown.add_column("", no_wrap=True)
    for heading in ("target\nms", "time\nms", "target\nMB", "\nMB", "\nslope"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    for row in rows:
        shown.add_row(row.case.title, *_figures(row), _verdict(row))
    return shown


def _figures(row: Row) -> list[str]:
    case = row.case
    target = "" if case.target_s is None else f"≤ {_figure(case.target_s, row)}"
    target_mb = "" if case.target_mb is None else f"≤ {case.target_mb:,.0f}"
    if not row.rounds:
        return [target, "–", "", target_mb, "–", ""]
    low, middle, high = (_figure(seconds, row) for seconds in row.seconds)
    memory_mb = row.first.memory_mb if row.first else None
    return [
        target,
        rf"{middle} \[{low}–{high}]",
        target_mb,
        "–" if memory_mb is None else f"{memory_mb:,.0f}",
        "" if row.slope is None else f"{row.slope:.2f}",
    ]


def _figure(seconds: float, row: Row) -> str:
    """In milliseconds; where a case tells what one call costs, in microseconds."""
    if row.case.each:
        return f"{seconds * 1e6 / max(row.case.sizes):.2f}"
    return f"{seconds * 1e3:.1f}" if seconds < 0.1 else f"{seconds * 1e3:,.0f}"


def _verdict(row: Row) -> str:
    if row.trouble:
        return "[bold red]failed[/]"
    if not row.right:
        return f"[bold red]wrong: {row.said}[/]"
    return {True: "[green]met[/]", False: "[bold red]missed[/]", None: ""}[row.met]


def notes(rows: Sequence[Row], *, rounds: int) -> list[str]:
    """What a reader must know beside the table."""
    interval = "95 % interval" if rounds >= ROUNDS_FOR_INTERVAL else "range"
    told = [
        f"Median and {interval} of {rounds} rounds, all cases in turns, in processor time, which"
        " others on the machine blur least (--json has the clock's). Memory is by how much"
        " the first run of a fresh process raised its peak. Slope is the exponent of growth over"
        " the largest size and its half, quarter and eighth. 32 clients on one account, but 100"
        " accounts for transfers and 8 clients with timeouts; amounts to 10⁹ for the black box.",
        "Seeded histories of closed-loop clients; every case has its right verdict, or no figure.",
    ]
    told += [f"{row.case.name} failed: {row.trouble}" for row in rows if row.trouble]
    left_out = [name for name in CASES if name not in {row.case.name for row in rows}]
    if left_out:
        told.append(f"Left out: {', '.join(left_out)}.")
    return [*told, NOT_COVERED, str(machine(pin=False))]


def as_json(rows: Sequence[Row], *, rounds: int) -> Mapping[str, Any]:
    """Everything that was measured; times in seconds, memory in MB."""
    return {
        "machine": asdict(machine(pin=False)),
        "rounds": rounds,
        "cases": [
            {
                "name": row.case.name,
                "title": row.case.title,
                "target_s": row.case.target_s,
                "target_mb": row.case.target_mb,
                "expected": row.case.expected,
                "said": row.said if row.rounds else None,
                "first": None if row.first is None else asdict(row.first),
                "rounds": [asdict(answer) for each in row.rounds.values() for answer in each],
                "slope": row.slope,
                "met": row.met,
                "trouble": row.trouble,
            }
            for row in rows
        ],
    }
