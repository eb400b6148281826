"""`walletrace check --model`: histories of registers and of whole banks."""

from pathlib import Path

import pytest

from scenarios.cli import run

REGISTER = """kind,account,client,before,after,invoked,completed,outcome
change,k,A,,1,0,10,ok
change,k,B,1,2,20,30,ok
change,k,B,1,3,40,50,refused
balance,k,A,,2,60,70,ok
change,k,C,,9,0,,unknown
"""
WALLET = "operation,kind,account,amount,invoked,completed\nw1,withdraw,u,5,0,10\n"
BANK = """record,operation,kind,account,client,amount,after,invoked,completed
opening,,,x,,,10,,
opening,,,y,,,3,,
call,t,transfer,x,A,-5,,0,8
call,t,transfer,y,A,5,,0,8
call,r,balance,x,B,,5,1,9
call,r,balance,y,B,,8,1,9
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


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
    assert told in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("model", "text", "told"),
    [
        ("register", WALLET, "w1 (withdraw): a register is read (balance) or changed"),
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
    assert told in " ".join(capsys.readouterr().out.split())
