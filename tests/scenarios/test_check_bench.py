"""`make bench-checks`: every target is asked about, and a wrong verdict meets none."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from scenarios.check_bench import workers
from scenarios.check_bench.__main__ import main
from scenarios.check_bench.cases import CASES, Case
from scenarios.check_bench.rounds import Row, measure
from scenarios.check_bench.table import as_json, notes, table
from scenarios.check_bench.workers import Answer

VERSIONS = CASES["versions"]


def row(case: Case, *seconds: float, said: str | None = None, memory_mb: float = 1.0) -> Row:
    """A case whose rounds took so long at the full size, and in proportion at smaller ones."""
    largest = max(case.sizes)
    rounds = {
        size: [
            Answer(size, each * size / largest, 2 * each, said or case.expected) for each in seconds
        ]
        for size in case.sizes
    }
    first = Answer(largest, 9.0, 9.0, case.expected, memory_mb)
    return Row(case, first, rounds)


def shown(rows: Sequence[Row]) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(table(rows))
    for note in notes(rows, rounds=3):
        console.print(note, markup=False, soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_target_of_ours_is_asked_about() -> None:
    targets = {case.name: (case.target_s, case.target_mb) for case in CASES.values()}
    assert targets == {
        "versions": (0.4, 400),
        "transfers": (0.15, None),
        "values": (0.04, None),
        "timeouts": (0.1, None),
        "answers": (0.4, None),
        "etcd": (0.15, None),
        "whole": (1.0, 500),
        "racing": (None, None),
        "recording": (0.05, None),
    }


def test_a_target_is_met_by_the_median_and_by_the_memory() -> None:
    assert row(VERSIONS, 0.3, 0.3, 0.9).met
    assert row(VERSIONS, 0.3, 0.9, 0.9).met is False
    assert row(VERSIONS, 0.3, memory_mb=401.0).met is False
    assert row(CASES["racing"], 0.3).met is None


def test_a_wrong_verdict_meets_nothing() -> None:
    wrong = row(VERSIONS, 0.001, said="unknown, ledger")
    assert wrong.met is False
    assert "wrong: unknown, ledger" in shown([wrong])


def test_growth_is_the_slope_of_time_over_size() -> None:
    assert row(VERSIONS, 0.3).slope == pytest.approx(1.0)
    assert row(CASES["recording"], 0.3).slope is None


def test_the_table_fits_on_a_screen_and_names_what_was_left_out() -> None:
    text = shown([row(case, 0.0312, 0.0345, 0.1456) for case in CASES.values()])
    assert "…" not in text
    assert "met" in text
    assert "Left out" not in text
    assert "Left out: versions, " in shown([row(CASES["etcd"], 0.1)])
    failed = Row(VERSIONS, trouble="ValueError: no")
    assert "versions failed: ValueError: no" in shown([failed])


def test_the_document_holds_every_round() -> None:
    document = json.loads(json.dumps(as_json([row(CASES["etcd"], 0.1, 0.12)], rounds=2)))
    [case] = document["cases"]
    assert [each["seconds"] for each in case["rounds"]] == [0.1, 0.12]
    assert case["met"] is True


def test_every_case_comes_out_as_it_must_on_a_small_history() -> None:
    for case in CASES.values():
        # All the published ones, and so many of ours that one in a thousand is there.
        size = min(102 if case.name == "etcd" else 20_000, *case.sizes, 20_000)
        assert case.run(case.make(size)) == case.expected, case.name


@pytest.mark.slow
def test_a_case_that_fails_in_its_process_does_not_end_the_others(tmp_path: Path) -> None:
    lost = replace(CASES["recording"], name="nobody knows it")
    failed, answered = measure([lost, CASES["etcd"]], tmp_path, rounds=1)
    assert failed.trouble.startswith("KeyError")
    assert answered.first is not None
    assert answered.first.memory_mb is None or answered.first.memory_mb >= 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_command_prints_and_writes_what_it_measured(tmp_path: Path) -> None:
    file = tmp_path / "checks.json"
    app = CliRunner()
    program = typer.Typer()
    program.command()(main)
    done = app.invoke(program, ["--case", "etcd", "--rounds", "1", "--json", str(file)])
    assert done.exit_code == 0, done.output
    assert [case["name"] for case in json.loads(file.read_text())["cases"]] == ["etcd"]
    wrong = app.invoke(program, ["--case", "nothing"])
    assert wrong.exit_code == 2
    assert "no case 'nothing'; known: versions" in wrong.output


def test_memory_beyond_the_history_is_what_a_run_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(size: int) -> str:
        return f"fed with {len(b'x' * size)}"

    size = 50_000_000
    assert len(b"x" * 6 * size) == 6 * size  # an earlier peak, which must not count
    case = replace(CASES["etcd"], name="hungry", run=hungry, sizes=(size,))
    monkeypatch.setitem(workers.CASES, "hungry", case)
    monkeypatch.setitem(workers._loaded, size, size)
    memory_mb = workers._first("hungry").memory_mb
    if memory_mb is not None:
        assert 40 < memory_mb < 100
