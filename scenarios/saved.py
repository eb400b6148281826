"""A schedule kept in a small, versioned JSON file, to be replayed for ever.

Keys: `walletrace_schedule` (the format's version), `scenario`, `lock`, `topology`, `found_in`
(the store, "memory" or "sqlite"; the model follows SQLite's rules), `faults`, `schedule`,
`outcome`, `explanation`.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from engine.results import Cell, Witness

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Saved:
    """One schedule and the outcome it had."""

    scenario: str
    lock: str
    topology: str
    found_in: str
    faults: str
    schedule: tuple[str, ...]
    outcome: str
    explanation: str
    walletrace_schedule: int = field(default=FORMAT, kw_only=True)


def save(cell: Cell, witness: Witness, path: Path) -> None:
    """Write the cell's witness. UsageError if the file cannot be written."""
    saved = Saved(
        cell.scenario,
        cell.lock,
        cell.topology,
        cell.store,
        cell.faults,
        witness.schedule,
        witness.outcome,
        witness.explanation,
    )
    try:
        path.write_text(json.dumps(asdict(saved), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path} ({error.strerror})", "name another file") from error


def load(path: Path) -> Saved:
    """Read what `save` wrote. UsageError for anything else."""
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror})", "name a saved file") from error
    except ValueError as error:
        raise UsageError(
            f"{path} is not JSON ({error})", "name a file that --save wrote"
        ) from error
    if not isinstance(found, dict) or found.get("walletrace_schedule") != FORMAT:
        raise UsageError(
            f"{path} is not a schedule of format {FORMAT}", "name a file that --save wrote"
        )
    texts = [name for name in Saved.__dataclass_fields__ if name not in _NOT_TEXT]
    schedule = found.get("schedule")
    if not all(isinstance(found.get(name), str) for name in texts) or not (
        isinstance(schedule, list) and all(isinstance(move, str) for move in schedule)
    ):
        raise UsageError(
            f"{path} lacks a field or has one too many", f"it needs {', '.join(texts)}"
        )
    return Saved(**{name: found[name] for name in texts}, schedule=tuple(schedule))


_NOT_TEXT = ("schedule", "walletrace_schedule")
