"""The main job behind `walletrace report`: from every interleaving to one page."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis.configuration import set_hypothesis_home_dir

from engine.catalog import NEGATIVE_CONTROLS
from engine.checks import judge
from engine.checks.view import view_of
from engine.errors import UsageError
from engine.explore.live_stores import placed
from engine.histories.parquet import read_history
from engine.load import rounds
from engine.load.claims import Claim, guide_claims
from engine.load.machine import machine
from engine.load.over_http import run_load
from engine.load.stats import ratios
from engine.results import (
    ROUNDS_FOR_INTERVAL,
    Cell,
    HistoryView,
    Load,
    LoadRun,
    ProgramsResult,
    Ratio,
)
from engine.stores.sqlite import POLL_MS
from engine.verdicts import EXIT_DECIDED_OTHERWISE, Verdict
from reports import Found, terminal, write
from reports.conclusion import conclude
from scenarios import both_stores, matrix
from scenarios.available import available
from scenarios.console import cell_json, out, print_json, progress
from scenarios.load_commands import loads_json
from scenarios.patience import run_patiently
from scenarios.programs import run_programs

# Sized so that the whole takes about three minutes on two slow cores.
ROUNDS = ROUNDS_FOR_INTERVAL
SECONDS = 0.25
WARMUP_S = 0.05
# The guide's own, and its cure between processes; `walletrace bench` measures all of them.
LOADED = ("none", "global", "per-user", "db-row")
CLIENTS = 16
MIX = "withdraw=2,add=2,transfer=1"
WORK_MS = (0.0, 2.0)
CONTENTION = ("hot", "uniform:10")
LOCUST_USERS = 30
LOCUST_S = 2
EXAMPLES = {"memory": 120, "sqlite": 20}
SEED = 2026

DB_ROW = (
    "SQLite has no row locks of its own: leases in a lock table, with owner, expiry and fencing"
    f" token; the first waiter of each process asks again every {POLL_MS:g} ms"
)
NOT_COVERED = (
    "Exploration ran the scenarios listed, with their clients and operations, and no others.",
    "The models follow SQLite's rules and PostgreSQL's; other databases are not covered here.",
    "Live databases replayed the witnesses; `walletrace compare` explores them exhaustively.",
    "Load runs are short and on one machine; figures compare strategies, they predict no system.",
)


def run(folder: Path, *, as_json: bool) -> int:
    """Do it all and print it; the exit status."""
    _writable(folder)
    with available(both_stores.STORES) as (addresses, missing):
        # Both only need a processor, so they run beside each other; what is measured runs alone.
        with get_context("spawn").Pool(1) as beside:
            running = beside.apply_async(_beside, (not missing,))
            cells = _explored()
            isolation = both_stores.isolation(addresses)
            with progress("exploring PostgreSQL, and running random programs"):
                programs, on_postgres = running.get()
        cells += on_postgres
        runs = _driven()
        claims = _claims()
        over_http, history = _over_http()
        runs += over_http
        store_runs = both_stores.measured(addresses, seed=SEED)
    found = Found(
        cells=tuple(cells),
        load_runs=tuple(runs),
        ratios=tuple(_ratios(runs)),
        programs=tuple(programs),
        claims=tuple(claims),
        machine={"machine": str(machine()), "db-row": DB_ROW},
        notes=(*NOT_COVERED, *([f"PostgreSQL is left out: {missing}."] if missing else [])),
        controls=tuple(NEGATIVE_CONTROLS),
        store_runs=tuple(store_runs),
        isolation=tuple(isolation),
        history=history,
    )
    with progress("drawing") as advance:
        advance(0, 0, "figures and pages")
        paths = write(
            folder,
            cells=found.cells,
            load_runs=found.load_runs,
            ratios=found.ratios,
            programs=found.programs,
            claims=found.claims,
            machine=found.machine,
            notes=found.notes,
            controls=found.controls,
            store_runs=found.store_runs,
            isolation=found.isolation,
            history=found.history,
        )
    if as_json:
        print_json(_json(found, paths))
    else:
        terminal.print_report(out, found, page=str(paths[0]))
    if not all(cell.as_expected for cell in isolation):
        return EXIT_DECIDED_OTHERWISE
    return _status(cells, programs, runs + store_runs)


def _writable(folder: Path) -> None:
    """What cannot be written is told before two minutes of work, not after. UsageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / "index.html"
        probe.touch()
    except OSError as error:
        raise UsageError(
            f"cannot write into {folder} ({error.strerror})", "name another folder by --out"
        ) from error


