"""Budgets: each is honoured, says what was covered, and never lets what was left out pass for safe.

Coroutines that a search leaves behind are ended: Python warns of one that is not.
"""

import gc
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.explore import count as counting
from engine.explore.client import Parts
from engine.explore.faults import Faults
from engine.explore.plan import Counts
from engine.explore.search import Budget
from engine.explore.world import Setting
from engine.locks.global_lock import GlobalLock
from engine.locks.none import NoLock
from engine.locks.per_user import PerUserLock
from engine.ports import Call
from engine.verdicts import Verdict
from scenarios.catalogue import SCENARIOS
from tests.engine.explore.both_ways import (
    Sometimes,
    adds,
    by_graph,
    by_plan,
    setting_of,
    withdraws,
)

RACE = Setting(SCENARIOS["documented-race"], "one-service", Parts(PerUserLock))
# Some thousands of states: memory is looked at once in `LOOK_EVERY`.
LARGE = setting_of(PerUserLock, *[adds()] * 5)


@contextmanager
def no_coroutine_is_left() -> Iterator[None]:
    """Turns what Python says of abandoned coroutines into failures."""
    gc.collect()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(warning.message) for warning in said] == []


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        (Budget(states_max=5), r"stopped after 5 states, 2 steps deep; 0 interleavings"),
        (Budget(seconds_max=0.0), "stopped out of time after 0 states"),
        (Budget(memory_mb_max=1.0), r"stopped at [0-9,]+ MB of memory after 500 states"),
    ],
)
def test_a_graph_that_is_not_finished_says_where_it_stopped(budget: Budget, says: str) -> None:
    found = by_graph(LARGE, budget=budget)
    assert found.verdict is Verdict.BOUNDED
    assert re.match(says, found.note), found.note
    assert "not all" in found.note
    assert found.witness is None


class RemembersOnItself(Sometimes):
    """Too much memory out of sight for the graph."""

    def begin(self) -> None:
        self.calls = 0

    def careless(self, call: Call) -> bool:
        self.calls += 1
        return False


@pytest.mark.parametrize(
    ("budget", "says"),
    [(Budget(runs_max=3), "3 interleavings, not all"), (Budget(seconds_max=0.0), "not all")],
)
def test_schedules_run_one_by_one_keep_to_their_budget_too(budget: Budget, says: str) -> None:
    found = by_plan(setting_of(RemembersOnItself, adds(), adds()), budget=budget)
    assert found.verdict is Verdict.BOUNDED
    assert says in found.note
    assert "keeps memory outside" in found.note


@pytest.mark.parametrize("counts", Counts)
@pytest.mark.parametrize(
    "budget",
    [
        Budget(runs_max=1, states_max=1),
        Budget(seconds_max=0.0),
        Budget(runs_max=1, memory_mb_max=1.0),
    ],
)
def test_no_way_of_the_plan_takes_a_part_for_the_whole(budget: Budget, counts: Counts) -> None:
    found = by_plan(LARGE, budget=budget, counts=counts)
    assert found.verdict is Verdict.BOUNDED


def test_what_was_lost_within_the_budget_is_broken_and_not_bounded() -> None:
    race = setting_of(NoLock, *[adds()] * 3)
    whole = by_graph(race)
    # All interleavings are equally long, so only the very last states are ends.
    found = by_graph(race, budget=Budget(states_max=whole.states - 1))
    assert found.verdict is whole.verdict is Verdict.BROKEN
    assert 0 < found.interleavings < whole.interleavings
    assert "not all" in found.note


def test_a_search_that_is_too_large_ends_in_time() -> None:
    started = time.monotonic()
    found = by_graph(setting_of(NoLock, *[adds()] * 5), budget=Budget(seconds_max=0.3))
    assert found.verdict is not Verdict.SAFE
    assert "out of time" in found.note or found.verdict is Verdict.BROKEN
    # Far less than the whole would take, with room for a busy machine.
    assert time.monotonic() - started < 20.0


def test_an_exploration_before_does_not_use_up_the_memory_of_the_next() -> None:
    held = [b"x" * 2**20 for _ in range(300)]
    most = counting.memory_mb()
    del held
    gc.collect()
    assert counting.memory_mb() < most - 200


def test_a_search_may_hold_what_the_budget_allows() -> None:
    room = Budget(memory_mb_max=counting.memory_mb() + 500)
    assert by_graph(RACE, budget=room).verdict is Verdict.SAFE


@pytest.mark.parametrize("budget", [Budget(), Budget(states_max=5), Budget(seconds_max=0.0)])
@pytest.mark.parametrize("faults", [Faults(), Faults(cancel=1), Faults(crash=1)], ids=str)
def test_no_coroutine_is_left_behind(faults: Faults, budget: Budget) -> None:
    cached = Setting(SCENARIOS["stale-cache"], "two-processes", Parts(GlobalLock))
    with no_coroutine_is_left():
        by_graph(RACE, faults, budget)
        by_graph(cached, faults, budget)
        by_graph(setting_of(NoLock, adds(), withdraws()), faults, budget)
