"""The comparison as one table with its notes, and as JSON."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from engine.results import ROUNDS_FOR_INTERVAL
from scenarios.explore_bench.cases import Answer
from scenarios.explore_bench.peers import INSTALL
from scenarios.explore_bench.rounds import Row
from scenarios.explore_bench.workers import OURS

PEERS = ("frontrun", "detangle")


def duration(seconds: float) -> str:
    """For people, three digits.

    >>> [duration(seconds) for seconds in (0.000_142, 0.0123, 1.5, 20.0)]
    ['0.142 ms', '12.3 ms', '1.50 s', '20.0 s']
    """
    if seconds < 1:
        ms = seconds * 1000
        return f"{ms:.3f} ms" if ms < 1 else f"{ms:.3g} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"


def _size(answer: Answer) -> str:
    """What it took: states or runs, and the interleavings that were counted."""
    parts = []
    if answer.states is not None:
        parts.append(f"{answer.states:,} states")
    if answer.runs is not None:
        parts.append(f"{answer.runs:,} {'run' if answer.runs == 1 else 'runs'}")
    if answer.interleavings is not None and answer.interleavings != answer.runs:
        parts.append(f"{answer.interleavings:,} interleavings")
    if answer.losing:
        parts.append(f"{answer.losing:,} lose")
    return "\n".join(parts)


def _cell(row: Row, tool: str, limit_s: float) -> str:
    """One tool's answer to one case."""
    if tool not in row.answers:
        return "not installed"
    last = row.answers[tool][-1]
    beyond = not row.done(tool) and last.seconds >= limit_s
    took = f"did not finish: > {limit_s:g} s" if beyond else duration(row.seconds(tool))
    against = _against_ours(row, tool, gave_up=beyond)
    return "\n".join(filter(None, (f"{took}, {last.said}", against, _size(last))))


def _against_ours(row: Row, tool: str, *, gave_up: bool) -> str:
    """The tool's time over ours; a lower bound where it ran out of time and we did not."""
    if tool == OURS or not row.done(OURS):
        return ""
    times = row.times(tool)
    if times is None:
        bound = times_text(row.seconds(tool) / row.seconds(OURS))
        return f"× > {bound}" if gave_up else ""
    low, middle, high = map(times_text, (times.low, times.ratio, times.high))
    return f"× {middle} [{low}–{high}]"


def times_text(ratio: float) -> str:
    """A ratio for people, without an exponent.

    >>> [times_text(ratio) for ratio in (0.0871, 4.817, 21.3, 1534.2)]
    ['0.087', '4.8', '21', '1,534']
    """
    return f"{ratio:.2g}" if ratio < 100 else f"{ratio:,.0f}"


def _target(row: Row) -> str:
    case = row.case
    if case.target_ms is not None:
        text = f"≤ {duration(case.target_ms / 1000)}"
    elif case.target_runs is not None:
        text = f"{case.target_runs} trace"
    else:
        return "–"
    return f"{text}\n{'met' if row.met else 'missed'}"


def table(rows: Sequence[Row], versions: Mapping[str, str | None], limit_s: float) -> Table:
    """One row for each case; a peer's × is its time over ours."""
    shown = Table(
        "case",
        OURS,
        *(f"{peer} {versions.get(peer) or '(missing)'}" for peer in PEERS),
        "our target",
        title="The same programs, in turns",
        show_lines=True,
    )
    for column in shown.columns:
        column.overflow = "fold"
    for row in rows:
        cells = [_cell(row, tool, limit_s) for tool in (OURS, *PEERS)]
        shown.add_row(row.case.title, *cells, _target(row))
    return shown


def notes(
    rows: Sequence[Row], versions: Mapping[str, str | None], *, rounds: int, limit_s: float
) -> list[str]:
    """What a reader must know beside the table."""
    interval = "95 % interval" if rounds >= ROUNDS_FOR_INTERVAL else "range"
    told = [
        f"Medians of {rounds} rounds (A B C, A B C, …), each tool in a warm process of its own;"
        " imports and the first run are left out. × is a peer's time over ours: the median of"
        f" paired rounds and its {interval}. Limit for one answer: {limit_s:g} s.",
        "Both peers run programs written to cost them least (see asyncio_programs.py).",
    ]
    missing = [peer for peer in PEERS if not versions.get(peer)]
    if missing:
        told.append(f"{' and '.join(missing)} not installed; {INSTALL}")
    differences: dict[str, list[str]] = {}
    for row in rows:
        differences.setdefault(row.case.difference, []).append(row.case.title)
    told += [f"{'; '.join(titles)}: {text}." for text, titles in differences.items() if text]
    told.append(f"{platform.platform(terse=True)}, Python {platform.python_version()}")
    return told


def as_json(
    rows: Sequence[Row], versions: Mapping[str, str | None], *, rounds: int, limit_s: float
) -> dict[str, Any]:
    """Everything that was measured. Seconds; ratios are a peer's time over ours."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "rounds": rounds,
        "limit_s": limit_s,
        "versions": dict(versions),
        "cases": [
            {
                "name": row.case.name,
                "title": row.case.title,
                "asks": row.case.asks,
                "target_ms": row.case.target_ms,
                "target_runs": row.case.target_runs,
                "met": row.met,
                "difference": row.case.difference,
                "tools": {tool: _tool_json(row, tool) for tool in row.answers},
            }
            for row in rows
        ],
    }


def _tool_json(row: Row, tool: str) -> dict[str, Any]:
    times = row.times(tool) if tool != OURS else None
    last = asdict(row.answers[tool][-1])
    del last["seconds"], last["done"]
    return {
        "finished": row.done(tool),
        "median_s": row.seconds(tool),
        "seconds": [answer.seconds for answer in row.answers[tool]],
        **last,
        "times_ours": None if times is None else asdict(times),
    }
