"""The fault axis of the verdict matrix: what is explored, what is declared, what people see."""

import asyncio
import dataclasses
import io
import json

import pytest
from rich.console import Console

from engine.explore.faults import FAULTS, Faults
from engine.results import Cell
from engine.verdicts import EXIT_OK, EXIT_USAGE, Verdict
from reports.fault_tables import breaking_words
from reports.found import Found
from reports.junit import junit_xml
from reports.terminal import next_step, print_matrix
from scenarios import cli, matrix
from scenarios.catalogue import SCENARIOS

ONE = ["compare", "--quick", "--scenario", "documented-race", "--topology", "one-service"]


def compared(scenario: str, lock: str, *faults: str, quick: bool = True) -> list[Cell]:
    plan = matrix.Plan([SCENARIOS[scenario]], [lock], ["one-service"], faults=faults)
    return asyncio.run(matrix.compare(plan, quick=quick))


@pytest.fixture(scope="module")
def each() -> list[Cell]:
    return compared("double-spend", "db-row", "each")


def test_each_is_no_fault_and_one_of_every_kind_that_could_be_noticed() -> None:
    plain, cached = SCENARIOS["documented-race"], SCENARIOS["stale-cache"]
    every = [Faults(), *(Faults(**{name: 1}) for name in FAULTS)]
    assert matrix.budgets(["each"], cached) == every
    assert matrix.budgets(["each"], plain) == [f for f in every if not f.cache]
    assert matrix.budgets(["cache=1", "each", "none"], plain)[0] == Faults(cache=1)
    assert matrix.budgets([], cached) == [cached.faults]


def test_what_a_scenario_declares_holds_under_every_fault(each: list[Cell]) -> None:
    assert [cell.faults for cell in each][:2] == ["", "cancel=1"]
    assert {cell.expected for cell in each} == {Verdict.SAFE}
    assert matrix.exit_of(each) == 0
    wrong = dataclasses.replace(each[-1], verdict=Verdict.BROKEN)
    assert matrix.exit_of([*each, wrong]) == 1


@pytest.mark.slow
def test_a_witness_with_a_fault_loses_on_real_sqlite_too() -> None:
    (cell,) = compared("crossing-transfers", "none", "lost=1")
    assert matrix.CONFIRMED in cell.note
    model, live = compared("documented-race", "per-user", "busy=1", quick=False)
    assert (model.store, live.store) == ("memory", "sqlite")
    assert model.outcomes == live.outcomes


def test_several_budgets_are_summed_up_on_one_screen(each: list[Cell]) -> None:
    cells = [
        dataclasses.replace(cell, scenario=f"story-{number}", topology=topology)
        for topology in ("one-service", "service-per-request", "two-processes")
        for number in range(10)
        for cell in each
    ]
    surprise = dataclasses.replace(cells[0], verdict=Verdict.BROKEN)
    text = io.StringIO()
    print_matrix(Console(file=text, width=80), [surprise, *cells[1:]])
    shown = text.getvalue()
    assert shown.startswith("The marks count scenarios: ")
    assert "no fault ✗ 1 of 10 !" in shown
    assert shown.count("busy=1   ✓ 10") == 3
    assert len(shown.splitlines()) <= 40
    assert "--faults none" in shown


def cell_of(cells: list[Cell], scenario: str, lock: str, verdict: Verdict) -> list[Cell]:
    return [
        dataclasses.replace(
            cell, scenario=scenario, lock=lock, topology=topology, verdict=verdict, expected=verdict
        )
        for cell in cells
        for topology in ("one-service", "two-processes")
    ]


def test_what_breaks_whatever_the_lock_is_named_below_the_marks(each: list[Cell]) -> None:
    safe, broken = Verdict.SAFE, Verdict.BROKEN
    cells = [
        *cell_of(each, "race", "none", broken),
        *cell_of(each, "race", "db-row", safe),
        *cell_of(each, "no-key", "none", broken),
        *cell_of(each, "no-key", "db-row", broken),
    ]
    for lock in ("none", "db-row"):
        for cell in cell_of(each, "stale", lock, safe):
            found = broken if cell.topology == "two-processes" and cell.faults else safe
            cells.append(dataclasses.replace(cell, verdict=found, expected=found))
    every = ", ".join(cell.faults for cell in each[1:-1])
    stale = f"stale (under two-processes, with {every} and {each[-1].faults})"
    assert breaking_words(cells) == f"Broken whatever the lock: no-key, {stale}."
    alone = [cell for cell in cells if cell.lock == "db-row" and cell.scenario != "stale"]
    assert breaking_words(alone) == "Broken: no-key."
    assert breaking_words(cell_of(each, "race", "db-row", safe)) == ""
    text = io.StringIO()
    print_matrix(Console(file=text, width=200), cells)
    assert "Apart from what breaks whatever the lock: db-row holds under every" in text.getvalue()


def test_one_budget_is_shown_scenario_by_scenario_as_before() -> None:
    cells = compared("double-spend", "per-user", "busy=1")
    text = io.StringIO()
    print_matrix(Console(file=text, width=80), cells)
    assert "1 double-spend\n" in text.getvalue()
    assert "--faults" not in next_step(Found(tuple(compared("double-spend", "none"))))


def test_each_budget_is_a_test_case_of_its_own_name(each: list[Cell]) -> None:
    names = [line for line in junit_xml(each).split("<") if line.startswith("testcase ")]
    assert len({name.partition('time="')[0] for name in names}) == len(each)


def test_the_command_line_takes_budgets_and_names_those_it_knows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = [*ONE, "--lock", "per-user", "--faults", "sweep=1", "--faults", "busy=1", "--json"]
    assert cli.run(asked) == EXIT_OK
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [cell["faults"] for cell in cells] == ["sweep=1", "busy=1"]
    assert cli.run([*ONE, "--faults", "frost=1"]) == EXIT_USAGE
    told = capsys.readouterr().err
    assert all(f"  {name}" in told for name in FAULTS)
