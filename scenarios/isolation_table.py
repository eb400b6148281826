"""The matrix of isolation levels on one screen and as JSON, and one interleaving step by step."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.isolation.anomalies import ANOMALIES
from engine.isolation.explorer import Event, Explored, Run
from engine.isolation.levels import NOT_ASKED, POSSIBLE, PREVENTED
from engine.isolation.matrix import UNDECIDED, Cell
from engine.isolation.scripts import Script

WORDS = {PREVENTED: "prevented", POSSIBLE: "possible", UNDECIDED: "undecided"}
STYLES = {PREVENTED: "green", POSSIBLE: "yellow", UNDECIDED: "magenta"}
# So many cells are told step by step; of more, each dash in one line.
_TOLD_MAX = 2
_CODES = {"40001": "40001 cannot serialize", "40P01": "40P01 deadlock", "BUSY": "BUSY locked"}
_NOTATION = "r1(2)→20 T1 reads row 2; w writes, i inserts, d deletes, c commits, … waits"


def print_matrix(out: Console, store: str, database: str, cells: Sequence[Cell]) -> None:
    """Anomalies by level, a witness of each dash, the conclusion, and what to do next."""
    out.print(_matrix(cells))
    out.print(Text("\n".join(_legend(cells)), style="dim"))
    told = len(cells) <= _TOLD_MAX
    if told:
        for cell in cells:
            _tell(out, store, cell)
    else:
        out.print(_histories(cells))
        if any(cell.showing for cell in cells):
            out.print(Text(_NOTATION, style="dim"))
    for cell in cells:
        if not cell.as_expected:
            out.print(Text(_difference(cell), style="bold red"))
    out.print(Text(_conclusion(database, cells), style="bold"))
    if not told:
        first = min(cells, key=lambda cell: (cell.as_expected, cell.found != POSSIBLE))
        command = _command(store, first.anomaly.name, first.level.name)
        out.print(Text(f"Next: {command}", style="cyan"), soft_wrap=True)


def _matrix(cells: Sequence[Cell]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("anomaly", no_wrap=True)
    table.add_column("", style="dim")
    levels = list(dict.fromkeys(cell.level.name for cell in cells))
    for level in levels:
        table.add_column(level, no_wrap=True)
    for name in (name for name in ANOMALIES if any(cell.anomaly.name == name for cell in cells)):
        here = {cell.level.name: cell for cell in cells if cell.anomaly.name == name}
        marks = [_mark(here[level]) if level in here else Text(NOT_ASKED) for level in levels]
        # Where room is short the titles are cut, and nothing else.
        title = Text(ANOMALIES[name].title, no_wrap=True, overflow="ellipsis")
        table.add_row(name, title, *marks)
    return table


def _mark(cell: Cell) -> Text:
    how = f"{cell.showing}/{cell.runs}" if cell.showing else "/".join(_short_codes(cell))
    if cell.found == PREVENTED and not how and cell.waited:
        how = "waits"
    text = f"{cell.found} {how}".rstrip()
    return Text(text, STYLES[cell.found]) if cell.as_expected else Text(f"{text} !", "bold red")


def _short_codes(cell: Cell) -> list[str]:
    return sorted({code.partition("_")[0] for code in cell.refusals})


def _legend(cells: Sequence[Cell]) -> Iterator[str]:
    how = [told for code, told in _CODES.items() if any(code in _short_codes(c) for c in cells)]
    if any(cell.waited for cell in cells):
        how.append("waits alone")
    yield f"✓ in no interleaving{' (' if how else ''}{', '.join(how)}{')' if how else ''}"
    if any(cell.showing for cell in cells):
        yield "— 3/15 in 3 of 15 interleavings; of each one with the fewest preemptions:"


def _histories(cells: Sequence[Cell]) -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0))
    for cell in cells:
        for script, run in cell.witnesses[:1]:
            grid.add_row(Text(script.name), Text(cell.level.name, style="dim"), Text(_history(run)))
    return grid


def _history(run: Run) -> str:
    return " ".join(_moment(event) for event in run.events)


def _moment(event: Event) -> str:
    verb, bracket, rest = event.short.partition("(")
    text = f"{verb}{event.session.removeprefix('T')}{bracket}{rest}"
    if event.answer is None:
        return f"{text}…"
    if event.answer.rows is None:
        return text
    return f"{text}→{','.join(str(value) for _, value in event.answer.rows) or '∅'}"


def _tell(out: Console, store: str, cell: Cell) -> None:
    """How the interleavings of each form ended, and the witness of each that can happen."""
    for one in cell.explored:
        out.print(Text(f"\n{one.script.name} at {cell.level.name}", style="bold"))
        for outcome, count in sorted(one.outcomes.items()):
            out.print(Text(f"  {count:>6,}  {outcome}"))
        if one.witness is not None:
            out.print(Text("One with the fewest preemptions:"))
            print_run(out, one.script, one.witness)
            command = _command(store, one.script.name, cell.level.name)
            again = f"{command} --schedule '{' '.join(_names(one.script, one.witness))}'"
            out.print(Text(f"Again: {again}", style="cyan"), soft_wrap=True)


def print_run(out: Console, script: Script, run: Run) -> None:
    """One interleaving: session, statement, answer; then what it shows."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for event in run.events:
        answer = Text("waits …", "yellow") if event.answer is None else Text(str(event.answer))
        table.add_row(event.session, event.sql, answer)
    out.print(table)
    out.print(Text(f"ends with {run.outcome}"))
    if script.shows(run.ended):
        out.print(Text(f"{script.name} has happened: {script.meaning}", style="bold"))
    else:
        out.print(Text(f"{script.name} has not happened", style="bold"))


