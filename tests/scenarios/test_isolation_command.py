"""`walletrace isolation` as its users meet it: statuses, the matrix, JSON, schedules."""

import json
import os
import shlex
import signal
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from engine.isolation import explorer
from engine.isolation.levels import EXPECTED
from scenarios import isolation_table
from scenarios.cli import run

SQLITE = ["isolation", "--store", "sqlite"]
AUTOCOMMIT = [*SQLITE, "--anomaly", "withdrawals", "--level", "autocommit"]


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(told(capsys))


def test_the_matrix_of_sqlite_equals_the_table_and_fits_one_screen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(SQLITE) == 0
    screen = told(capsys)
    assert "34 of 34 as expected, on SQLite" in screen
    assert "r1(all)→100 r2(all)→100 w2(1-80) w1(1-80)" in screen
    assert len(screen.splitlines()) <= 40


def test_json_holds_every_cell_with_its_witness(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SQLITE, "--json"]) == 0
    found = document(capsys)
    assert (found["as_expected"], found["of"], found["differences"]) == (34, 34, [])
    (possible,) = [cell for cell in found["cells"] if cell["found"] == "possible"]
    assert (possible["anomaly"], possible["level"]) == ("withdrawals", "autocommit")
    assert (possible["showing"], possible["interleavings"]) == (4, 6)
    (form,) = possible["forms"]
    assert form["outcomes"] == {
        "1=-60: T1 committed, T2 committed": 4,
        "1=20: T1 committed, T2 committed": 2,
    }
    assert form["witness"]["schedule"] == ["T1", "T2", "T2", "T1"]
    assert form["witness"]["steps"][-1] == {
        "session": "T1",
        "statement": "UPDATE test SET value = value - 80 WHERE id = 1",
        "answer": "1 row",
    }


def test_a_witness_is_repeated_by_the_command_it_is_printed_with(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(AUTOCOMMIT) == 0
    (line,) = [line for line in told(capsys).splitlines() if line.startswith("Again: ")]
    arguments = shlex.split(line.removeprefix("Again: walletrace "))
    assert run(arguments) == 0
    assert "withdrawals has happened: both read 100 and took 80" in told(capsys)


def test_a_schedule_that_shows_nothing_exits_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*AUTOCOMMIT, "--schedule", "T1 T1 T2", "--json"]) == 1
    found = document(capsys)
    assert (found["shows"], found["outcome"]) == (False, "1=20: T1 committed, T2 committed")


@pytest.mark.parametrize(("expected", "mark"), [("—", "prevented"), ("✓", "possible")])
def test_a_cell_that_differs_from_the_table_is_marked_and_exits_1(
    expected: str,
    mark: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    level, anomaly = ("immediate", "P4") if expected == "—" else ("autocommit", "withdrawals")
    monkeypatch.setitem(EXPECTED[level], anomaly, expected)
    assert run(SQLITE) == 1
    screen = told(capsys)
    other = isolation_table.WORDS[expected]
    assert f"{anomaly} at {level} is {mark}; expected is {other}" in screen
    assert "33 of 34 as expected" in screen
    assert f"Next: walletrace isolation --store sqlite --anomaly {anomaly}" in screen


def test_a_cell_that_cannot_be_decided_exits_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(explorer, "RUNS_MAX", 100)
    assert run([*SQLITE, "--level", "deferred"]) == 3
    screen = told(capsys)
    assert "OTV at deferred is undecided (OTV has more than 100 interleavings)" in screen


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["isolation", "--store", "oracle"], "known: postgres, sqlite, postgresql://"),
        ([*SQLITE, "--level", "snapshot"], "known: autocommit, deferred, deferred-journal"),
        ([*SQLITE, "--anomaly", "P9"], "known: G0, G0/crossing, G1a"),
        ([*SQLITE, "--anomaly", "lock-first"], "no anomaly 'lock-first' here"),
        ([*SQLITE, "--schedule", "T1"], "name --anomaly and --level"),
        ([*AUTOCOMMIT, "--schedule", "T1 T7"], "known: T1, T2"),
        ([*AUTOCOMMIT, "--schedule", "T1 T1 T1"], "sessions that neither wait nor have ended"),
        ([*AUTOCOMMIT, "--schedule", "T1 T1 T2 T2"], "sessions that neither wait nor have ended"),
    ],
)
def test_a_users_mistake_is_one_clear_message_and_status_2(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert says in capsys.readouterr().err


def test_ctrl_c_ends_it_at_once_with_status_130() -> None:
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    assert run(SQLITE) == 130


def test_a_matrix_on_a_server_named_by_its_url(
    postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    anomalies = ["--anomaly", "P4", "--anomaly", "PMP", "--anomaly", "lock-two-rows"]
    assert run(["isolation", "--store", postgres_url, *anomalies]) == 0
    screen = told(capsys)
    assert "9 of 9 as expected, on PostgreSQL 18" in screen
    assert "r1(1)→10 r2(1)→10 w2(1=v+2) c2 w1(1=v+1) c1" in screen
    assert "lock1 r1(all)→50,50 w1(1-80) lock2… c1 lock2" in screen


def test_the_data_directory_of_the_embedded_server_is_made_and_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cell = ["--anomaly", "P4", "--level", "read-committed"]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # as root the server runs as nobody
        data = Path(folder) / "data"
        postgres = ["isolation", "--store", "postgres", "--postgres-data", str(data)]
        assert run([*postgres, *cell]) == 0
        assert list(data.rglob("PG_VERSION"))
    assert run([*SQLITE, "--postgres-data", str(data)]) == 2
    assert "name the store postgres" in capsys.readouterr().err
