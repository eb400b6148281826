"""Samples: the same seed makes the same runs, faults strike, and a sample is never safe."""

import asyncio
from dataclasses import replace

import pytest

from engine.catalog import lock_strategy
from engine.errors import UsageError
from engine.explore.cells import worlds
from engine.explore.client import Client, Parts
from engine.explore.faults import Faults
from engine.explore.harvest import Harvest
from engine.explore.sampling import sample
from engine.explore.scenario import Program, Scenario
from engine.explore.world import Setting
from engine.verdicts import Verdict
from scenarios.catalogue import SCENARIOS

METHODS = pytest.mark.parametrize("depth", [None, 1, 3])


def sampled(
    scenario: Scenario,
    lock: str,
    *,
    depth: int | None = None,
    seed: int = 1,
    runs_max: int = 50,
    seconds_max: float = 60.0,
    faults: Faults | None = None,
    store: str = "memory",
) -> Harvest:
    setting = Setting(scenario, "one-service", Parts(lock_strategy(lock)))

    async def search() -> Harvest:
        async with worlds(setting, store) as open_world:
            return await sample(
                setting,
                open_world,
                faults=faults or scenario.faults,
                runs_max=runs_max,
                seconds_max=seconds_max,
                seed=seed,
                depth=depth,
            )

    return asyncio.run(search())


RACE = SCENARIOS["documented-race"]


@pytest.mark.parametrize(
    ("depth", "says"),
    [(None, "50 random walks from seed 1"), (3, "50 runs by PCT of depth 3 from seed 1")],
)
def test_a_sample_says_exactly_what_it_covered(depth: int | None, says: str) -> None:
    assert sampled(RACE, "per-user", depth=depth).covered == says


@METHODS
def test_a_sample_that_lost_nothing_is_bounded_and_never_safe(depth: int | None) -> None:
    assert sampled(RACE, "per-user", depth=depth).verdict is Verdict.BOUNDED


@pytest.mark.parametrize("depth", [None, 2, 3])
def test_the_race_is_hit_on_either_store(depth: int | None) -> None:
    for store in ("memory", "sqlite"):
        assert sampled(RACE, "none", depth=depth, store=store).verdict is Verdict.BROKEN


@METHODS
def test_the_same_seed_makes_the_same_runs(depth: int | None) -> None:
    first, second = (sampled(RACE, "none", depth=depth, seed=7) for _ in range(2))
    assert first == second
    assert sampled(RACE, "none", depth=depth, seed=8).best != first.best or depth == 1


@METHODS
def test_faults_strike_now_and_then(depth: int | None) -> None:
    struck = sampled(RACE, "per-user", depth=depth, faults=Faults(cancel=1))
    assert "alice=800.00" in struck.outcomes
    assert len(struck.outcomes) > 1


def test_depth_one_never_goes_from_one_client_to_another_before_it_has_to() -> None:
    assert sampled(RACE, "none", depth=1).verdict is Verdict.BOUNDED


async def three_times(client: Client) -> None:
    for _ in range(3):
        await client.withdraw("alice", "1.00")


def test_pct_hits_a_bug_of_depth_two_more_often_than_its_guarantee() -> None:
    """Two clients, at most 18 moves: at least one run in 36."""
    both = tuple(Program(name, three_times) for name in "AB")
    found = sampled(replace(RACE, programs=both, correct=None), "none", depth=2, runs_max=360)
    assert found.losing >= 10


def test_a_sample_ends_with_its_budget() -> None:
    assert sampled(RACE, "none", runs_max=3).runs == 3
    assert sampled(RACE, "none", seconds_max=-1.0).runs == 0


def test_a_depth_below_one_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no PCT depth 0"):
        sampled(RACE, "none", depth=0)
