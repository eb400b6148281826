"""What the commands share: where they print, how they show progress, and what JSON they speak.

Results go to standard output; progress, notes and errors to standard error.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from engine.results import Cell, Witness

out = Console()
err = Console(stderr=True)

Advance = Callable[[int, int, str], None]


@contextmanager
def progress(title: str) -> Iterator[Advance]:
    """How far `title` is; call what it yields with (done, total, what is being done).

    A line that moves on a terminal; elsewhere, as in the log of a CI job, `title` once.
    """
    if not err.is_terminal:
        err.print(title, markup=False, highlight=False, soft_wrap=True)
        yield lambda done, total, doing: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[doing]}"),
    )
    with Progress(*columns, console=err, transient=True) as display:
        task = display.add_task(title, total=None, doing="")

        def advance(done: int, total: int, doing: str) -> None:
            display.update(task, completed=done, total=total or None, doing=doing)

        yield advance


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def cell_json(cell: Cell) -> dict[str, Any]:
    """A cell as JSON. Balances in cents; `outcomes` counts interleavings by how they ended."""
    return {
        "scenario": cell.scenario,
        "lock": cell.lock,
        "store": cell.store,
        "topology": cell.topology,
        "faults": cell.faults,
        "verdict": cell.verdict,
        "expected": cell.expected,
        "as_expected": cell.as_expected,
        "kinds": list(cell.kinds),
        "method": cell.method,
        "interleavings": cell.interleavings,
        "states": cell.states,
        "backoffs_max": cell.backoffs_max,
        "preemptions_fewest": cell.preemptions_fewest,
        "losing": cell.losing,
        "outcomes": dict(cell.outcomes),
        "witness": None if cell.witness is None else witness_json(cell.witness),
        "seconds": round(cell.seconds, 4),
        "memory_mb": round(cell.memory_mb, 1),
        "note": cell.note,
    }


def witness_json(witness: Witness) -> dict[str, Any]:
    """A schedule and what happened under it, step by step. Balances and `cents` in cents."""
    return {
        "schedule": list(witness.schedule),
        "preemptions": witness.preemptions,
        "outcome": witness.outcome,
        "explanation": witness.explanation,
        "correct": witness.correct and dict(witness.correct),
        "final": dict(witness.final),
        "findings": [
            {"kind": finding.kind, "message": finding.message, "cents": finding.cents}
            for finding in witness.findings
        ],
        "steps": [
            {
                "client": event.client,
                "instance": event.instance,
                "kind": event.kind,
                "how": event.how,
                "text": event.text,
                "balances": dict(event.balances),
                "holds": list(event.holds),
                "leases": list(event.leases),
                "waits": dict(event.waits),
                "saw": dict(event.saw),
                "request": event.request,
                "wrong": event.wrong,
            }
            for event in witness.events
        ],
    }
