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
        (["."], "no column 'account'"),
        (["race.csv", "--map", "statement.toml"], "no column 'Paid out', which the mapping names"),
        (["race.csv", "--map", "race.csv"], "race.csv is no TOML"),
        (["race.csv", "--map", "nothing.toml"], "mapping nothing.toml cannot be read"),
        (["x" * 300], "cannot be read (File name too long)"),
        (["race.csv", "--budget-s", "0"], "more than 0 s were needed"),
        (["race.csv", "--budget-mb", "1"], "more than 1 MB of memory were needed"),
    ],
)
def test_what_cannot_be_judged_exits_3_and_says_why(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", *arguments]) == 3
    printed = said(capsys)
    assert printed.startswith("? unknown")
    assert told in printed


def test_an_expected_verdict_exits_0() -> None:
    assert run(["check", "race.csv", "--expect", "broken"]) == 0
    assert run(["check", "right.csv", "--expect", "broken"]) == 1
    assert run(["check", "nothing.csv", "--expect", "unknown"]) == 0


def test_a_log_without_times_shows_the_first_broken_link_of_each_account(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = "".join(f"x{n},{'ab'[n % 2]},1,{n},{n + 1}\n" for n in range(9))
    Path("log.csv").write_text("operation,account,amount,before,after\n" + wrong)
    assert run(["check", "log.csv"]) == 1
    printed = said(capsys)
    assert printed.startswith("✗ broken log.csv: 7 things are wrong")
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
    assert run(["check", "nothing.csv", "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "unknown"
    assert "nothing.csv is no file" in found["cut"][0]


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


REGISTER = """kind,account,client,before,after,invoked,completed,outcome
change,k,A,,1,0,10,ok
change,k,B,1,2,20,30,ok
change,k,B,1,3,40,50,refused
balance,k,A,,2,60,70,ok
change,k,C,,9,0,,unknown
"""
BANK = """record,operation,kind,account,client,amount,after,invoked,completed
opening,,,x,,,10,,
opening,,,y,,,3,,
call,t,transfer,x,A,-5,,0,8
call,t,transfer,y,A,5,,0,8
call,r,balance,x,B,,5,1,9
call,r,balance,y,B,,8,1,9
"""


@pytest.mark.parametrize(
    ("model", "right", "torn", "told"),
    [
        ("register", REGISTER, ("A,,2", "A,,1"), "A's read -> 1 returns; possible until then: 2"),
        ("bank", BANK, ("8,1,9", "3,1,9"), "B's read -> {'x': 5, 'y': 3} returns"),
    ],
)
def test_registers_and_banks_are_judged_by_their_models(
    model: str,
    right: str,
    torn: tuple[str, str],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("right.csv").write_text(right)
    Path("torn.csv").write_text(right.replace(*torn))
    assert run(["check", "right.csv", "--model", model, "--expect", "clean"]) == 0
    capsys.readouterr()
    assert run(["check", "torn.csv", "--model", model]) == 1
    assert told in said(capsys)


@pytest.mark.parametrize(
    ("model", "text", "told"),
    [
        ("register", RACE, "w1 (withdraw): a register is read (balance) or changed"),
        ("register", "account,after\nk,1\n", "by when calls were made and answered"),
        ("wallet", "record,account,after\nopening,k,1\n", "there are no operations"),
        ("bank", BANK.replace("opening,,,y,,,3,,\n", ""), "what its accounts held at first"),
        ("bank", BANK.replace("y,A,5", "y,A,6"), "t (transfer): a bank is read"),
    ],
)
def test_a_history_of_something_else_is_told(
    model: str, text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("other.csv").write_text(text)
    assert run(["check", "other.csv", "--model", model]) == 3
    assert told in said(capsys)


def test_ctrl_c_exits_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checking, "read_files", interrupted)
    assert run(["check", "race.csv"]) == 130


def test_a_folder_of_files_is_one_history(capsys: pytest.CaptureFixture[str]) -> None:
    Path("logs").mkdir()
    first, second = RACE.splitlines(keepends=True)[1:]
    Path("logs/a.csv").write_text(HEADER + first)
    Path("logs/b.csv").write_text(HEADER + second)
    assert run(["check", "logs"]) == 1
    assert "overwrote w1" in said(capsys)
