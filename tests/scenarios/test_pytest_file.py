"""Regression tests that `--pytest` writes: they fail now, and pass once the code is right."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.explore.regression import what_breaks
from engine.locks.none import NoLock
from scenarios import saved
from scenarios.catalogue import SCENARIOS
from scenarios.cli import run
from scenarios.pytest_file import source_of_test

RACE = SCENARIOS["documented-race"]
KEPT = Path(__file__).parent.parent / "schedules" / "documented-race-none-one-service.json"
LOSING = ["A", "A", "B", "B", "A", "B"]


class ReadsTwice(NoLock):
    """One step more than NoLock: the kept schedule ends before it loses anything."""

    async def run(self, call, store):  # type: ignore[no-untyped-def]
        for _ in range(4):
            await store.read(call.accounts)
        return await super().run(call, store)


def test_mended_code_passes_although_it_cannot_follow_the_schedule() -> None:
    assert "A's withdrawal of 500.00 is lost" in what_breaks(RACE, "none", LOSING)
    for lock in ("per-user", "global", "db-row"):
        assert what_breaks(RACE, lock, LOSING) == ""


def test_a_loss_that_steps_between_have_only_shifted_is_found_by_exploring() -> None:
    shifted = f"{__name__}:ReadsTwice"
    assert what_breaks(RACE, shifted, LOSING, explored_max=1) == ""
    assert "(schedule: " in what_breaks(RACE, shifted, LOSING)


def written(tmp_path: Path, *options: str) -> Path:
    file = tmp_path / "test_race.py"
    assert run(["explore", "documented-race", *options, "--pytest", str(file)]) in (0, 1)
    return file


@pytest.mark.slow
def test_the_written_test_fails_with_the_sentence_and_passes_once_the_code_is_right(
    tmp_path: Path,
) -> None:
    file = written(tmp_path, "--lock", "none")
    (tmp_path / "test_mended.py").write_text(file.read_text().replace('"none"', '"per-user"'))
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:locust", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 1 passed" in ran.stdout
    assert "AssertionError: B's deposit of 300.00 had read alice at 1000.00" in ran.stdout
    assert "FAILED test_race.py::test_documented_race_with_none_keeps_the_money" in ran.stdout


def test_the_written_test_is_short_and_says_what_each_move_does(tmp_path: Path) -> None:
    text = written(tmp_path, "--lock", "none").read_text()
    assert '    """alice holds 1000.00; A withdraws 500.00 while B adds 300.00.' in text
    assert '        "B",  # T4 writes alice 1300.00  <- here it breaks\n' in text
    assert text.count("\n") <= 30
    assert max(map(len, text.splitlines())) <= 88
    assert text.count("assert ") == 1


def test_a_test_for_a_negative_control_passes_as_long_as_it_is_found_broken(
    tmp_path: Path,
) -> None:
    spec = ["--lock", "per-user", "--topology", "two-processes", "--expect", "broken"]
    text = written(tmp_path, *spec).read_text()
    assert 'topology="two-processes"' in text
    space: dict[str, Callable[[], None]] = {}
    exec(text, space)
    space["test_documented_race_with_per_user_in_two_processes_is_still_found_broken"]()


def test_replay_writes_the_same_test_as_explore(tmp_path: Path) -> None:
    (again := tmp_path / "again_test.py").touch()
    assert run(["replay", str(KEPT), "--pytest", str(again)]) == 0
    assert again.read_text() == written(tmp_path, "--lock", "none").read_text()


def test_a_users_own_scenario_and_wallet_are_named_as_on_the_command_line() -> None:
    own = replace(
        saved.load(KEPT),
        scenario="shop.races:SALE",
        lock="shop.wallet:BigWallet",
        wallet="shop.wallet:BigWallet",
        faults="cancel=1",
    )
    text = source_of_test(own, (), 'a story with a """ in it', broken=False)
    compile(text, "test_sale.py", "exec")
    assert "from shop.races import SALE\n" in text
    assert "def test_sale_with_big_wallet_keeps_the_money_right() -> None:" in text
    for argument in ("SALE", "None", 'wallet="shop.wallet:BigWallet"', 'faults="cancel=1"'):
        assert f"        {argument},\n" in text
