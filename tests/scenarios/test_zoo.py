"""The zoo tests the tester: what is wrong is found, what is right is proven, and for a reason."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.catalog import lock_strategy
from engine.explore.cells import worlds
from engine.explore.search import Budget, Explored, explore, replay
from engine.explore.world import Setting
from engine.results import Witness
from engine.verdicts import Verdict
from scenarios import zoo_command
from scenarios.cli import run
from scenarios.zoo import hall
from scenarios.zoo.exhibit import Exhibit
from scenarios.zoo.hall import EXHIBITS, Inspected, inspect

HAZARDS = set(range(1, 18))
STEPS_MAX = 15


def inspected(name: str) -> Inspected:
    return inspect([EXHIBITS[name]])[0]


def on_sqlite(exhibit: Exhibit, witness: Witness) -> Witness:
    async def act() -> Witness:
        async with worlds(exhibit.wrong, "sqlite") as open_world:
            faults = exhibit.wrong.scenario.faults
            return await replay(exhibit.wrong, open_world, witness.schedule, faults)

    return asyncio.run(act())


def every_schedule(setting: Setting) -> Explored:
    async def act() -> Explored:
        async with worlds(setting, "memory") as open_world:
            faults = setting.scenario.faults
            return await explore(setting, open_world, faults=faults, budget=Budget())

    return asyncio.run(act())


def swapped(exhibit: Exhibit) -> Exhibit:
    return replace(exhibit, wrong=exhibit.right, right=exhibit.wrong)


@pytest.mark.parametrize("name", EXHIBITS)
def test_the_wrong_one_is_found_and_the_right_one_beside_it_is_proven_safe(name: str) -> None:
    one = inspected(name)
    assert one.found, one.wrong
    assert one.right.verdict is Verdict.SAFE, one.right
    # A variant that refuses everything would be safe, too, and no cure.
    assert "no request ever succeeded" not in one.right.note
    assert one.wrong.witness is not None
    assert len(one.wrong.witness.schedule) <= STEPS_MAX
    # What the model found happens on a real database, step by step.
    assert on_sqlite(one.exhibit, one.wrong.witness).outcome == one.wrong.witness.outcome


@pytest.mark.slow
@pytest.mark.parametrize("name", EXHIBITS)
def test_the_state_graph_counts_what_running_every_schedule_counts(name: str) -> None:
    one = inspected(name)
    for cell, setting in ((one.wrong, one.exhibit.wrong), (one.right, one.exhibit.right)):
        runs = every_schedule(setting)
        assert (cell.verdict, cell.kinds) == (runs.verdict, runs.kinds)
        assert (cell.interleavings, cell.losing) == (runs.interleavings, runs.losing)
        assert cell.outcomes == runs.outcomes


def test_every_hazard_that_real_systems_had_is_shown_and_says_where_it_was_read() -> None:
    assert {exhibit.number for exhibit in EXHIBITS.values() if exhibit.source} == HAZARDS
    assert sum(not exhibit.number for exhibit in EXHIBITS.values()) >= 10


def test_the_guide_to_the_zoo_shows_every_exhibit() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "zoo.md").read_text()
    assert [e.name for e in EXHIBITS.values() if f"`{e.name}` | {e.hazard} |" not in guide] == []


def test_no_two_exhibits_have_one_name() -> None:
    assert len(EXHIBITS) == sum(len(family.EXHIBITS) for family in hall.FAMILIES)


def test_a_test_that_counts_answered_requests_sees_nothing_wrong_with_a_race() -> None:
    one = inspected("weak-oracle")
    assert one.all_ok
    assert one.wrong.verdict is Verdict.BROKEN
    assert not inspected("lock-kept-when-refused").all_ok


def test_a_break_of_another_kind_than_the_hazards_is_a_miss() -> None:
    exhibit = EXHIBITS["read-check-write"]
    other = replace(exhibit, breaks=EXHIBITS["opposite-transfers"].breaks)
    assert not inspect([other])[0].found


def test_the_command_shows_one_exhibit_with_its_timeline(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["zoo", "--only", "opposite-transfers"]) == 0
    shown = capsys.readouterr().out
    assert "superdesigndev/treg#460" in shown
    assert "deadlock: A waits for bob, held by B" in shown
    assert "all 12 interleavings" in shown


def test_one_exhibit_names_the_strategy_so_that_it_can_be_explored_elsewhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["zoo", "--only", "read-check-write"]) == 0
    shown = capsys.readouterr().out
    assert "✗ broken  read-check-write with engine.locks.none:NoLock, " in shown
    (command,) = [line for line in shown.splitlines() if line.startswith("Next: walletrace ")]
    assert run([*command.split()[2:], "--expect", "broken"]) == 0


@pytest.mark.parametrize("name", EXHIBITS)
def test_what_every_exhibit_leads_to_exists(name: str) -> None:
    words = zoo_command._next(EXHIBITS[name]).split()
    if "--lock" in words:
        assert (
            lock_strategy(words[words.index("--lock") + 1]) is EXHIBITS[name].wrong.parts.make_lock
        )
    else:
        assert words[-1] == "docs/zoo.md"


def test_the_command_speaks_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["zoo", "--only", "float-money", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["found"], told["of"], told["misses"], told["false_alarms"]) == (1, 1, [], [])
    (exhibit,) = told["exhibits"]
    assert (exhibit["wrong"]["verdict"], exhibit["right"]["verdict"]) == ("broken", "safe")
    assert exhibit["steps"] == len(exhibit["wrong"]["witness"]["schedule"])


def test_an_exhibit_that_does_not_exist_is_one_clear_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["zoo", "--only", "unicorn"]) == 2
    assert "no exhibit 'unicorn'; known: read-check-write" in capsys.readouterr().err


def test_a_miss_and_a_false_alarm_are_named_and_exit_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("float-money", "locked-again")
    halls = {name: EXHIBITS[name] for name in names} | {
        "float-money": swapped(EXHIBITS["float-money"])
    }
    monkeypatch.setattr(zoo_command, "EXHIBITS", halls)
    assert run(["zoo", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["misses"], told["false_alarms"]) == (["float-money"], ["float-money"])
    assert run(["zoo"]) == 1
    shown = capsys.readouterr().out
    assert "found 1 of 2, false alarms on the right ones: 1" in shown
    assert "walletrace zoo --only float-money" in shown


def test_what_could_not_be_explored_whole_is_undecided_and_exits_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(zoo_command, "BUDGET", Budget(runs_max=5, states_max=5))
    monkeypatch.setattr(zoo_command, "EXHIBITS", {"weak-oracle": EXHIBITS["weak-oracle"]})
    assert run(["zoo", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["undecided"] == ["weak-oracle"]
