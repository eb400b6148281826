"""What real asyncio inside an explored world cannot do, and what it leaves behind: nothing."""

import asyncio
import gc
import warnings
from contextlib import suppress

import pytest

from engine.catalog import MakeLock
from engine.errors import UsageError
from engine.explore.cells import in_worlds, worlds
from engine.explore.client import Client, Parts
from engine.explore.loop import NeedsLoop
from engine.explore.scenario import Faults
from engine.explore.search import Budget, explore, replay
from engine.explore.world import Setting
from engine.history import Receipt
from engine.locks.body import read_apply_write
from engine.operations import Add
from engine.ports import Call, Runtime, Store
from engine.verdicts import Verdict
from scenarios.documented_race import add
from tests.engine.explore import asyncio_examples as written
from tests.engine.explore.asyncio_exploring import RACE, found, scenario

BOTH = pytest.mark.parametrize("store", ["memory", "sqlite"])


async def two_legs(client: Client) -> None:
    await client.batch(Add("alice", 100_00), Add("alice", 200_00))


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


@pytest.mark.parametrize("make_lock", [*written.EVERY, written.LegsInParallel])
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


@pytest.mark.parametrize("make_lock", [written.TimeoutAroundAll, written.FlagAcrossSleep])
@BOTH
def test_code_that_wants_a_loop_is_never_judged_driven_by_hand(
    make_lock: MakeLock, store: str
) -> None:
    async def by_hand() -> None:
        setting = Setting(RACE, "one-service", Parts(make_lock))
        async with worlds(setting, store) as open_world:
            await explore(setting, open_world, faults=Faults(), budget=Budget())

    with pytest.raises(NeedsLoop):
        asyncio.run(by_hand())
