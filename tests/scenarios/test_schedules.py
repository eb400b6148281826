"""Histories and schedules: deterministic, repeatable, told in another order without a change."""

import asyncio
import random
from dataclasses import replace

import pytest
from hypothesis import given

from engine.catalog import strategies_on
from engine.explore.cells import explore_cell
from engine.explore.controller import Move, Run, follow
from engine.explore.reading_order import Canonical
from engine.explore.scenario import TOPOLOGIES, Faults
from engine.history import CallRecord
from engine.results import Cell
from engine.verdicts import Verdict
from scenarios.catalogue import SCENARIOS
from scenarios.concurrent_program import CLIENT_NAMES, ConcurrentProgram
from scenarios.expectations import needs_exclusion
from scenarios.program_strategies import by_luck, luck, programs
from scenarios.programs import player

pytestmark = pytest.mark.slow

LOCKS = strategies_on("sqlite")
# The order told may be one to discard where what decides about a move is no step of its own: who
# writes for the others, what a cache trusts, or that anybody has moved, which ends a back-off.
DISCARDED = ("single-writer", "version-cas", "serializable")
HOLDS = [
    (lock, topology)
    for lock in LOCKS
    for topology in TOPOLOGIES
    if needs_exclusion(lock, topology) is Verdict.SAFE
]


def lucky_run(program: ConcurrentProgram, lock: str, seed: int) -> Run:
    with player("memory") as play:
        return play(program, lock, by_luck(random.Random(seed)))


def repeated(program: ConcurrentProgram, lock: str, schedule: tuple[str, ...]) -> Run:
    with player("memory") as play:
        return play(program, lock, follow(schedule))


def answers(run: Run) -> dict[str, list[CallRecord]]:
    """What each client was told, in its own order, without the times."""
    told: dict[str, list[CallRecord]] = {}
    for call in run.history:
        timeless = replace(call, invoked_ns=0, completed_ns=call.completed_ns and 0)
        told.setdefault(call.client, []).append(timeless)
    return told


def explored(scenario: str, lock: str, topology: str, faults: Faults) -> Cell:
    return asyncio.run(explore_cell(SCENARIOS[scenario], lock, topology, "memory", faults=faults))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_schedule_repeats_its_run_exactly(lock: str) -> None:
    @given(programs(list(TOPOLOGIES)), luck)
    def repeats(program: ConcurrentProgram, seed: int) -> None:
        first, second = lucky_run(program, lock, seed), lucky_run(program, lock, seed)
        again = repeated(program, lock, first.schedule)
        for run in (second, again):
            assert run.schedule == first.schedule
            assert run.history == first.history
            assert run.ending == first.ending
            assert (run.deadlocked, run.faults) == (first.deadlocked, first.faults)

    repeats()


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock not in DISCARDED])
def test_the_canonical_order_of_a_run_can_be_taken_and_ends_the_same_way(lock: str) -> None:
    plain = programs(list(TOPOLOGIES)).map(lambda program: replace(program, cached=False))

    @given(plain, luck)
    def ends_alike(program: ConcurrentProgram, seed: int) -> None:
        run = lucky_run(program, lock, seed)
        told = Canonical(CLIENT_NAMES).best([run.taken])
        assert sorted(told) == sorted(run.schedule)
        assert moves_by_lane(told) == moves_by_lane(run.schedule)
        retold = repeated(program, lock, told)
        assert retold.ending.rows == run.ending.rows
        assert sorted(retold.ending.log) == sorted(run.ending.log)
        assert answers(retold) == answers(run)

    ends_alike()


def moves_by_lane(schedule: tuple[str, ...]) -> dict[str, list[str]]:
    moves: dict[str, list[str]] = {}
    for move in schedule:
        moves.setdefault(Move.parse(move).lane, []).append(move)
    return moves


@pytest.mark.parametrize("faults", [Faults(), Faults(cancel=1)], ids=["no faults", "cancel=1"])
def test_exploring_twice_fills_the_same_cell(faults: Faults) -> None:
    first, second = (explored("documented-race", "none", "one-service", faults) for _ in range(2))
    first, second = (replace(cell, seconds=0.0, memory_mb=0.0) for cell in (first, second))
    assert first == second


@pytest.mark.parametrize("scenario", ["documented-race", "crossing-transfers"])
@pytest.mark.parametrize(("lock", "topology"), HOLDS)
def test_no_cancellation_at_any_step_loses_money(scenario: str, lock: str, topology: str) -> None:
    cell = explored(scenario, lock, topology, Faults(cancel=1))
    assert (cell.verdict, cell.losing) == (Verdict.SAFE, 0), cell.witness
    assert cell.interleavings > explored(scenario, lock, topology, Faults()).interleavings
