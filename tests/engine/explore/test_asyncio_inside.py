"""Real asyncio inside lock strategies: explored on a deterministic loop, in the model and gated."""

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from engine.catalog import MakeLock
from engine.errors import UsageError
from engine.explore.cells import in_worlds
from engine.explore.client import Client, Parts
from engine.explore.scenario import Faults, Program, Scenario
from engine.explore.search import Budget, Explored, explore, replay
from engine.explore.world import Setting
from engine.history import Receipt
from engine.locks.body import read_apply_write
from engine.operations import Add
from engine.ports import Call, Runtime, Store
from engine.verdicts import Break, Verdict
from scenarios.catalogue import SCENARIOS
from scenarios.documented_race import add, withdraw
from scenarios.expectations import needs_exclusion
from tests.engine.explore import asyncio_examples as written

BOTH = pytest.mark.parametrize("store", ["memory", "sqlite"])
RACE = SCENARIOS["documented-race"]


def scenario(*programs: Callable[[Client], Awaitable[object]], **options: object) -> Scenario:
    clients = tuple(Program(name, run) for name, run in zip("ABC", programs, strict=False))
    return Scenario(
        "own", "", "", {"alice": 1000_00, "bob": 1000_00}, clients, needs_exclusion, **options
    )  # type: ignore[arg-type]


def found(
    make_lock: MakeLock,
    story: Scenario = RACE,
    store: str = "memory",
    *,
    topology: str = "one-service",
    faults: Faults | None = None,
) -> tuple[Explored, str]:
    setting = Setting(story, topology, Parts(make_lock))

    async def search() -> tuple[Explored, str]:
        return await in_worlds(
            setting,
            store,
            lambda open_world, _: explore(
                setting, open_world, faults=faults or story.faults, budget=Budget(20_000, 60)
            ),
        )

    return asyncio.run(search())


RIGHT = [
    written.OneLock,
    written.LockForEachUser,
    written.SingleWriter,
    written.Spins,
    written.Polls,
    written.HandsOver,
    written.WaitsFor,
]
WRONG = [written.GoesOnWithoutTheLock, written.FlagAcrossSleep]


@pytest.mark.parametrize("make_lock", RIGHT)
def test_what_is_right_in_one_service_is_safe_there_and_lost_between_two(
    make_lock: MakeLock,
) -> None:
    safe, note = found(make_lock)
    assert safe.verdict is Verdict.SAFE, safe.witness
    assert "event loop with virtual time" in note
    assert Break.MONEY in found(make_lock, topology="two-processes")[0].kinds


@pytest.mark.parametrize("make_lock", WRONG)
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


SMALL = [*RIGHT, *WRONG, written.NeverReleases, written.DiesBeside]
EVERY = [*SMALL, written.TimeoutAroundAll]
STRUCK = [written.SingleWriter, written.Polls, written.HandsOver]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make_lock", "faults"),
    [
        *[(make_lock, "") for make_lock in SMALL],
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
    assert gave_up.verdict is Verdict.SAFE
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


class Reaches:
    """Reaches for something out of reach, and tries to hide it."""

    async def reach(self) -> None: ...

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        with suppress(Exception):
            await self.reach()
        return await read_apply_write(call, store)


class Thread(Reaches):
    async def reach(self) -> None:
        await asyncio.to_thread(print)


class Socket(Reaches):
    async def reach(self) -> None:
        await asyncio.open_connection("localhost", 1)


class Process(Reaches):
    async def reach(self) -> None:
        await asyncio.create_subprocess_exec("true")


class Signal(Reaches):
    async def reach(self) -> None:
        asyncio.get_running_loop().add_signal_handler(15, print)


class OtherThread(Reaches):
    async def reach(self) -> None:
        asyncio.get_running_loop().call_soon_threadsafe(print)


class Forever(Reaches):
    async def reach(self) -> None:
        def again() -> None:
            asyncio.get_running_loop().call_soon(again)

        again()
        await asyncio.sleep(0)


@BOTH
@pytest.mark.parametrize("make_lock", [Thread, Socket, Process, Signal, OtherThread])
def test_what_cannot_be_put_in_order_is_refused_even_if_the_code_hides_it(
    make_lock: MakeLock, store: str
) -> None:
    with pytest.raises(UsageError, match="out of reach in an explored world"):
        found(make_lock, store=store)


@BOTH
def test_a_loop_that_never_gets_idle_is_refused(store: str) -> None:
    with pytest.raises(UsageError, match="not idle after 10,000 callbacks"):
        found(Forever, store=store)


class Sleeps:
    """Each operation sleeps for its amount, in cents of a second, and notes that it woke up."""

    def __init__(self, runtime: Runtime) -> None:
        self.store_first = False

    async def run(self, call: Call, store: Store) -> Receipt:
        await asyncio.sleep(call.operation.amount)  # type: ignore[union-attr]
        return await read_apply_write(call, store)


def wake_ups(first: str, second: str) -> set[str]:
    """In which orders two sleeps run out of which A's is set first."""
    setting = Setting(
        scenario(lambda c: c.add("alice", first), lambda c: c.add("alice", second)),
        "one-service",
        Parts(Sleeps),
    )
    orders = set()
    for order in ("A B A@1 B@1", "A B B@1 A@1"):
        schedule = (*order.split(), "A", "A", "B", "B")
        try:
            asyncio.run(
                in_worlds(
                    setting, "memory", lambda w, _, s=schedule: replay(setting, w, s, Faults())
                )
            )
            orders.add(order)
        except UsageError:
            pass
    return orders


def test_timers_keep_the_order_that_no_slowness_can_change() -> None:
    assert wake_ups("1.00", "1.00") == {"A B A@1 B@1"}
    assert wake_ups("1.00", "2.00") == {"A B A@1 B@1"}
    # Any time may pass before B, who is slow to begin, sets its shorter one.
    assert wake_ups("2.00", "1.00") == {"A B A@1 B@1", "A B B@1 A@1"}


class TwoSleeps(Sleeps):
    async def run(self, call: Call, store: Store) -> Receipt:
        woken: list[int] = []

        async def sleep(seconds: int) -> None:
            await asyncio.sleep(seconds)
            woken.append(seconds)

        await asyncio.gather(sleep(2), sleep(1))
        assert woken == [1, 2], woken
        return await read_apply_write(call, store)


def test_sleeps_set_side_by_side_wake_up_in_order_of_time() -> None:
    assert found(TwoSleeps, scenario(add))[0].verdict is Verdict.SAFE


@pytest.mark.parametrize("make_lock", [*EVERY, written.LegsInParallel])
@BOTH
def test_nothing_is_left_behind(make_lock: MakeLock, store: str) -> None:
    story = scenario(two_legs) if make_lock is written.LegsInParallel else RACE

    async def explore_beside() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        setting = Setting(story, "one-service", Parts(make_lock))
        await in_worlds(
            setting,
            store,
            lambda open_world, _: explore(
                setting, open_world, faults=Faults(crash=1), budget=Budget(10, 60)
            ),
        )
        assert asyncio.get_running_loop() is loop
        assert asyncio.current_task() is task
        assert asyncio.all_tasks() == {task}

    complaints: list[object] = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with asyncio.Runner() as runner:
            runner.get_loop().set_exception_handler(lambda _, what: complaints.append(what))
            runner.run(explore_beside())
        gc.collect()
    assert [str(warning.message) for warning in warned] == []
    assert complaints == []
