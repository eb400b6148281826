"""Real asyncio inside lock strategies: explored on a deterministic loop, in the model and gated."""

import asyncio

import pytest

from engine.catalog import MakeLock
from engine.errors import UsageError
from engine.explore.cells import explore_cell
from engine.explore.client import Client
from engine.explore.plan import Counts
from engine.explore.scenario import Faults
from engine.operations import Add
from engine.verdicts import Break, Verdict
from scenarios.documented_race import add, withdraw
from tests.engine.explore import asyncio_examples as written
from tests.engine.explore.asyncio_exploring import RACE, found, scenario

BOTH = pytest.mark.parametrize("store", ["memory", "sqlite"])


@pytest.mark.parametrize("make_lock", written.RIGHT)
def test_what_is_right_in_one_service_is_safe_there_and_lost_between_two(
    make_lock: MakeLock,
) -> None:
    safe, note = found(make_lock)
    assert safe.verdict is Verdict.SAFE, safe.witness
    assert "event loop with virtual time" in note
    assert Break.MONEY in found(make_lock, topology="two-processes")[0].kinds


@pytest.mark.parametrize("make_lock", written.WRONG)
def test_what_is_wrong_is_found_broken(make_lock: MakeLock) -> None:
    broken, _ = found(make_lock)
    assert broken.kinds[0] is Break.MONEY
    assert broken.witness is not None


def test_a_semaphore_of_two_lets_two_lose_money_though_the_third_waits() -> None:
    broken, note = found(written.TwoAtOnce, scenario(withdraw, add, add))
    assert broken.kinds[0] is Break.MONEY
    assert "asyncio.Semaphore as asyncio has it (first in, first out" in note


def test_a_release_of_a_lock_held_by_somebody_else_needs_three_to_lose_money() -> None:
    assert found(written.ReleasesWhatItHasNot)[0].verdict is Verdict.SAFE
    broken, _ = found(written.ReleasesWhatItHasNot, scenario(withdraw, add, add))
    assert broken.kinds[0] is Break.MONEY
    assert broken.witness is not None
    assert any("@" in move for move in broken.witness.schedule)


async def two_legs(client: Client) -> None:
    await client.batch(Add("alice", 100_00), Add("alice", 200_00))


def test_legs_that_run_in_parallel_lose_each_other_under_one_client() -> None:
    broken, _ = found(
        written.LegsInParallel, scenario(two_legs, correct={"alice": 1300_00, "bob": 1000_00})
    )
    assert broken.kinds[0] is Break.MONEY
    assert broken.witness is not None
    assert {"A", "A.1", "A.2"} == set(broken.witness.schedule)
    # Two tasks of a read, a write and its answer each, after A's invoke.
    assert broken.interleavings == 20


STRUCK = [written.SingleWriter, written.Polls, written.HandsOver]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make_lock", "faults"),
    [
        *[(make_lock, "") for make_lock in written.SMALL],
        *[(make_lock, faults) for make_lock in STRUCK for faults in ("cancel=1", "crash=1")],
    ],
)
def test_the_model_and_real_sqlite_agree_and_twice_is_as_once(
    make_lock: MakeLock, faults: str
) -> None:
    struck = Faults.parse(faults)
    model, note = found(make_lock, faults=struck)
    for store in ("memory", "sqlite"):
        again, said = found(make_lock, store=store, faults=struck)
        assert (again.interleavings, again.outcomes) == (model.interleavings, model.outcomes)
        assert (again.verdict, again.witness, said) == (model.verdict, model.witness, note)


def test_asking_for_a_verdict_only_does_not_overlook_what_timers_do() -> None:
    lock = f"{written.__name__}:GoesOnWithoutTheLock"
    cell = asyncio.run(explore_cell(RACE, lock, "one-service", "memory", counts=Counts.NONE))
    assert cell.kinds == (Break.MONEY,)


@BOTH
def test_a_lock_that_is_never_released_is_a_deadlock_with_a_name(store: str) -> None:
    dead, _ = found(written.NeverReleases, store=store)
    assert dead.outcomes == {"deadlock": dead.interleavings}
    assert dead.witness is not None
    assert "waits for asyncio.Lock at asyncio_examples.py:" in dead.witness.explanation


async def there(client: Client) -> None:
    await client.transfer("alice", "bob", "1.00")


async def back(client: Client) -> None:
    await client.transfer("bob", "alice", "1.00")


async def spend(client: Client) -> None:
    await client.withdraw("bob", "1.00")


def test_opposite_locks_of_asyncio_deadlock_once_a_third_client_makes_them_wait() -> None:
    # A free asyncio.Lock is taken without letting anybody else run, so two are taken as one.
    assert found(written.LockForEachUser, scenario(there, back))[0].verdict is Verdict.SAFE
    dead, _ = found(written.LockForEachUser, scenario(there, back, spend))
    assert Break.LIVENESS in dead.kinds
    assert dead.witness is not None
    assert "A waits for asyncio.Lock" in dead.witness.explanation


@BOTH
def test_a_flag_that_never_goes_down_is_a_livelock_and_not_an_endless_run(store: str) -> None:
    assert found(written.NeverFree, store=store)[0].kinds == (Break.LIVENESS,)


def test_who_polls_a_bounded_number_of_times_gets_to_its_end() -> None:
    gave_up, _ = found(written.GivesUp)
    assert gave_up.verdict is Verdict.UNKNOWN
    assert "no request ever succeeded" in gave_up.note


def test_a_timeout_strikes_before_a_write_and_after_it_too() -> None:
    outcomes = found(written.TimeoutAroundAll)[0].outcomes
    assert set(outcomes) == {"alice=1000.00", "alice=500.00", "alice=1300.00", "alice=800.00"}


def test_a_task_that_dies_unseen_is_told() -> None:
    broken, _ = found(written.DiesBeside)
    assert broken.losing == broken.interleavings
    assert broken.witness is not None
    assert "A.1: ValueError: nobody hears this" in broken.witness.explanation


def test_a_lock_kept_in_a_class_is_told_to_outlive_its_run() -> None:
    with pytest.raises(UsageError, match="outlives its run"):
        found(written.SharedByAll)
