"""What `bench --record` keeps, `check` judges: the same verdict again, from the file alone."""

from pathlib import Path

import pytest

from scenarios.cli import run

BENCH = ["bench", "--rounds", "1", "--seconds", "0.3", "--work-ms", "0", "--no-pin"]


def test_a_recorded_race_is_judged_from_its_file_and_names_the_pair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "race.parquet"
    assert run([*BENCH, "--lock", "none", "--record", str(file)]) == 1
    capsys.readouterr()
    assert run(["check", str(file)]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "lost update" in told
    assert "overwrote" in told


def test_a_recorded_run_under_a_lock_is_clean_and_cut_off_it_is_unknown(tmp_path: Path) -> None:
    file = tmp_path / "locked.parquet"
    recorded = ["--lock", "per-user", "--boundaries", "--record", str(file)]
    assert run([*BENCH, *recorded]) == 0
    assert run(["check", str(file)]) == 0
    file.write_bytes(file.read_bytes()[:-100])
    assert run(["check", str(file)]) == 3
    assert run([*BENCH, *recorded, "--lock", "global"]) == 2  # two runs, one file