def _json(found: Found, paths: Sequence[Path]) -> dict[str, Any]:
    """What the terminal and the page say, without raw samples; `files` is what was written."""
    conclusion = conclude(found)
    return {
        "headline": conclusion.headline,
        "conclusion": [sentence.text for sentence in conclusion.sentences],
        "cells": [cell_json(cell) for cell in found.cells],
        **loads_json(found.load_runs, found.ratios),
        "programs": [asdict(result) for result in found.programs],
        "files": [str(path) for path in paths],
    }


def _explored() -> list[Cell]:
    with progress("exploring every interleaving") as advance:
        return run_patiently(matrix.compare(matrix.Plan(), quick=True, on_cell=advance))


def _beside(postgres: bool) -> tuple[list[ProgramsResult], list[Cell]]:
    """Random programs; then the matrix under PostgreSQL's rules, confirmed on a live server."""
    programs = _programs()
    if not postgres:
        return programs, []
    locks = matrix.locks_for(None, "postgres")
    with placed("postgres") as store:
        plan = matrix.Plan(locks=locks, store=store)
        return programs, asyncio.run(matrix.compare(plan, quick=True))


def _programs() -> list[ProgramsResult]:
    with TemporaryDirectory(prefix="walletrace-programs-") as folder:
        # Else Hypothesis leaves a folder of its own where the user happens to stand.
        set_hypothesis_home_dir(folder)
        return [
            run_programs(lock, store, examples=examples, seed=SEED)
            for lock in LOADED
            for store, examples in EXAMPLES.items()
        ]


def _driven() -> list[LoadRun]:
    with progress("measuring, in this process") as advance:
        return [
            run
            for loads, count in ((_compared(), ROUNDS), (_contended(), 1))
            for run in rounds.compare(
                loads,
                rounds=count,
                seconds=SECONDS,
                warmup_s=WARMUP_S,
                seed=SEED,
                on_progress=lambda run, done, of: advance(done, of, run.load.lock),
            )
        ]


def _compared() -> list[Load]:
    """Many accounts, where the guide's main claim shows: lock the user and not the world."""
    base = Load("", CLIENTS, "uniform:1000", MIX)
    return rounds.loads(list(LOADED), base, work_ms=WORK_MS)


def _contended() -> list[Load]:
    """From one hot account to many; on it every race is lost sooner or later."""
    return [
        Load(lock, CLIENTS, accounts, MIX, work_ms=max(WORK_MS))
        for accounts in CONTENTION
        for lock in LOADED
    ]


def _claims() -> Sequence[Claim]:
    with progress("measuring the guide's claims") as advance:
        return guide_claims(
            rounds=2,
            seconds=SECONDS / 2,
            seed=SEED,
            on_progress=lambda run, done, of: advance(done, of, "batch and cache"),
        )


def _over_http() -> tuple[list[LoadRun], HistoryView]:
    """The runs, and the first of them, which has no lock, call by call."""
    wanted = [(lock, work_ms) for work_ms in WORK_MS for lock in LOADED]
    found = []
    with (
        progress("loading over HTTP with Locust") as advance,
        TemporaryDirectory(prefix="walletrace-history-") as folder,
    ):
        kept = Path(folder) / "run.parquet"
        for number, (lock, work_ms) in enumerate(wanted):
            advance(number, len(wanted), f"{lock}, {work_ms:g} ms of work")
            found.append(
                run_load(
                    lock=lock,
                    users=LOCUST_USERS,
                    run_time_s=LOCUST_S,
                    work_ms=work_ms,
                    record=None if number else kept,
                    seed=SEED,
                )
            )
        history = read_history(kept)
    title = f"lock {wanted[0][0]}, {LOCUST_USERS} Locust users for {LOCUST_S} s"
    return found, view_of(history, judge(history), title=title)


def _ratios(runs: Sequence[LoadRun]) -> list[Ratio]:
    driven = [run for run in runs if run.driver == "asyncio"]
    return ratios(driven, baseline="global", seed=SEED)


def _status(
    cells: Sequence[Cell], programs: Sequence[ProgramsResult], runs: Sequence[LoadRun]
) -> int:
    """The matrix decides; a strategy that exploration calls safe must also be clean elsewhere."""
    unclean = [run for run in runs if run.load.lock != "none" and run.verdict is Verdict.BROKEN]
    surprising = [result for result in programs if result.verdict is not result.expected]
    return EXIT_DECIDED_OTHERWISE if unclean or surprising else matrix.exit_of(cells)
