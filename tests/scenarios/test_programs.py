"""Random concurrent programs: lock strategies that should hold do, `none` is caught and shrunk."""

import random
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import Phase, find, given, note, settings
from hypothesis import strategies as st

from engine.catalog import strategies_on
from engine.errors import UsageError
from engine.explore.controller import Run, follow
from engine.explore.plan import Counts
from engine.explore.scenario import TOPOLOGIES
from engine.history import Outcome
from engine.results import ProgramsResult
from engine.verdicts import Verdict
from scenarios.concurrent_program import ConcurrentProgram
from scenarios.program_strategies import by_luck, luck, programs, small_programs, topologies_for
from scenarios.programs import (
    SCHEDULES_TO_SHRINK,
    Play,
    explored_program,
    losing_run,
    player,
    run_programs,
)

SAFE = [name for name in strategies_on("sqlite") if name != "none"]
TWO_OPERATIONS = re.compile(r"A: withdraw 0\.01 from (\w+) \| B: withdraw 0\.01 from \1")


@pytest.fixture(scope="module")
def model() -> Iterator[Play]:
    with player("memory") as play:
        yield play


@pytest.fixture(scope="module")
def sqlite() -> Iterator[Play]:
    with player("sqlite") as play:
        yield play


def tell(program: ConcurrentProgram, lock: str, run: Run) -> None:
    """All of it, for a test that fails."""
    note(f"program: {program}\nsetting: {program.setting_in_words()}; lock {lock}")
    note(f"schedule: {' '.join(run.schedule)}")


def outcome(run: Run) -> tuple[object, ...]:
    """All that two stores must agree on; they list the same log in different orders."""
    return (
        run.schedule,
        run.deadlocked,
        run.awaited,
        run.faults,
        run.history,
        run.ending.rows,
        sorted(run.ending.log),
        run.ending.leaked,
    )


@pytest.mark.parametrize("lock", SAFE)
def test_a_safe_lock_strategy_keeps_every_invariant(lock: str, model: Play) -> None:
    @given(programs(topologies_for(lock)), luck)
    def holds(program: ConcurrentProgram, seed: int) -> None:
        lost = losing_run(model, lock, program, seed, schedules=SCHEDULES_TO_SHRINK)
        if lost is not None:
            tell(program, lock, lost[0])
        assert lost is None

    holds()


@pytest.mark.parametrize("lock", strategies_on("sqlite"))
def test_every_program_ends_on_sqlite_as_it_does_in_the_model(
    lock: str, model: Play, sqlite: Play
) -> None:
    @settings(max_examples=30)
    @given(programs(list(TOPOLOGIES)), luck)
    def agree(program: ConcurrentProgram, seed: int) -> None:
        expected = model(program, lock, by_luck(random.Random(seed)))
        tell(program, lock, expected)
        assert outcome(sqlite(program, lock, follow(expected.schedule))) == outcome(expected)

    agree()


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_no_lock_is_caught_and_shrunk_to_the_two_operation_race(store: str) -> None:
    found = run_programs("none", store, examples=150, seed=1)
    assert (found.verdict, found.expected) == (Verdict.BROKEN, Verdict.BROKEN)
    assert TWO_OPERATIONS.fullmatch(found.smallest)
    assert 1 < found.examples < 150


@pytest.mark.parametrize("lock", SAFE)
def test_a_safe_lock_strategy_is_safe_in_every_interleaving_of_small_programs(lock: str) -> None:
    @settings(max_examples=25)
    @given(small_programs(topologies_for(lock)))
    def holds(program: ConcurrentProgram) -> None:
        note(f"program: {program}\nsetting: {program.setting_in_words()}; lock {lock}")
        assert explored_program(program, lock).verdict is Verdict.SAFE

    holds()


