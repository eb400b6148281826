"""`walletrace crash-test` as its users meet it: a table, JSON, and a status that says it all."""

import json

import pytest

from scenarios.cli import run

pytestmark = pytest.mark.slow
ONE = ["crash-test", "--kills", "0", "--pauses", "1", "--workers", "2"]


def test_what_ends_as_declared_exits_0_be_it_broken(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*ONE, "--lock", "none", "--lock", "guarded-update", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    verdicts = {each["lock"]: (each["verdict"], each["expected"]) for each in found["runs"]}
    assert verdicts == {"none": ("broken", "broken"), "guarded-update": ("clean", "clean")}


def test_another_verdict_than_the_wanted_exits_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*ONE, "--lock", "guarded-update", "--expect", "broken"]) == 1
    assert "guarded-update" in capsys.readouterr().out


def test_a_strategy_that_the_store_has_not_is_wrong_usage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run([*ONE, "--lock", "advisory"]) == 2
    assert "does not run on sqlite" in " ".join(capsys.readouterr().err.split())
