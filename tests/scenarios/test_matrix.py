"""The verdict matrix as users run it, and losing schedules that were found once, kept for ever."""

import asyncio
import dataclasses
from pathlib import Path

import pytest

from engine.explore.cells import replay_cell
from engine.explore.scenario import TOPOLOGIES, Faults
from engine.explore.search import Budget
from engine.results import Cell
from engine.verdicts import Verdict
from scenarios import matrix, saved
from scenarios.catalogue import SCENARIOS

pytestmark = pytest.mark.slow

KEPT = sorted((Path(__file__).parent.parent / "schedules").glob("*.json"))


@pytest.fixture(scope="module")
def cells() -> list[Cell]:
    return asyncio.run(matrix.compare(matrix.Plan(), quick=True))


def test_every_cell_is_as_its_scenario_declares(cells: list[Cell]) -> None:
    assert len(cells) == len(SCENARIOS) * len(matrix.LOCKS) * len(TOPOLOGIES)
    assert [cell for cell in cells if not cell.as_expected] == []
    assert matrix.exit_of(cells) == 0


def test_a_lease_without_fencing_is_declared_right_until_time_passes_it_by() -> None:
    plan = matrix.Plan(
        scenarios=[SCENARIOS["documented-race"]],
        locks=["lease", "fenced-lease", "db-row"],
        topologies=["two-processes"],
        faults=["none", "expire=1"],
    )
    cells = asyncio.run(matrix.compare(plan, quick=True))
    broken = [(cell.lock, cell.faults) for cell in cells if cell.verdict is Verdict.BROKEN]
    assert broken == [("lease", "expire=1")]
    assert all(cell.as_expected for cell in cells)


def test_a_conflict_that_is_reported_is_no_break_and_money_is_judged_all_the_same() -> None:
    plan = matrix.Plan(
        scenarios=[SCENARIOS["documented-race"]], locks=["nowait"], topologies=["two-processes"]
    )
    [cell] = asyncio.run(matrix.compare(plan, quick=True))
    assert cell.verdict is Verdict.SAFE
    # Both happened, or the one that was not told LockTaken.
    assert set(cell.outcomes) == {"alice=500.00", "alice=800.00", "alice=1300.00"}


def test_every_broken_cell_has_a_witness_that_loses_on_real_sqlite(cells: list[Cell]) -> None:
    broken = [cell for cell in cells if cell.verdict is Verdict.BROKEN]
    assert broken
    assert all(matrix.CONFIRMED in cell.note for cell in broken)


def test_each_witness_is_as_short_as_it_can_be(cells: list[Cell]) -> None:
    race = [c for c in cells if c.scenario == "documented-race" and c.verdict is Verdict.BROKEN]
    assert {len(cell.witness.events) for cell in race if cell.witness} == {6, 8}


def test_safe_and_broken_where_the_other_was_expected_both_fail_the_run(cells: list[Cell]) -> None:
    safe = next(cell for cell in cells if cell.verdict is Verdict.SAFE)
    assert matrix.exit_of([dataclasses.replace(safe, expected=Verdict.BROKEN)]) == 1
    assert matrix.exit_of([dataclasses.replace(safe, verdict=Verdict.BROKEN)]) == 1
    assert matrix.exit_of([dataclasses.replace(safe, verdict=Verdict.BOUNDED)]) == 3


def test_the_whole_comparison_explores_real_sqlite_too() -> None:
    plan = matrix.Plan(scenarios=[SCENARIOS["double-spend"]], locks=["none", "per-user"])
    cells = asyncio.run(matrix.compare(plan, quick=False))
    assert [cell.store for cell in cells[:2]] == ["memory", "sqlite"]
    assert all(cell.as_expected for cell in cells)
    assert cells[0].outcomes == cells[1].outcomes


def test_a_budget_that_is_too_small_is_undecided() -> None:
    plan = matrix.Plan(
        scenarios=[SCENARIOS["check-then-withdraw"]],
        locks=["per-user"],
        topologies=["one-service"],
        budget=Budget(runs_max=10, states_max=10),
    )
    cells = asyncio.run(matrix.compare(plan, quick=True))
    assert matrix.exit_of(cells) == 3


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_losing_schedule_found_once_still_ends_the_same(path: Path, store: str) -> None:
    kept = saved.load(path)
    witness = asyncio.run(
        replay_cell(
            SCENARIOS[kept.scenario],
            kept.lock,
            kept.topology,
            store,
            kept.schedule,
            faults=Faults.parse(kept.faults),
        )
    )
    assert witness.outcome == kept.outcome, f"walletrace replay {path} --store {store}"


def test_there_are_kept_schedules() -> None:
    assert len(KEPT) >= 8