@settings(max_examples=40)
@given(small_programs(list(TOPOLOGIES)), st.sampled_from(["none", "per-user-unsorted", "db-row"]))
def test_a_verdict_only_is_the_same_as_with_exact_counts(
    program: ConcurrentProgram, lock: str
) -> None:
    note(f"program: {program}\nsetting: {program.setting_in_words()}; lock {lock}")
    exact, reduced = (explored_program(program, lock, counts=counts) for counts in Counts)
    assert reduced.verdict is exact.verdict
    if exact.verdict is Verdict.BROKEN:  # the first losing run is enough
        assert set(reduced.kinds) <= set(exact.kinds)
        assert set(reduced.outcomes) <= set(exact.outcomes)
    else:
        assert set(reduced.outcomes) == set(exact.outcomes)


@pytest.mark.slow
def test_exploring_shrinks_to_the_same_race() -> None:
    smallest = find(
        small_programs(["one-service"]),
        lambda program: explored_program(program, "none").verdict is Verdict.BROKEN,
        settings=settings(max_examples=300, database=None),
        random=random.Random(1),
    )
    assert TWO_OPERATIONS.fullmatch(str(smallest))


@pytest.mark.slow
def test_unsorted_locks_are_shrunk_to_two_requests_in_opposite_order(model: Play) -> None:
    smallest, _ = find(
        st.tuples(programs(["one-service"]).filter(lambda program: not program.cached), luck),
        lambda drawn: losing_run(model, "per-user-unsorted", *drawn, schedules=6) is not None,
        settings=settings(max_examples=500, database=None),
        random=random.Random(1),
    )
    (one,), (other,) = smallest.clients
    assert one.written == other.written[::-1]


@pytest.mark.parametrize("lock", SAFE)
def test_the_report_calls_a_safe_lock_strategy_clean_and_never_safe(lock: str) -> None:
    found = run_programs(lock, "memory", examples=20, seed=1)
    assert found == ProgramsResult(
        lock, "memory", 20, Verdict.CLEAN, Verdict.CLEAN, "", found.seconds
    )


def test_the_same_seed_finds_the_same_program() -> None:
    first, second = (run_programs("none", "memory", examples=50, seed=5) for _ in range(2))
    assert replace(first, seconds=0.0) == replace(second, seconds=0.0)


def test_an_unknown_store_or_lock_strategy_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="known: memory, memory:postgres, sqlite"):
        run_programs("none", "oracle", examples=1, seed=1)
    with pytest.raises(UsageError, match="known: none, global, per-user, db-row"):
        run_programs("nonne", "memory", examples=1, seed=1)


EVENTS = {
    "a refusal for lack of money": lambda run: "insufficient_funds" in codes(run),
    "a wallet that is not there": lambda run: "unknown_wallet" in codes(run),
    "a key reused for something else": lambda run: "key_reused" in codes(run),
    "a repeat that gets the first receipt": lambda run: (
        len(receipts := [call.answer for call in run.history if call.key and call.answer])
        > len(set(receipts))
    ),
    "a client that is cancelled": lambda run: any("!cancel" in move for move in run.schedule),
    "an answer that is lost": lambda run: any("!lose" in move for move in run.schedule),
    "an answer from the cache": lambda run: any(
        taken.step.kind == "cache_get" and taken.result is not None for taken in run.taken
    ),
    "a client that goes on after a refusal": lambda run: any(
        earlier.client == later.client
        and (earlier.outcome, later.outcome) == (Outcome.REFUSED, Outcome.OK)
        for earlier, later in zip(run.history, run.history[1:], strict=False)
    ),
}


def codes(run: Run) -> set[str]:
    return {call.code for call in run.history}


@pytest.mark.parametrize("event", EVENTS)
def test_random_programs_reach(event: str, model: Play) -> None:
    def happens(drawn: tuple[ConcurrentProgram, int]) -> bool:
        return EVENTS[event](model(drawn[0], "per-user", by_luck(random.Random(drawn[1]))))

    find(
        st.tuples(programs(["one-service"]), luck),
        happens,
        settings=settings(max_examples=1000, phases=[Phase.generate], database=None),
        random=random.Random(1),
    )
