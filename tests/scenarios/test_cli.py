"""The command line as its users meet it: statuses, JSON, files, no traceback for mistakes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from scenarios.cli import run

RACE = ["explore", "documented-race"]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([*RACE, "--lock", "none"], 1),
        ([*RACE, "--lock", "none", "--expect", "broken"], 0),
        ([*RACE, "--lock", "none", "--store", "sqlite", "--expect", "broken"], 0),
        ([*RACE, "--lock", "per-user"], 0),
        ([*RACE, "--lock", "global", "--store", "sqlite"], 0),
        ([*RACE, "--lock", "db-row", "--topology", "two-processes"], 0),
        ([*RACE, "--lock", "per-user", "--expect", "broken"], 1),
        ([*RACE, "--lock", "per-user", "--topology", "two-processes", "--expect", "broken"], 0),
        ([*RACE, "--lock", "per-user", "--max-states", "5"], 3),
        ([*RACE, "--lock", "per-user", "--max-states", "5", "--expect", "bounded"], 0),
        ([*RACE, "--lock", "per-user", "--faults", "cancel=1"], 0),
        (["explore", "crossing-transfers", "--lock", "per-user-unsorted"], 1),
        (["list"], 0),
        (["--help"], 0),
    ],
)
def test_exit_status(arguments: list[str], status: int) -> None:
    assert run(arguments) == status


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([*RACE, "--lock", "gloabl"], "known: none, global, per-user, db-row"),
        (["explore", "no-such-race", "--lock", "none"], "known: documented-race"),
        ([*RACE, "--lock", "none", "--store", "oracle"], "known: memory, memory:postgres, sqlite"),
        ([*RACE, "--lock", "none", "--topology", "moon"], "known: one-service"),
        ([*RACE, "--lock", "none", "--faults", "fire=1"], "write it like cancel=1,crash=1"),
        ([*RACE, "--lock", "no.such.module:Lock"], "cannot import 'no.such.module'"),
        ([*RACE, "--lock", "json:Lock"], "has no 'Lock'"),
        ([*RACE, "--lock", "none", "--expect", "maybe"], "'maybe' is not one of"),
        (["replay", "no-such-file.json"], "cannot read no-such-file.json"),
        (["report", "--out", "/dev/null/x"], "cannot write into /dev/null/x"),
        (["compare", "--quick", "--junit", "/dev/null/x.xml"], "cannot write /dev/null/x.xml"),
        ([*RACE], "no lock strategy is named; name one with --lock"),
        (["bench", "--lock", "gloabl"], "known: none, global"),
        (["bench", "--mix", "steal=1"], "steal"),
        (["bench", "--accounts", "many"], "many"),
        (["load", "--run-time", "soon"], "write it like 10s or 2m"),
    ],
)
def test_a_users_mistake_is_one_clear_message_and_status_2(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    told = capsys.readouterr().err
    assert says in " ".join(told.replace("│", " ").split())
    assert "Traceback" not in told


def test_help_says_that_a_lock_or_a_wallet_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explore", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "needed unless --wallet names one that takes none" in told


def test_the_scenario_of_the_guide_to_own_code_is_told_apart_by_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "own-code.md").read_text()
    example = guide.partition("## A scenario")[2].partition("```python\n")[2].partition("```")[0]
    (tmp_path / "my_story_of_a_test.py").write_text(example)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    own = ["explore", "my_story_of_a_test:SCENARIO", "--lock"]
    assert run([*own, "none", "--expect", "broken"]) == 0
    assert run([*own, "per-user"]) == 0


def test_explore_speaks_json(capsys: pytest.CaptureFixture[str]) -> None:
    run([*RACE, "--lock", "none", "--json"])
    found = json.loads(capsys.readouterr().out)
    wanted = {"scenario", "lock", "store", "topology", "verdict", "interleavings", "losing"}
    assert wanted | {"outcomes", "witness"} <= set(found)
    assert (found["verdict"], found["interleavings"], found["losing"]) == ("broken", 20, 12)
    assert sum(found["outcomes"].values()) == 20
    assert found["witness"]["schedule"] == ["A", "A", "B", "B", "A", "B"]


def test_explore_prints_the_guides_timeline(capsys: pytest.CaptureFixture[str]) -> None:
    run([*RACE, "--lock", "none"])
    told = capsys.readouterr().out
    positions = [told.find(mark) for mark in ("T1", "T2", "T3", "T4")]
    assert -1 not in positions
    assert positions == sorted(positions)
    for figure in ("20", "12", "1000.00", "500.00", "1300.00", "800.00"):
        assert figure in told


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_a_saved_schedule_is_replayed_on_either_store(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "race.json"
    assert run([*RACE, "--lock", "none", "--save", str(file), "--expect", "broken"]) == 0
    assert run(["replay", str(file), "--store", store]) == 0
    changed = json.loads(file.read_text()) | {"outcome": "alice=800.00"}
    file.write_text(json.dumps(changed))
    assert run(["replay", str(file), "--store", store]) == 1
    assert "still wrong: money" in " ".join(capsys.readouterr().out.split())


def test_a_schedule_that_mended_code_no_longer_follows_does_not_recur(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "race.json"
    run([*RACE, "--lock", "none", "--save", str(file)])
    kept = json.loads(file.read_text())
    file.write_text(json.dumps(kept | {"lock": "per-user"}))
    assert run(["replay", str(file)]) == 1
    assert "does not recur" in capsys.readouterr().out
    file.write_text(json.dumps(kept | {"schedule": [*kept["schedule"], "A"]}))
    assert run(["replay", str(file), "--json"]) == 1


def test_a_safe_verdict_leaves_nothing_to_save_and_exits_by_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "none.json"
    assert run([*RACE, "--lock", "per-user", "--save", str(file)]) == 0
    told = capsys.readouterr()
    assert "safe" in told.out
    assert "nothing to save" in told.err
    assert not file.exists()


def test_ctrl_c_in_bench_shows_what_was_measured_and_exits_130(
    capsys: pytest.CaptureFixture[str],
) -> None:
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    status = run(["bench", "--lock", "global", "--seconds", "0.05", "--rounds", "500", "--no-pin"])
    timer.join()
    told = capsys.readouterr()
    assert status == 130
    assert "interrupted; nothing is left running" in told.err
    assert "global" in told.out


def test_a_strategy_that_was_asked_for_and_loses_money_fails_the_bench() -> None:
    hot = ["bench", "--seconds", "0.3", "--rounds", "1", "--work-ms", "1", "--no-pin"]
    assert run([*hot, "--lock", "none"]) == 1
    assert run([*hot, "--lock", "none", "--expect", "broken"]) == 0
    assert run([*hot, "--lock", "global"]) == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"walletrace_schedule": 2}', "\x00"])
def test_a_file_that_is_no_schedule_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.json"
    file.write_text(text)
    assert run(["replay", str(file)]) == 2


def test_compare_writes_junit_and_markdown_and_names_what_is_unexpected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    junit, markdown = tmp_path / "junit.xml", tmp_path / "report.md"
    status = run(
        ["compare", "--quick", "--json", "--scenario", "double-spend", "--lock", "none"]
        + ["--junit", str(junit), "--markdown", str(markdown)]
    )
    found = json.loads(capsys.readouterr().out)
    assert status == 0
    assert found["unexpected"] == []
    assert len(found["cells"]) == 3
    assert "double-spend" in junit.read_text()
    assert "double-spend" in markdown.read_text()


def test_the_readmes_strategy_is_safe_in_two_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = Path(__file__).parents[2] / "README.md"
    code = readme.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    (tmp_path / "my_lock.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    assert len(code.strip().splitlines()) <= 25
    arguments = ["--lock", "my_lock:Optimistic", "--topology", "two-processes"]
    assert run([*RACE, *arguments]) == 0
    assert run([*RACE, *arguments, "--store", "sqlite"]) == 0


def test_told_to_end_a_bench_takes_its_folder_with_it(tmp_path: Path) -> None:
    walletrace = [sys.executable, "-c", "from scenarios.cli import main; main()"]
    process = subprocess.Popen(
        [*walletrace, "bench", "--lock", "none", "--seconds", "60"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob("walletrace-*/*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert list(tmp_path.iterdir())
        process.terminate()
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
    finally:
        process.kill()
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_starts_without_what_only_some_commands_need():
    heavy = ("numpy", "scipy", "matplotlib", "pandas", "pyarrow", "locust", "asyncpg")
    script = f"import sys, scenarios.cli; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert found.stdout.strip() == "[]", found.stderr


def test_the_module_is_the_command_too() -> None:
    command = [sys.executable, "-m", "scenarios.cli", "explore", "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "nothing" in done.stderr
