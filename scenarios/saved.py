"""A schedule kept in a small, versioned JSON file, to be replayed for ever.

Keys: `walletrace_schedule` (the format's version, 2), `walletrace` (the version that wrote it),
`scenario`, `lock`, `wallet` (module:Class, or null for walletrace's own; one that needs no lock
strategy stands in `lock` too), `topology`, `faults`,
`found_in` (whose rules the run followed: "memory:sqlite" is the model under SQLite's rules,
"memory:postgres" under PostgreSQL's, "sqlite" a real file), `schedule` (a list of moves: a client,
or client!fault), `outcome` (how it ended), `kind` (what broke: money, liveness, order, reads, or
""), `explanation`, `code` (a hash for each part of the code under test; see
`scenarios.fingerprint`).

Format 1 had no `walletrace`, `wallet`, `kind` and `code`; it is still read.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from engine.explore.scenario import Scenario
from engine.results import Cell, Witness
from scenarios.fingerprint import fingerprints

FORMAT = 2
_DIALECTS = {"memory": "memory:sqlite"}
_TEXTS = ("scenario", "lock", "topology", "found_in", "faults", "outcome", "explanation")
_NEXT = "name a file that --save wrote"


@dataclass(frozen=True, slots=True)
class Saved:
    """One schedule and the outcome it had. `code` is empty where it was not recorded."""

    scenario: str
    lock: str
    topology: str
    found_in: str
    faults: str
    schedule: tuple[str, ...]
    outcome: str
    explanation: str
    kind: str = ""
    wallet: str | None = None
    walletrace: str = ""
    code: Mapping[str, str] = field(default_factory=dict)

    @property
    def store(self) -> str:
        """Where it is replayed unless somebody asks for another store."""
        return "memory" if self.found_in == _DIALECTS["memory"] else self.found_in


def version() -> str:
    """This walletrace's."""
    return metadata.version("walletrace")


def saved_from(
    cell: Cell, witness: Witness, scenario: Scenario, *, name: str, wallet: str | None = None
) -> Saved:
    """What to keep of a cell's witness. `name` is how the user named the scenario."""
    return Saved(
        name,
        cell.lock,
        cell.topology,
        _DIALECTS.get(cell.store, cell.store),
        cell.faults,
        witness.schedule,
        witness.outcome,
        witness.explanation,
        witness.findings[0].kind if witness.findings else "",
        wallet,
        version(),
        fingerprints(scenario, cell.lock, wallet),
    )


def save(kept: Saved, path: Path) -> None:
    """Write the file. UsageError if that cannot be done."""
    text = json.dumps({"walletrace_schedule": FORMAT, **asdict(kept)}, indent=2)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path} ({error.strerror})", "name another file") from error


def load(path: Path) -> Saved:
    """Read what `save` wrote, in this format or the one before. UsageError for anything else."""
    found = _read(path)
    schedule, code = found.get("schedule"), found.get("code", {})
    wallet = found.get("wallet")
    texts = {name: found.get(name) for name in _TEXTS}
    if wrong := [name for name, value in texts.items() if not isinstance(value, str)]:
        raise UsageError(f"{path} has no text for {', '.join(wrong)}", _NEXT)
    if not (isinstance(schedule, list) and all(isinstance(move, str) for move in schedule)):
        raise UsageError(f"the schedule in {path} is no list of moves", _NEXT)
    if not isinstance(code, dict) or not (wallet is None or isinstance(wallet, str)):
        raise UsageError(f"{path} has no valid code or wallet", _NEXT)
    texts["found_in"] = _DIALECTS.get(str(texts["found_in"]), texts["found_in"])
    return Saved(
        **{name: str(value) for name, value in texts.items()},
        schedule=tuple(schedule),
        kind=str(found.get("kind", "")),
        wallet=wallet,
        walletrace=str(found.get("walletrace", "")),
        code={str(part): str(value) for part, value in code.items()},
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror})", "name a saved file") from error
    except ValueError as error:
        raise UsageError(f"{path} is not JSON ({error})", _NEXT) from error
    written = found.get("walletrace_schedule") if isinstance(found, dict) else None
    if isinstance(written, int) and written > FORMAT:
        raise UsageError(
            f"{path} has format {written}; this walletrace reads up to {FORMAT}",
            "replay it with a newer walletrace",
        )
    if not isinstance(found, dict) or written not in (1, FORMAT):
        raise UsageError(f"{path} is not a schedule of format 1 or {FORMAT}", _NEXT)
    return found
