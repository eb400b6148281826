"""The evidence: shortest schedule, told in the guide's order, replayed on either store."""

import asyncio

import pytest

from engine.errors import UsageError
from engine.explore.cells import explore_cell, replay_cell
from engine.explore.scenario import Faults
from engine.explore.search import Budget
from engine.results import Cell
from engine.verdicts import Verdict
from scenarios.catalogue import SCENARIOS


def race(lock: str = "none", **options: object) -> Cell:
    return asyncio.run(
        explore_cell(SCENARIOS["documented-race"], lock, "one-service", "memory", **options)  # type: ignore[arg-type]
    )


def test_the_race_is_told_exactly_as_the_guide_tells_it() -> None:
    cell = race()
    assert cell.witness is not None
    told = [e.client + " " + e.text for e in cell.witness.events if e.kind in ("read", "write")]
    assert told == [
        "A reads alice 1000.00",
        "B reads alice 1000.00",
        "A writes alice 500.00",
        "B writes alice 1300.00",
    ]
    assert [e.balances["alice"] for e in cell.witness.events][-2:] == [500_00, 1300_00]
    assert [e.wrong for e in cell.witness.events] == [False] * 5 + [True]
    assert cell.witness.correct == {"alice": 800_00}
    assert [f.cents for f in cell.witness.findings] == [500_00]
    assert "A's withdrawal of 500.00 is lost" in cell.witness.explanation


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("name", ["documented-race", "crossing-transfers", "stale-cache"])
def test_a_schedule_found_in_the_model_ends_the_same_on_either_store(name: str, store: str) -> None:
    scenario = SCENARIOS[name]
    cell = asyncio.run(explore_cell(scenario, "none", "two-processes", "memory"))
    assert cell.witness is not None
    again = asyncio.run(
        replay_cell(
            scenario,
            "none",
            "two-processes",
            store,
            cell.witness.schedule,
            faults=scenario.faults,
        )
    )
    assert again == cell.witness


def test_a_schedule_of_other_code_is_refused_with_the_step_that_does_not_fit() -> None:
    with pytest.raises(UsageError, match="step 2 of the schedule, Z, cannot be taken"):
        asyncio.run(
            replay_cell(
                SCENARIOS["documented-race"],
                "none",
                "one-service",
                "memory",
                ("A", "Z"),
                faults=Faults(),
            )
        )


def test_a_search_that_was_cut_short_is_bounded_and_never_safe() -> None:
    cut = race("per-user", budget=Budget(runs_max=5, states_max=5))
    assert cut.verdict is Verdict.BOUNDED
    assert cut.note.startswith("stopped after 5 states, ")
    assert "beside it 5 runs by PCT" in cut.note
    assert race("per-user", budget=Budget(seconds_max=0.0)).verdict is Verdict.BOUNDED


def test_exploring_twice_finds_the_same_to_the_letter() -> None:
    first, second = race(), race()
    assert (first.outcomes, first.witness) == (second.outcomes, second.witness)


def test_a_users_strategy_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="is no lock strategy"):
        race("builtins:id")
    with pytest.raises(UsageError, match="known: none, global, per-user, db-row"):
        race("gloabl")
