"""Which way a setting is explored, and that every way comes to the same verdict."""

import pytest

from engine.catalog import controls_on, lock_strategy, strategies_on
from engine.explore import plan
from engine.explore.client import Parts
from engine.explore.plan import Counts
from engine.explore.search import Budget
from engine.explore.world import Setting
from engine.locks.none import NoLock
from engine.locks.per_user import PerUserLock
from engine.ports import Call
from engine.verdicts import Verdict
from scenarios.catalogue import SCENARIOS
from tests.engine.explore.both_ways import Sometimes, adds, by_plan, setting_of, withdraws

LOCKS = {name: lock_strategy(name) for name in (*strategies_on("sqlite"), *controls_on("sqlite"))}


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("scenario", ["documented-race", "crossing-transfers", "stale-cache"])
def test_a_verdict_does_not_depend_on_what_is_counted(scenario: str, lock: str) -> None:
    setting = Setting(SCENARIOS[scenario], "two-processes", Parts(LOCKS[lock]))
    counted = by_plan(setting)
    judged = by_plan(setting, counts=Counts.NONE)
    assert judged.verdict is counted.verdict
    if judged.verdict is Verdict.BROKEN:  # the first losing run is enough
        assert set(judged.outcomes) <= set(counted.outcomes)
    else:
        assert set(judged.outcomes) == set(counted.outcomes)


def test_exact_counts_come_from_the_graph() -> None:
    found = by_plan(setting_of(PerUserLock, adds(), withdraws()))
    assert (found.method, found.verdict) == ("state by state", Verdict.SAFE)
    assert found.note == f"all {found.interleavings:,} interleavings, {found.states:,} states"


def test_a_verdict_only_comes_from_one_run_a_trace() -> None:
    apart = setting_of(PerUserLock, adds(), adds("1.00", "bob"))
    found = by_plan(apart, counts=Counts.NONE)
    assert (found.method, found.interleavings) == ("trace by trace", 1)
    assert found.note == "all 1 traces"


def test_many_traces_are_left_to_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "TRACES_MAX", 3)
    found = by_plan(setting_of(PerUserLock, *[adds()] * 3), counts=Counts.NONE)
    assert (found.method, found.verdict) == ("state by state", Verdict.SAFE)


class CountsOnItself(Sometimes):
    """Memory that no state can hold."""

    def begin(self) -> None:
        self.calls = 0

    def careless(self, call: Call) -> bool:
        self.calls += 1
        return False


def test_where_states_cannot_be_compared_every_schedule_is_run_and_the_note_says_why() -> None:
    found = by_plan(setting_of(CountsOnItself, adds(), adds()))
    assert (found.method, found.verdict) == ("schedule by schedule", Verdict.SAFE)
    assert "keeps memory outside Runtime.cell" in found.note


def test_what_was_not_explored_is_tried_by_luck() -> None:
    race = setting_of(NoLock, *[adds()] * 4)
    found = by_plan(race, budget=Budget(states_max=20))
    assert found.verdict is Verdict.BROKEN
    assert (found.method, found.states) == ("by luck", 20)
    assert "beside it" in found.note
    assert found.witness is not None


def test_luck_that_finds_nothing_leaves_the_verdict_bounded() -> None:
    locked = setting_of(PerUserLock, *[adds()] * 4)
    found = by_plan(locked, budget=Budget(states_max=20, runs_max=30))
    assert found.verdict is Verdict.BOUNDED
    assert "beside it 30 runs by PCT" in found.note
