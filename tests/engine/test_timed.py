"""The wrappers measure waits where they happen and change nothing about what they wrap."""

import asyncio
from functools import partial
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import pytest

from engine.catalog import LOCK_STRATEGIES
from engine.errors import InsufficientFunds, StoreUnavailable
from engine.history import Outcome, Receipt
from engine.operations import Transfer, Withdraw
from engine.ports import Call
from engine.runtimes import AsyncioRuntime
from engine.stores.sqlite import SqliteDatabase
from engine.stores.working import Working
from engine.timed import TimedRuntime, Watched
from engine.timings import CURRENT, Timings

MS = 1_000_000


class Watch:
    """A monitor that keeps everything it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Outcome, str, Receipt | None, Timings]] = []

    def finished(
        self, call: Call, outcome: Outcome, code: str, receipt: Receipt | None, timings: Timings
    ) -> None:
        self.told.append((outcome, code, receipt, timings))

    def cache(self, event: str) -> None: ...


@pytest.mark.parametrize("lock", ["global", "per-user", "db-row"])
def test_the_second_in_line_waited_for_as_long_as_the_first_held(tmp_path: Path, lock: str) -> None:
    async def act() -> None:
        async with await SqliteDatabase.open(tmp_path / "wallets.db") as database:
            await database.reset({"u": 1_000})
            watch = Watch()
            watched = Watched(LOCK_STRATEGIES[lock](TimedRuntime(AsyncioRuntime())), watch)
            started_ns = perf_counter_ns()
            await asyncio.gather(
                *(
                    watched.run(
                        Call(f"c{n}", Withdraw("u", 1)),
                        Working(database.session(), partial(asyncio.sleep, 0.03)),
                    )
                    for n in (1, 2)
                )
            )
            took_ns = perf_counter_ns() - started_ns
            first, second = (timings for *_, timings in watch.told)
            # What the database took to say "not yet" is its own time and no lock wait.
            assert 30 * MS <= second.lock_wait_ns + second.store_ns <= took_ns
            assert first.lock_wait_ns < second.lock_wait_ns
            for t in (first, second):
                clock = [t.started_ns, t.requested_ns, t.acquired_ns, t.committed_ns]
                clock += [t.released_ns, t.finished_ns]
                assert clock == sorted(clock)
                assert (t.locks, t.retries) == (1, 0)
                assert t.store_accesses >= 2

    asyncio.run(act())


def test_a_call_without_a_lock_waits_for_none_and_still_counts_the_database(
    tmp_path: Path,
) -> None:
    async def act() -> None:
        async with await SqliteDatabase.open(tmp_path / "wallets.db") as database:
            await database.reset({"u": 1_000, "v": 0})
            watch = Watch()
            watched = Watched(LOCK_STRATEGIES["none"](AsyncioRuntime()), watch)
            await watched.run(Call("c", Transfer("u", "v", 1)), database.session())
            [(_, _, _, timings)] = watch.told
            assert (timings.locks, timings.lock_wait_ns, timings.acquired_ns) == (0, 0, 0)
            assert timings.store_accesses == 2
            assert 0 <= timings.store_wait_ns < timings.store_ns

    asyncio.run(act())


def test_the_monitor_hears_how_each_call_ended(tmp_path: Path) -> None:
    async def act() -> None:
        watch = Watch()
        database = await SqliteDatabase.open(tmp_path / "wallets.db")
        await database.reset({"u": 1_000})
        watched = Watched(LOCK_STRATEGIES["per-user"](AsyncioRuntime()), watch)

        def run(cents: int) -> Any:
            return watched.run(Call("c", Withdraw("u", cents)), database.session())

        receipt = await run(1)
        with pytest.raises(InsufficientFunds):
            await run(5_000)
        cancelled = asyncio.create_task(run(1))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        await database.close()
        with pytest.raises(StoreUnavailable):
            await run(1)
        assert [told[:3] for told in watch.told] == [
            (Outcome.OK, "", receipt),
            (Outcome.REFUSED, "insufficient_funds", None),
            (Outcome.UNKNOWN, "cancelled", None),
            (Outcome.UNKNOWN, "store_unavailable", None),
        ]
        assert CURRENT.get() is None

    asyncio.run(act())


def test_a_back_off_counts_as_a_retry_of_the_call_it_delays() -> None:
    async def act() -> None:
        token = CURRENT.set(timings := Timings())
        for attempt in range(3):
            await TimedRuntime(AsyncioRuntime()).backoff(attempt)
        CURRENT.reset(token)
        assert timings.retries == 3

    asyncio.run(act())


def test_a_cancelled_waiter_has_no_lock_and_keeps_none(tmp_path: Path) -> None:
    async def act() -> None:
        mutex = TimedRuntime(AsyncioRuntime()).mutex("u")
        token = CURRENT.set(timings := Timings())
        async with mutex:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.005), mutex:
                    pass
        async with asyncio.timeout(1), mutex:
            pass
        CURRENT.reset(token)
        assert timings.locks == 2

    asyncio.run(act())


STEPS = {
    "none": "snapshot, committed",
    "global": "lock_asked everybody, lock_granted everybody, snapshot, committed,"
    " lock_released everybody",
    "db-row": "lock_asked u, lock_granted u, lock_asked v, lock_granted v, snapshot, committed,"
    " lock_released v, lock_released u",
    "db-write": "lock_asked the database, lock_granted the database, begun, snapshot, written,"
    " committed, lock_released the database",
    "serializable": "begun, snapshot, written, committed",
    "guarded-update": "committed",
}


@pytest.mark.parametrize("lock", STEPS)
def test_the_steps_at_the_boundaries_of_locks_and_transactions(tmp_path: Path, lock: str) -> None:
    async def act() -> None:
        async with await SqliteDatabase.open(tmp_path / "wallets.db") as database:
            await database.reset({"u": 1_000, "v": 0})
            watch = Watch()
            strategy = LOCK_STRATEGIES[lock](TimedRuntime(AsyncioRuntime()))
            watched = Watched(strategy, watch, boundaries=True)
            await watched.run(Call("c", Transfer("u", "v", 1)), database.session())
            [(_, _, _, timings)] = watch.told
            assert timings.steps is not None
            told = ", ".join(f"{s.name.lower()} {name}".strip() for s, name, _ in timings.steps)
            assert told == STEPS[lock]
            moments = [at for _, _, at in timings.steps]
            assert moments == sorted(moments)
            assert timings.started_ns <= moments[0] <= moments[-1] <= timings.finished_ns

    asyncio.run(act())


def test_a_transaction_that_is_undone_says_so_and_gives_its_locks_back(tmp_path: Path) -> None:
    async def act() -> None:
        async with await SqliteDatabase.open(tmp_path / "wallets.db") as database:
            await database.reset({"u": 1_000})
            watch = Watch()
            strategy = LOCK_STRATEGIES["db-write"](TimedRuntime(AsyncioRuntime()))
            watched = Watched(strategy, watch, boundaries=True)
            with pytest.raises(InsufficientFunds):
                await watched.run(Call("c", Withdraw("u", 5_000)), database.session())
            [(_, _, _, timings)] = watch.told
            assert [step.name for step, _, _ in timings.steps or ()][-2:] == [
                *("ROLLED_BACK", "LOCK_RELEASED")
            ]
            assert timings.seen == {"u": (1_000, 1)}

    asyncio.run(act())
