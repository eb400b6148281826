"""The findings as pandas frames with documented columns, and their export.

`COLUMNS[table][column]` says a column's type and meaning, its unit last in its name. Nested data
(outcomes, witness, errors) is JSON text, so that every format holds the same.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from engine.results import Cell, LoadRun, Percentiles
from reports.found import Found

# One table's parquet file is the size of its samples: so many calls of each run are kept, evenly.
SAMPLES_MAX = 2_000

Columns = Mapping[str, tuple[str, str]]

_VERDICTS: Columns = {
    "scenario": ("string", "what happens"),
    "lock": ("string", "lock strategy"),
    "store": ("string", "memory (the model) or sqlite"),
    "topology": ("string", "how many service instances share the database"),
    "faults": ("string", "how many of each fault may strike; empty: none"),
    "expected": ("string", "verdict that the scenario declares; empty: none"),
    "verdict": ("string", "safe, broken, bounded or unknown"),
    "as_expected": ("bool", "verdict is the declared one"),
    "kinds": ("string", "what broke: money, liveness, order, reads; comma between"),
    "method": ("string", "state by state, schedule by schedule, trace by trace, or by luck"),
    "interleavings": ("int64", "how many were explored (traces or runs by the last two methods)"),
    "losing": ("int64", "how many of them broke something"),
    "states": ("int64", "of the state graph; 0 where there was none"),
    "backoffs_max": ("int64", "how often one client tried again, at worst"),
    "preemptions": ("Int64", "in the witness; missing without one"),
    "preemptions_fewest": ("Int64", "that lose, where proven; else missing"),
    "outcomes": ("string", "JSON: outcome in words to number of interleavings"),
    "schedule": ("string", "JSON: the witness's schedule, which replays it"),
    "explanation": ("string", "the witness in words"),
    "seconds": ("float64", "time to explore"),
    "note": ("string", "what was left out"),
}
_DURATIONS = ("latency", "lock_wait", "store_wait", "hold")
_LOADS: Columns = {
    "run": ("int64", "number of the run, from 0"),
    "driver": ("string", "asyncio, locust, or store (strategy and store alone)"),
    "lock": ("string", "lock strategy"),
    "clients": ("int64", "at once, in a closed loop"),
    "accounts": ("string", "hot, uniform:N or zipf:N"),
    "mix": ("string", "kinds of operations"),
    "work_ms": ("float64", "declared work inside the lock"),
    "cache": ("bool", "reads from the cache first"),
    "workers": ("int64", "service processes"),
    "synchronous": ("string", "in SQLite's words; PostgreSQL: OFF or not"),
    "store": ("string", "sqlite or postgres"),
    "round": ("int64", "strategies took turns, one run each a round"),
    "seconds": ("float64", "measured time without warm-up"),
    "completed": ("int64", "calls answered ok or refused"),
    "refused": ("string", "JSON: error code to count"),
    "errors": ("string", "JSON: error code to count"),
    "throughput_per_s": ("float64", "completed calls per second"),
    **{
        f"{part}_{field.removesuffix('_ms')}_ms": ("float64", f"of {part.replace('_', ' ')}")
        for part in _DURATIONS
        for field in Percentiles.__dataclass_fields__
    },
    "locks_per_operation": ("float64", "lock acquisitions"),
    "store_accesses_per_operation": ("float64", "reads and writes of the database"),
    "retries": ("int64", "repeated attempts"),
    "verdict": ("string", "clean, broken or unknown"),
    "findings": ("string", "JSON: what was wrong"),
    "lost_cents": ("int64", "money lost (positive) or made (negative)"),
    "note": ("string", "anything particular"),
}
COLUMNS: Mapping[str, Columns] = {
    "verdicts": _VERDICTS,
    "loads": _LOADS,
    "ratios": {
        "measure": ("string", "what is compared"),
        "lock": ("string", "lock strategy"),
        "baseline": ("string", "lock strategy it is compared with"),
        "work_ms": ("float64", "declared work inside the lock"),
        "ratio": ("float64", "median of paired rounds"),
        "low": ("float64", "lower end of the 95 % interval; below 6 rounds, of the range"),
        "high": ("float64", "upper end of the 95 % interval; below 6 rounds, of the range"),
        "rounds": ("int64", "pairs compared"),
        "accounts": ("string", "which accounts: hot, uniform:N, zipf:N"),
    },
    "programs": {
        "lock": ("string", "lock strategy"),
        "store": ("string", "memory or sqlite"),
        "examples": ("int64", "random programs run"),
        "verdict": ("string", "clean, broken or unknown"),
        "expected": ("string", "verdict expected"),
        "smallest": ("string", "the shrunk program that breaks it; empty: none"),
        "seconds": ("float64", "time taken"),
    },
    "claims": {
        "claim": ("string", "what the guide recommends"),
        "measure": ("string", "what it should improve"),
        "without": ("float64", "the measure without it"),
        "with_it": ("float64", "the measure with it"),
    },
    "samples": {
        "run": ("int64", "number of the run in loads"),
        "driver": ("string", "asyncio or locust"),
        "lock": ("string", "lock strategy"),
        "column": ("string", "invoked, completed, lock_wait, store_wait or hold"),
        "value_ns": ("int64", "nanoseconds; times of day have no fixed origin"),
    },
}


def tables(found: Found) -> dict[str, pd.DataFrame]:
    """One frame for each name in COLUMNS, with exactly its columns and types."""
    return {
        "verdicts": _frame("verdicts", (_verdict_row(cell) for cell in found.cells)),
        "loads": _frame("loads", (_load_row(n, run) for n, run in enumerate(_all_runs(found)))),
        "ratios": _frame("ratios", (asdict(ratio) for ratio in found.ratios)),
        "programs": _frame("programs", (asdict(result) for result in found.programs)),
        "claims": _frame(
            "claims",
            ({name: getattr(claim, name) for name in COLUMNS["claims"]} for claim in found.claims),
        ),
        "samples": _samples(found.load_runs),
    }


def _all_runs(found: Found) -> tuple[LoadRun, ...]:
    return found.load_runs + found.store_runs


def _frame(name: str, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    columns = COLUMNS[name]
    frame = pd.DataFrame(list(rows), columns=list(columns))
    return frame.astype({column: kind for column, (kind, _) in columns.items()})


def _verdict_row(cell: Cell) -> dict[str, Any]:
    witness = cell.witness
    row = {name: getattr(cell, name) for name in COLUMNS["verdicts"] if hasattr(cell, name)}
    return row | {
        "expected": cell.expected or "",
        "kinds": ",".join(cell.kinds),
        "outcomes": _json(dict(cell.outcomes)),
        "preemptions": None if witness is None else witness.preemptions,
        "schedule": "" if witness is None else _json(witness.schedule),
        "explanation": "" if witness is None else witness.explanation,
    }


def _load_row(number: int, run: LoadRun) -> dict[str, Any]:
    row = {name: getattr(run, name) for name in COLUMNS["loads"] if hasattr(run, name)}
    spread = {
        f"{part}_{field.removesuffix('_ms')}_ms": value
        for part in _DURATIONS
        for field, value in asdict(getattr(run, part)).items()
    }
    nested = {
        "refused": _json(dict(run.refused)),
        "errors": _json(dict(run.errors)),
        "findings": _json([asdict(finding) for finding in run.findings]),
    }
    return {"run": number} | row | asdict(run.load) | spread | nested


def _samples(runs: Sequence[LoadRun]) -> pd.DataFrame:
    frames = [_frame("samples", ())]
    for number, run in enumerate(runs):
        for column, values in run.samples.items():
            every = -(-len(values) // SAMPLES_MAX) or 1
            kept = np.asarray(values, dtype="int64")[::every]
            rows = pd.DataFrame({"value_ns": kept}).assign(
                run=number, driver=run.driver, lock=run.load.lock, column=column
            )
            frames.append(rows[list(COLUMNS["samples"])])
    kinds = {column: kind for column, (kind, _) in COLUMNS["samples"].items()}
    return pd.concat(frames, ignore_index=True).astype(kinds)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def export(frames: Mapping[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Write each table as NAME.csv, .parquet and .json (records), and columns.json about them.

    Samples are written as Parquet only: as text they would outweigh all the rest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "columns.json"]
    described = {
        name: {column: {"type": kind, "meaning": text} for column, (kind, text) in columns.items()}
        for name, columns in COLUMNS.items()
    }
    written[0].write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    for name, frame in frames.items():
        parquet = folder / f"{name}.parquet"
        frame.to_parquet(parquet, index=False)
        written.append(parquet)
        if name != "samples":
            csv, records = folder / f"{name}.csv", folder / f"{name}.json"
            frame.to_csv(csv, index=False)
            frame.to_json(records, orient="records", indent=1, force_ascii=False)
            written += [csv, records]
    return written