def _difference(cell: Cell) -> str:
    found, expected = WORDS[cell.found], WORDS[cell.expected]
    why = f" ({cell.note})" if cell.note else ""
    return f"{cell.anomaly.name} at {cell.level.name} is {found}{why}; expected is {expected}"


def _conclusion(database: str, cells: Sequence[Cell]) -> str:
    equal, runs = sum(cell.as_expected for cell in cells), sum(cell.runs for cell in cells)
    seconds = sum(cell.seconds for cell in cells)
    return (
        f"{equal} of {len(cells)} as expected, on {database}"
        f" ({runs:,} interleavings, {seconds:.1f} s)"
    )


def _command(store: str, anomaly: str, level: str) -> str:
    return f"walletrace isolation --store {store} --anomaly {anomaly} --level {level}"


def _names(script: Script, run: Run) -> list[str]:
    return [script.sessions[number].name for number in run.schedule]


def matrix_json(database: str, cells: Sequence[Cell]) -> dict[str, Any]:
    """Every cell with all its forms, and what differs from what is expected."""
    return {
        "database": database,
        "as_expected": sum(cell.as_expected for cell in cells),
        "of": len(cells),
        "differences": [_difference(cell) for cell in cells if not cell.as_expected],
        "cells": [
            {
                "anomaly": cell.anomaly.name,
                "title": cell.anomaly.title,
                "level": cell.level.name,
                "found": WORDS[cell.found],
                "expected": WORDS[cell.expected],
                "as_expected": cell.as_expected,
                "interleavings": cell.runs,
                "showing": cell.showing,
                "refusals": cell.refusals,
                "waited": cell.waited,
                "forms": [_form_json(one) for one in cell.explored],
                "seconds": round(cell.seconds, 4),
                "note": cell.note,
            }
            for cell in cells
        ],
    }


def _form_json(explored: Explored) -> dict[str, Any]:
    witness = explored.witness
    return {
        "name": explored.script.name,
        "interleavings": explored.runs,
        "showing": explored.showing,
        "outcomes": dict(explored.outcomes),
        "witness": None if witness is None else run_json(explored.script, witness),
    }


def run_json(script: Script, run: Run) -> dict[str, Any]:
    """One interleaving. A step without an answer began to wait, and is answered further on."""
    return {
        "schedule": _names(script, run),
        "preemptions": run.preemptions,
        "steps": [
            {
                "session": event.session,
                "statement": event.sql,
                "answer": None if event.answer is None else str(event.answer),
            }
            for event in run.events
        ],
        "outcome": run.outcome,
        "shows": script.shows(run.ended),
        "meaning": script.meaning,
    }
