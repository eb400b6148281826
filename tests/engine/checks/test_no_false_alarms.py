"""What a correct wallet did is never called broken: real runs of every safe strategy on SQLite.

A fraction of a second each by default. `WALLETRACE_SECONDS=150 pytest
tests/engine/checks/test_no_false_alarms.py` takes an hour: 150 s for each strategy and load from
the driver in this process, and from Locust over HTTP.
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.catalog import strategies_on
from engine.checks import judge
from engine.checks.boundaries import check_boundaries
from engine.checks.verdict import Budget, Level
from engine.histories.columns import History
from engine.histories.generate import Known, hide
from engine.histories.parquet import read_history
from engine.load.over_http import run_load
from engine.load.rounds import compare
from engine.results import Load
from engine.verdicts import Verdict
from tests.engine.checks.small_histories import cut_at

NIGHTLY_S = float(os.environ.get("WALLETRACE_SECONDS", "0"))
# A round no longer than this: histories are judged whole, and short ones find as much.
ROUND_S = 5.0
SAFE = [name for name in strategies_on("sqlite") if name != "none"]
# One hot account with everything that touches it alone, and transfers and batches over a few.
LOADS = {
    "hot": Load("", 8, "hot", "withdraw=2,add=2,balance=1"),
    "several": Load("", 8, "uniform:4", "withdraw=1,add=1,transfer=2,batch=1,balance=1"),
}
# The search without balances gives up in time; what it decides must be right.
SHORT = Budget(seconds_max=2.0)
FEW = 300


def _rounds() -> tuple[int, float]:
    return (max(1, round(NIGHTLY_S / ROUND_S)), ROUND_S) if NIGHTLY_S else (1, 0.2)


def _judged(history: History) -> None:
    """All that can be known of a run is clean; of what is known in part, nothing is broken."""
    said = judge(history)
    assert (said.verdict, said.level) == (Verdict.CLEAN, Level.STRICT_SERIALIZABLE), said
    less = hide(history, Known.VALUES)
    assert judge(less, budget=replace(SHORT)).verdict is not Verdict.BROKEN
    few = hide(cut_at(history, int(np.sort(history.invoked)[:FEW].max())), Known.ANSWERS)
    assert judge(few, budget=replace(SHORT)).verdict is not Verdict.BROKEN


@pytest.mark.slow
@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("lock", SAFE)
def test_a_safe_strategy_is_never_called_broken(lock: str, load: str, tmp_path: Path) -> None:
    rounds, seconds = _rounds()
    for number in range(rounds):
        record = tmp_path / f"{number}.parquet"
        [run] = compare(
            [replace(LOADS[load], lock=lock)],
            rounds=1,
            seconds=seconds,
            warmup_s=0.0,
            seed=number,
            record=record,
            boundaries=True,
        )
        assert (run.verdict, run.findings) == (Verdict.CLEAN, ()), run
        history = read_history(record)
        assert history.calls >= 8  # each client had an answer at least
        assert check_boundaries(history, Budget()).violations == []
        _judged(history)
        record.unlink()


@pytest.mark.slow
def test_the_same_run_without_a_lock_is_called_broken(tmp_path: Path) -> None:
    record = tmp_path / "none.parquet"
    [run] = compare(
        [replace(LOADS["hot"], lock="none")], rounds=1, seconds=0.3, warmup_s=0.0, record=record
    )
    said = judge(read_history(record))
    assert run.verdict is said.verdict is Verdict.BROKEN
    pair = next(each for each in said.violations if each.anomaly == "lost update")
    assert len(pair.calls) == 2


@pytest.mark.slow
@pytest.mark.skipif(not NIGHTLY_S, reason="only at night: WALLETRACE_SECONDS says how long")
@pytest.mark.parametrize("lock", SAFE)
def test_a_safe_strategy_under_locust_is_never_called_broken(lock: str, tmp_path: Path) -> None:
    record = tmp_path / "locust.parquet"
    seconds = max(2, round(NIGHTLY_S))
    run = run_load(lock=lock, users=20, run_time_s=seconds, accounts=4, processes=2, record=record)
    assert (run.verdict, run.findings) == (Verdict.CLEAN, ()), run
    _judged(read_history(record))
