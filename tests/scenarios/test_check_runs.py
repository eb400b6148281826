"""`walletrace check` on several recorded runs: each is judged by itself, the worst decides."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from engine.errors import UsageError
from engine.histories.parquet import Books, Recorded
from engine.histories.reading import read_files
from engine.history import LogRow
from engine.ports import Row
from scenarios.cli import run


def record(path: Path, *, opening: int, found: int | None = None) -> None:
    """A run of one addition to `hot` that began from `found`, where that was not the opening."""
    before = opening if found is None else found
    row = LogRow("a1", "hot", "add", 500, before, before + 500, 2, "", 0)
    opened = LogRow("o1", "hot", "open", opening, 0, opening, 1, "", 0)
    books = Books({"hot": Row(before + 500, 2)}, [opened, row])
    Recorded([], {"hot": Row(opening, 1)}, books).write(path)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    record(Path("runs/a.parquet"), opening=1_000)
    record(Path("runs/b.parquet"), opening=7_000)


def test_right_runs_that_share_an_account_are_clean_together(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["check", "runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "○ clean  runs/a.parquet: nothing wrong was found"
    assert lines[1] == "○ clean  runs/b.parquet: nothing wrong was found"
    assert lines[2].startswith("2 runs, each judged by itself. runs/a.parquet: nothing wrong")
    assert run(["check", "runs/a.parquet", "runs/b.parquet"]) == 0


def test_the_worst_run_decides_and_is_shown_first(capsys: pytest.CaptureFixture[str]) -> None:
    record(Path("runs/c.parquet"), opening=1_000, found=4_000)
    Path("runs/d.parquet").write_bytes(Path("runs/a.parquet").read_bytes()[:-9])
    assert run(["check", "runs"]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.startswith("✗ broken runs/c.parquet: 1 violation ")
    assert printed.index("? unknown runs/d.parquet") < printed.index("○ clean runs/a.parquet")
    assert "runs/c.parquet: one thing is wrong, found by the layer ledger" in printed
    Path("runs/c.parquet").unlink()
    assert run(["check", "runs"]) == 3


def test_json_and_junit_hold_every_run(capsys: pytest.CaptureFixture[str]) -> None:
    record(Path("runs/c.parquet"), opening=1_000, found=4_000)
    assert run(["check", "runs", "--json", "--junit", "found.xml"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["as_expected"]) == ("broken", False)
    assert [(each["files"], each["verdict"]) for each in found["runs"]] == [
        (["runs/a.parquet"], "clean"),
        (["runs/b.parquet"], "clean"),
        (["runs/c.parquet"], "broken"),
    ]
    cases = [*ElementTree.parse("found.xml").getroot().iter("testcase")]
    assert [case.find("failure") is not None for case in cases] == [False, False, True]
    assert run(["check", "runs", "--expect", "broken", "--junit", "found.xml"]) == 0
    assert ElementTree.parse("found.xml").getroot().find(".//failure") is None


def test_a_stray_file_beside_runs_is_skipped_and_others_logs_are_a_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("runs/README.log").write_text("Recorded at night.\n")
    assert run(["check", "runs"]) == 0
    assert "is skipped: runs/README.log" in " ".join(capsys.readouterr().out.split())
    for name in "xy":
        Path(f"runs/{name}.csv").write_text(f"account,amount,before,after\n{name},1,0,1\n")
    assert run(["check", "runs", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["runs"]
    assert sorted((len(each["files"]), each["rows"]) for each in found) == [(1, 4), (1, 4), (3, 2)]


def test_one_picture_of_several_runs_and_one_history_of_them_are_wrong_usage() -> None:
    assert run(["check", "runs", "--html", "h.html"]) == 2
    with pytest.raises(UsageError, match="are different runs, no one history"):
        read_files([Path("runs")])
    assert run(["check", "runs/a.parquet", "runs/a.parquet", "--html", "h.html"]) == 0
