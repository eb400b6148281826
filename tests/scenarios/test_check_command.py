"""`walletrace check` as its users meet it: a verdict, the operations that collided, a status."""

import doctest
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scenarios import checking
from scenarios.cli import run

DOCUMENT = Path(__file__).parents[2] / "docs" / "check.md"
HEADER = "operation,client,kind,account,amount,before,after,version,invoked,completed,outcome\n"
RACE = HEADER + (
    "w1,A,withdraw,u,500.00,1000.00,500.00,2,0,10,ok\na1,B,add,u,300.00,1000.00,1300.00,3,5,20,ok\n"
)
RIGHT = RACE.replace("1000.00,1300.00", "500.00,800.00")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, body in re.findall(
        r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE
    ):
        Path(name).write_text(body)
    Path("race.csv").write_text(RACE)
    Path("right.csv").write_text(RIGHT)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed, however it was wrapped."""
    return " ".join(capsys.readouterr().out.split())


def test_the_documented_race_exits_1_and_names_both_operations(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["check", "race.csv"]) == 1
    printed = said(capsys)
    assert printed.startswith("✗ broken race.csv: one thing is wrong")
    assert "lost update: u: a1 (add 300.00) began from 1000.00 and overwrote w1" in printed
    assert "500.00 made" in printed
    assert "Next: walletrace check race.csv --html history.html" in printed


def test_a_right_run_exits_0_and_is_no_proof(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "right.csv"]) == 0
    printed = said(capsys)
    assert printed.startswith("○ clean right.csv: nothing wrong was found, down to the layer")
    assert "this is no proof" in printed
    assert "The strongest level it satisfies: strict serializable." in printed


def test_a_file_that_was_cut_exits_3(capsys: pytest.CaptureFixture[str]) -> None:
    Path("cut.csv").write_text(RIGHT[:-20])
    assert run(["check", "cut.csv"]) == 3
    assert "Not read to the end: • cut.csv line 3:" in said(capsys)


def test_what_is_wrong_before_the_cut_stays_wrong() -> None:
    Path("cut.csv").write_text(RACE + "x,A,add")
    assert run(["check", "cut.csv"]) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing.csv"], "nothing.csv is no file"),
        (["race.csv", "nothing.csv"], "nothing.csv is no file"),
        (["statement.csv"], "no column 'account'"),
        (["."], "no column 'account'"),
        (["race.csv", "--map", "statement.toml"], "no column 'Paid out', which the mapping names"),
        (["race.csv", "--map", "race.csv"], "race.csv is no TOML"),
        (["race.csv", "--map", "typo.toml"], "no key 'decimal'; did you mean 'decimals'?"),
        (["race.csv", "--map", "nothing.toml"], "mapping nothing.toml cannot be read"),
        (["x" * 300], "cannot be read (File name too long)"),
    ],
)
def test_a_wrong_name_exits_2_whatever_was_expected(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("typo.toml").write_text("[money]\ndecimal = 2\n")
    assert run(["check", *arguments, "--expect", "unknown"]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["race.csv", "--budget-s", "0"], "Not checked: • more than 0 s were needed"),
        (["race.csv", "--budget-mb", "1"], "Not checked: • more than 1 MB of memory were needed"),
        (["empty.csv"], "Cannot be read: • empty.csv is empty"),
    ],
)
def test_what_cannot_be_judged_exits_3_and_says_why(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty.csv").touch()
    assert run(["check", *arguments]) == 3
    printed = said(capsys)
    assert printed.startswith("? unknown")
    assert told in printed
    assert ("Next: give it more (--budget-s" in printed) == ("needed" in told)


def test_an_expected_verdict_exits_0() -> None:
    assert run(["check", "race.csv", "--expect", "broken"]) == 0
    assert run(["check", "right.csv", "--expect", "broken"]) == 1
    Path("empty.csv").touch()
    assert run(["check", "empty.csv", "--expect", "unknown"]) == 0


def test_a_log_without_times_shows_the_first_broken_link_of_each_account(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = "".join(f"x{n},{'ab'[n % 2]},1,{n},{n + 1}\n" for n in range(9))
    Path("log.csv").write_text("operation,account,amount,before,after\n" + wrong)
    assert run(["check", "log.csv"]) == 1
    printed = said(capsys)
    assert printed.startswith("✗ broken log.csv: 7 things are wrong")
    assert "9 operations in 9 rows" in printed
    assert printed.count("! broken chain: ") == 2
    assert "… and 5 more" in printed


@pytest.mark.parametrize(
    ("file", "status", "told"),
    [
        ("statement.csv", 0, "columns not read: Booked, Text"),
        ("ledger.csv", 1, "T2 (transfer 30000) began from 100000 and overwrote T1"),
        ("app.jsonl", 1, "r1 (withdraw 500.00) and r2 (add 300.00) both found 1000.00"),
    ],
)
def test_the_documented_mappings_read_the_documented_files(
    file: str, status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", file, "--map", f"{Path(file).stem}.toml"]) == status
    assert told in said(capsys)


def test_the_documented_python_runs() -> None:
    assert doctest.testfile(str(DOCUMENT), module_relative=False).failed == 0


def test_json_holds_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "race.csv", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert list(found) == [
        *("files", "verdict", "expected", "as_expected", "layer", "level", "count", "violations"),
        *("passed", "limits", "cut", "lost", "made", "decimals", "operations", "rows", "columns"),
        *("ignored", "loading_s", "judging_s", "memory_mb"),
    ]
    assert (found["verdict"], found["made"], found["level"]) == (
        "broken",
        {"u": "500.00"},
        "read committed",
    )
    (violation,) = found["violations"]
    assert violation["operations"] == ["w1", "a1"]
    assert (violation["account"], violation["amount"]) == ("u", "500.00")
    assert [(link["earlier"], link["later"]) for link in violation["cycle"]] == [
        ("a1", "w1"),
        ("w1", "a1"),
    ]


def test_json_of_a_file_that_cannot_be_read_is_json_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("empty.csv").touch()
    assert run(["check", "empty.csv", "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "unknown"
    assert "empty.csv is empty" in found["cut"][0]


def test_junit_fails_the_layer_that_decided() -> None:
    assert run(["check", "race.csv", "--junit", "found.xml"]) == 1
    document = ElementTree.parse("found.xml").getroot()
    failed = [
        case.get("name") for case in document.iter("testcase") if case.find("failure") is not None
    ]
    assert failed == ["race.csv: ledger"]
    assert run(["check", "right.csv", "--junit", "found.xml"]) == 0
    assert ElementTree.parse("found.xml").getroot().find(".//failure") is None


def test_pictures_are_written_and_bad_places_are_wrong_usage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["check", "race.csv", "--html", "h.html", "--figure", "f.svg"]) == 1
    assert "a1" in Path("h.html").read_text()
    assert Path("f.svg").read_text().startswith("<?xml")
    assert run(["check", "race.csv", "--html", "/dev/full"]) == 3
    assert "cannot write /dev/full" in capsys.readouterr().err
    assert run(["check", "race.csv", "--figure", "f.pdf"]) == 2
    assert run(["check", "race.csv", "--html", "no/h.html"]) == 2
    assert "there is no folder no" in " ".join(capsys.readouterr().err.split())


def test_ctrl_c_exits_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checking, "read_run", interrupted)
    assert run(["check", "race.csv"]) == 130


def test_a_folder_of_files_is_one_history(capsys: pytest.CaptureFixture[str]) -> None:
    Path("logs").mkdir()
    first, second = RACE.splitlines(keepends=True)[1:]
    Path("logs/a.csv").write_text(HEADER + first)
    Path("logs/b.csv").write_text(HEADER + second)
    assert run(["check", "logs"]) == 1
    assert "overwrote w1" in said(capsys)


def test_a_stray_file_in_a_folder_is_skipped_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("logs").mkdir()
    Path("logs/README.log").write_text("This is what these files are.\n")
    assert run(["check", "logs"]) == 2
    Path("logs/a.csv").write_text(RIGHT)
    capsys.readouterr()
    assert run(["check", "logs"]) == 0
    assert "a file that is no history is skipped: logs/README.log" in said(capsys)
    assert run(["check", "logs/README.log", "logs/a.csv"]) == 2


def test_a_file_that_lacks_the_account_alone_is_no_stray_one() -> None:
    Path("logs").mkdir()
    Path("logs/a.csv").write_text(RIGHT)
    Path("logs/b.csv").write_text(RIGHT.replace("account", "acount"))
    assert run(["check", "logs"]) == 2


def test_a_timeout_without_a_final_phase_names_the_way_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("late.csv").write_text(RIGHT + "t1,A,add,u,1.00,,,,40,,unknown\n")
    assert run(["check", "late.csv"]) == 3
    printed = said(capsys)
    assert "• calls timed out, and may have happened or happen yet: if the files hold" in printed
    assert "Next: if the files hold every change, and were taken after all had" in printed
    assert printed.endswith("say so with [file] complete = true in a mapping (--map)")
    Path("whole.toml").write_text("[file]\ncomplete = true\n")
    assert run(["check", "late.csv", "--map", "whole.toml"]) == 0


def test_answers_alone_are_undecided_until_an_opening_is_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = (
        "record,operation,account,amount,after,invoked,completed,outcome\ncall,w1,u,-5,,0,10,ok\n"
    )
    text += "call,a1,u,3,,5,30,ok\ncall,w2,u,-50,,40,50,refused:insufficient_funds\n"
    Path("answers.csv").write_text(text)
    assert run(["check", "answers.csv"]) == 3
    assert "a row of record = opening tells it" in said(capsys)
    Path("answers.csv").write_text(text + "opening,,u,,40,,,\n")
    assert run(["check", "answers.csv"]) == 0


def test_one_more_is_shown_instead_of_counted(capsys: pytest.CaptureFixture[str]) -> None:
    Path("log.csv").write_text("account,amount,before,after\nu,1,0,1\nu,1,5,6\nu,1,9,10\n")
    assert run(["check", "log.csv"]) == 1
    printed = said(capsys)
    assert printed.count("! broken chain: ") == 2
    assert "more" not in printed
    Path("log.csv").write_text("account,amount,before,after\nu,1,0,1\n")
    assert run(["check", "log.csv"]) == 0
    assert "1 operation in 1 row, read" in said(capsys)
