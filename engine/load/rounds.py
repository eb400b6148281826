"""Several loads compared fairly: they take turns, round by round, on a fresh database each time.

Run in blocks, two copies of the same code differed by up to a factor of 3.6 on a shared machine;
taking turns (A B C D, A B C D, …) they agreed within 3 %. All loads of a round draw the same
operations. `stats.ratios` compares what comes out.
"""

import asyncio
import os
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop

from engine.errors import UsageError, WalletraceError
from engine.load.driver import INTERRUPTED, run_round
from engine.results import Load, LoadRun
from engine.stores.opening import borrowed, located

ROUNDS_MAX = 1_000

Progress = Callable[[LoadRun, int, int], None]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with the runs there are; the last one may have been cut short, and notes it."""

    def __init__(self, runs: Sequence[LoadRun]) -> None:
        super().__init__("interrupted")
        self.runs = tuple(runs)


def loads(locks: Sequence[str], base: Load, *, work_ms: Sequence[float] = (0.0, 2.0)) -> list[Load]:
    """`base` under each lock strategy, without and with work inside the locked section."""
    return [replace(base, lock=lock, work_ms=work) for work in work_ms for lock in locks]


def compare(
    loads: Sequence[Load],
    *,
    rounds: int,
    seconds: float,
    warmup_s: float = 0.2,
    seed: int = 0,
    pin: bool = True,
    stores: Mapping[str, str] | None = None,
    postgres_data: Path | None = None,
    record: Path | None = None,
    boundaries: bool = False,
    on_progress: Progress = lambda run, done, of: None,
) -> list[LoadRun]:
    """Each load once in every round, in turn; `seconds` are those of one run.

    Runs on uvloop, as the service does. Ctrl-C raises Interrupted with the runs there are.
    `stores` says where "sqlite" and "postgres" are, by default a new file for each run and an
    embedded server; see `stores.opening.borrowed`. `on_progress(run, done, of)` follows every run.
    `record` keeps the histories: a Parquet file, or a folder of them where there are several runs.
    `boundaries`: as in `run_round`.
    UsageError as in `run_round`, and for a user's lock strategy that fails; SystemFault.
    """
    if not 1 <= rounds <= ROUNDS_MAX:
        raise UsageError(f"{rounds} rounds", f"use 1 to {ROUNDS_MAX}")
    runs: list[LoadRun] = []
    turns = [(round, load) for round in range(rounds) for load in loads]
    kept = _kept(record, turns)
    try:
        with ExitStack() as stack:
            places = {
                name: _place((stores or {}).get(name, name), postgres_data, stack)
                for name in {load.store for load in loads}
            }
            for (round, load), path in zip(turns, kept, strict=True):
                with located(places[load.store]) as address:
                    work = run_round(
                        load,
                        seconds=seconds,
                        warmup_s=warmup_s,
                        seed=seed + round,
                        address=address,
                        round=round,
                        pin=pin,
                        record=path,
                        boundaries=boundaries,
                    )
                    runs.append(_finished(work, load))
                on_progress(runs[-1], len(runs), len(turns))
                if INTERRUPTED in runs[-1].note:
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise Interrupted(runs) from None
    return runs


def _kept(record: Path | None, turns: Sequence[tuple[int, Load]]) -> list[Path | None]:
    """For each turn, where its history goes. UsageError, before any work is done."""
    if record is None:
        return [None] * len(turns)
    several = len(turns) > 1 or record.is_dir()
    folder = record if several else record.parent
    if several and record.suffix == ".parquet":
        raise UsageError(f"one file {record} for {len(turns)} runs", "name a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot record to {record} ({error.strerror})", "name another place"
        ) from error
    if not os.access(folder, os.W_OK):
        raise UsageError(f"cannot record to {record} (permission denied)", "name another place")
    if not several:
        return [record]
    names = [re.sub("[^A-Za-z0-9-]", "-", load.lock) for _, load in turns]
    return [folder / f"{number:03d}-{name}.parquet" for number, name in enumerate(names, 1)]


def _place(store: str, postgres_data: Path | None, stack: ExitStack) -> str:
    """One address for all runs; "sqlite" keeps its name, which stands for a new file each time."""
    if store == "sqlite" and postgres_data is None:
        return store
    return stack.enter_context(borrowed(store, postgres_data=postgres_data))


def _finished(work: Coroutine[Any, Any, LoadRun], load: Load) -> LoadRun:
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    except WalletraceError:
        raise
    except Exception as error:
        if ":" not in load.lock:
            raise  # ours; a user's own strategy is module:attribute
        told = f"{type(error).__name__}: {error}"
        raise UsageError(f"{load.lock} failed ({told})", "mend it; explore it first") from error
