"""The witness: fewest faults, then fewest preemptions, of all losing schedules there are."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import product

import pytest

from engine.catalog import controls_on, lock_strategy, strategies_on
from engine.errors import StoreUnavailable
from engine.explore.cells import explore_cell, replay_cell
from engine.explore.client import Parts
from engine.explore.controller import Move, Run, run_schedule
from engine.explore.faults import Faults
from engine.explore.judge import WORST_FIRST, judge
from engine.explore.model import ModelWorld, run_now
from engine.explore.search import Explored
from engine.explore.world import Setting
from engine.history import Receipt
from engine.locks.body import read_apply_write
from engine.locks.none import NoLock
from engine.ports import Call, Runtime, Store
from engine.verdicts import Verdict
from scenarios.catalogue import SCENARIOS
from tests.engine.explore.both_ways import (
    NO_FAULTS,
    Sometimes,
    adds,
    by_graph,
    price,
    setting_of,
    withdraws,
)

pytestmark = pytest.mark.slow

LOCKS = {name: lock_strategy(name) for name in (*strategies_on("sqlite"), *controls_on("sqlite"))}
RUNS_MAX = 2_000


def all_runs(setting: Setting, faults: Faults) -> Iterator[Run]:
    """Every schedule, run for real, depth first."""
    prefix: list[int] = []
    while True:
        choices = iter(prefix)

        def choose(options: Sequence[Move], choices: Iterator[int] = choices) -> int:
            return next(choices, 0)

        run = run_now(run_schedule(ModelWorld(setting), faults, choose))
        yield run
        taken = list(run.taken)
        while taken and taken[-1].chosen == taken[-1].options - 1:
            taken.pop()
        if not taken:
            return
        prefix = [move.chosen for move in taken]
        prefix[-1] += 1


def cheapest(setting: Setting, faults: Faults) -> tuple[int, int] | None:
    """The least (faults, preemptions) of all runs with the worst break; None if nothing breaks."""
    best: tuple[int, int, int] | None = None
    for number, run in enumerate(all_runs(setting, faults)):
        if number == RUNS_MAX:
            pytest.skip("more than brute force can do")
        findings = judge(setting.scenario, run, faulted=faults != setting.scenario.faults)
        if findings:
            worst = min(WORST_FIRST.index(finding.kind) for finding in findings)
            struck = sum("!" in move for move in run.schedule)
            rank = (worst, struck, run.preemptions)
            best = rank if best is None or rank < best else best
    return None if best is None else best[1:]


def proven(found: Explored) -> tuple[int, int] | None:
    """The witness's faults, and the preemptions that its kind of run needs at least.

    It is told in reading order, which may switch between clients more often than that.
    """
    if found.witness is None:
        assert found.preemptions_fewest is None
        return None
    assert found.preemptions_fewest is not None
    return price(found)[0], found.preemptions_fewest


@pytest.mark.parametrize(
    "faults", [NO_FAULTS, Faults(cancel=1), Faults(lost=1), Faults(crash=1)], ids=str
)
@pytest.mark.parametrize("lock", LOCKS)
def test_no_losing_run_of_the_race_is_cheaper_than_the_witness(lock: str, faults: Faults) -> None:
    for topology in ("one-service", "two-processes"):
        setting = Setting(SCENARIOS["documented-race"], topology, Parts(LOCKS[lock]))
        found = by_graph(setting, faults)
        least = cheapest(setting, faults)
        assert (least is None) == (found.verdict is Verdict.SAFE)
        assert proven(found) == least


@pytest.mark.slow
@pytest.mark.parametrize(("name", "lock"), list(product(SCENARIOS, LOCKS)))
def test_no_losing_run_of_any_scenario_is_cheaper_than_the_witness(name: str, lock: str) -> None:
    setting = Setting(SCENARIOS[name], "service-per-request", Parts(LOCKS[lock]))
    least = cheapest(setting, setting.scenario.faults)
    found = by_graph(setting, setting.scenario.faults)
    assert (least is None) == (found.witness is None)
    assert proven(found) == least


class BreaksAfterThree(Sometimes):
    """Loses only if the third client came before the others, who are cut off."""

    def begin(self) -> None:
        self.seen = self.runtime.cell("seen", str)

    def careless(self, call: object) -> bool:
        self.seen.value += str(getattr(call, "id", ""))[0]
        return self.seen.value in ("CA", "CAB")


def test_a_rare_order_is_reached_with_the_fewest_preemptions() -> None:
    setting = setting_of(BreaksAfterThree, withdraws(), adds(), adds("1.00"))
    assert proven(by_graph(setting)) == cheapest(setting, NO_FAULTS)


class PaysAgainIfNobodyAnswered:
    """Loses by one fault alone, and also without one if it is cut off."""

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        try:
            return await read_apply_write(call, store)
        except StoreUnavailable:
            return await read_apply_write(call, store)


def test_a_witness_would_rather_have_a_preemption_than_a_fault() -> None:
    setting = setting_of(PaysAgainIfNobodyAnswered, adds(), adds("1.00"))
    alone = setting_of(PaysAgainIfNobodyAnswered, adds())
    assert proven(by_graph(alone, Faults(lost=1))) == (1, 0)
    assert proven(by_graph(setting, Faults(lost=1))) == (0, 1)


def test_the_documented_race_is_told_in_the_order_of_the_guide() -> None:
    setting = Setting(SCENARIOS["documented-race"], "one-service", Parts(NoLock))
    found = by_graph(setting)
    assert found.witness is not None
    told = [(event.client, event.kind) for event in found.witness.events]
    steps = [step for step in told if step[1] != "invoke"]
    assert steps == [("A", "read"), ("B", "read"), ("A", "write"), ("B", "write")]
    assert (found.losing, found.interleavings) == (12, 20)


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize(
    ("name", "lock", "topology", "faults"),
    [
        ("documented-race", "none", "one-service", NO_FAULTS),
        ("documented-race", "global", "two-processes", NO_FAULTS),
        ("crossing-transfers", "per-user-unsorted", "one-service", NO_FAULTS),
        ("documented-race", "none", "one-service", Faults(cancel=1)),
    ],
)
def test_a_witness_loses_again_wherever_it_is_replayed(
    name: str, lock: str, topology: str, faults: Faults, store: str
) -> None:
    cell = asyncio.run(explore_cell(SCENARIOS[name], lock, topology, "memory", faults=faults))
    assert cell.witness is not None
    again = asyncio.run(
        replay_cell(SCENARIOS[name], lock, topology, store, cell.witness.schedule, faults=faults)
    )
    assert again.outcome == cell.witness.outcome
    assert again.preemptions == cell.witness.preemptions
