"""The comparison as a table with its footnotes, and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

from rich.table import Table

from engine.load.machine import Machine, machine
from engine.load.on_store import TIMED_EVERY
from engine.load.stats import ratios
from engine.results import ROUNDS_FOR_INTERVAL, Load, LoadRun, Ratio
from engine.stores.opening import database_words
from engine.verdicts import Verdict
from reports.reading import accounts_words, lost_words
from scenarios.store_bench.cases import DURABLE, TARGETS, is_reference, name, reference

# Those that wait inside a statement that also does other things, or not for a lock at all.
_UNSEEN = {
    "none": "waits for nobody",
    "version-cas": "waits for nobody",
    "guarded-update": "waits inside its one statement",
    "repeatable-read": "waits inside its write",
    "serializable": "waits inside its write",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One case: its runs, and its throughput over the reference's."""

    load: Load
    runs: tuple[LoadRun, ...]
    ratio: Ratio | None

    @property
    def throughput_per_s(self) -> float:
        return median(run.throughput_per_s for run in self.runs)

    @property
    def target(self) -> float | None:
        return TARGETS.get(self.load)

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none, or nothing to compare with."""
        if self.target is None or self.ratio is None:
            return None
        return self.ratio.ratio >= self.target

    @property
    def gave_up(self) -> float:
        """The share of calls that ended in a conflict or another fault."""
        failed = sum(sum(run.errors.values()) for run in self.runs)
        return failed / max(1, failed + sum(run.completed for run in self.runs))

    @property
    def broken(self) -> bool:
        return any(run.verdict is Verdict.BROKEN for run in self.runs)

    @property
    def lost_cents(self) -> int:
        """In the worst of its runs."""
        return max((run.lost_cents for run in self.runs), key=abs)


def rows_of(runs: Sequence[LoadRun], *, seed: int) -> list[Row]:
    """The cases in the order in which they ran first."""
    by_load: dict[Load, list[LoadRun]] = {}
    for run in runs:
        by_load.setdefault(run.load, []).append(run)
    rows = []
    for load, mine in by_load.items():
        theirs = by_load.get(reference(load), [])
        compared = ratios([*mine, *theirs], baseline=reference(load).lock, seed=seed)
        found = [ratio for ratio in compared if ratio.measure == "throughput"]
        rows.append(Row(load, tuple(mine), found[0] if found else None))
    return rows


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """One table for each setting, the reference first."""
    settings: dict[Load, list[Row]] = {}
    for row in rows:
        settings.setdefault(replace(row.load, lock=""), []).append(row)
    for load, mine in settings.items():
        shown = Table(box=None, padding=(0, 1, 0, 0), title=_setting(load), title_justify="left")
        shown.add_column("", no_wrap=True, min_width=14)
        for heading in (
            "\ncalls/s",
            f"throughput\n× {reference(load).lock}",
            "lock wait\np50, ms",
            "\np99, ms",
            "call\np99, ms",
        ):
            shown.add_column(heading, justify="right", no_wrap=True)
        shown.add_column("", no_wrap=True)
        for row in mine:
            shown.add_row(*_cells(row))
        yield shown


def _setting(load: Load) -> str:
    clients = f"{load.clients} client{'s' if load.clients > 1 else ''}"
    kept = (
        f"synchronous={load.synchronous}"
        if load.store == "sqlite"
        else f"synchronous_commit={'off' if load.synchronous == 'OFF' else 'on'}"
    )
    return f"{load.store}, {accounts_words(load.accounts)}, {clients}, {kept}"


def _cells(row: Row) -> list[str]:
    calls = f"{row.throughput_per_s:,.0f}"
    if is_reference(row.load):
        return [row.load.lock, calls, "", "", "", "", ""]
    waits = [median(getattr(run.lock_wait, p) for run in row.runs) for p in ("p50_ms", "p99_ms")]
    return [
        row.load.lock,
        calls,
        "–" if row.ratio is None else _ratio(row.ratio),
        *([f"{wait:.2f}" for wait in waits] if any(waits) else ["–", "–"]),
        f"{median(run.latency.p99_ms for run in row.runs):.1f}",
        ", ".join(_remarks(row)),
    ]


def _remarks(row: Row) -> Iterator[str]:
    if row.met is not None:
        yield f"≥ {row.target:g} {'[green]met[/]' if row.met else '[bold red]missed[/]'}"
    if row.gave_up:
        yield f"{row.gave_up:.1%} gave up"
    if row.broken:
        yield f"[bold red]{lost_words(row.lost_cents)}[/]"


def _ratio(ratio: Ratio) -> str:
    digits = 2 if ratio.ratio < 10 else 1
    middle, low, high = (f"{each:.{digits}f}" for each in (ratio.ratio, ratio.low, ratio.high))
    return rf"{middle} \[{low}–{high}]"


def notes(rows: Sequence[Row], *, rounds: int, seconds: float, missing: str = "") -> list[str]:
    """What a reader must know beside the tables. `missing`: why PostgreSQL did not run."""
    interval = "95 % interval" if rounds >= ROUNDS_FOR_INTERVAL else "range"
    stores = {row.load.store for row in rows}
    told = [
        f"Medians of {rounds} rounds of {seconds:g} s, everybody in turns; × is the throughput over"
        f" the reference's, the median of paired rounds and its {interval}.",
        "One operation is one transaction: lock and read the balance, write it, add a row to the"
        f" log, commit. Every call counts; one in {TIMED_EVERY} is timed. No wallet around it.",
    ]
    unseen: dict[str, list[str]] = {}
    for lock, why in _UNSEEN.items():
        if any(row.load.lock == lock for row in rows):
            unseen.setdefault(why, []).append(lock)
    told += [
        f"No lock wait can be told for {', '.join(locks)}: {why}." for why, locks in unseen.items()
    ]
    if "postgres" in stores:
        told.append(
            "pgbench is a C program of one thread on the same tables and cores as server and"
            " clients, so whoever needs less processor has more for the server. It sends BEGIN,"
            " SELECT … FOR UPDATE, UPDATE, INSERT, COMMIT, prepared, over the same socket, and"
            " looks up no idempotency key either: five trips, where db-row needs three. It runs"
            " whole seconds."
        )
    if "sqlite" in stores:
        told.append(
            "sqlite3 is one plain loop without event loop, tasks and threads: nobody waits for"
            " anybody, however many clients the setting has. Everything on SQLite keeps to one"
            " core."
        )
    if missing:
        told.append(f"PostgreSQL is left out: {missing}")
    return [*told, str(_machine(rows))]


def _machine(rows: Sequence[Row]) -> Machine:
    stores = sorted({row.load.store for row in rows})
    return machine(
        database="; ".join(map(database_words, stores)),
        synchronous=", ".join(sorted({row.load.synchronous for row in rows})),
    )


def as_json(rows: Sequence[Row], *, rounds: int, seconds: float, missing: str) -> Mapping[str, Any]:
    """Everything that was measured; times in ms, money in cents."""
    return {
        "machine": asdict(_machine(rows)),
        "rounds": rounds,
        "seconds": seconds,
        "missing": missing,
        "cases": [
            {
                "name": name(row.load),
                "load": asdict(row.load),
                "durable": row.load.synchronous == DURABLE,
                "throughput_per_s": row.throughput_per_s,
                "rounds": [run.throughput_per_s for run in row.runs],
                "times_reference": None if row.ratio is None else asdict(row.ratio),
                "lock_wait": [asdict(run.lock_wait) for run in row.runs],
                "latency": [asdict(run.latency) for run in row.runs],
                "gave_up": row.gave_up,
                "lost_cents": row.lost_cents,
                "target": row.target,
                "met": row.met,
            }
            for row in rows
        ],
    }
