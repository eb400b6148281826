"""A round of load ends by itself, measures what was asked, and judges money and nothing else."""

import asyncio

import pytest

from engine.errors import UsageError
from engine.load import driver
from engine.load.driver import INTERRUPTED, run_round
from engine.locks.global_lock import GlobalLock
from engine.locks.none import NoLock
from engine.results import Load
from engine.stores.sqlite import SqliteDatabase
from engine.verdicts import Break, Verdict

MIX = "withdraw=4,add=4,transfer=1,batch=1"


def ran(path, load, *, seconds=0.15, warmup_s=0.02, seed=1):
    return asyncio.run(
        run_round(
            load,
            seconds=seconds,
            warmup_s=warmup_s,
            seed=seed,
            address=str(path),
            round=0,
            pin=False,
        )
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "load.db"


@pytest.mark.parametrize("lock", ["global", "per-user", "db-row"])
def test_a_lock_that_excludes_keeps_every_cent(path, lock):
    run = ran(path, Load(lock, 8, "hot", MIX))
    assert (run.verdict, run.findings, run.lost_cents) == (Verdict.CLEAN, (), 0)
    assert run.completed > 0
    assert run.errors == {}


def test_without_a_lock_a_hot_account_loses_money_and_the_run_says_how_much(path):
    run = ran(path, Load("none", 8, "hot", "withdraw=1,add=1"))
    assert run.verdict is Verdict.BROKEN
    assert run.findings[0].message.startswith("hot: the wallet holds")
    assert run.findings[0].cents == -run.lost_cents != 0
    assert any("began from" in finding.message for finding in run.findings)


def test_only_a_strategy_that_locks_waits_for_locks_and_the_database_wait_stands_apart(path):
    free = ran(path, Load("none", 8, "hot", "add=1"))
    queued = ran(path, Load("global", 8, "hot", "add=1"))
    assert free.lock_wait.max_ms == 0 == free.locks_per_operation
    assert queued.lock_wait.p50_ms > 0
    assert queued.locks_per_operation == 1
    assert free.store_wait.p50_ms > queued.store_wait.p50_ms


def test_work_under_the_lock_is_held_time_and_a_global_lock_serializes_it(path):
    run = ran(path, Load("global", 4, "uniform:100", "add=1", work_ms=5.0), seconds=0.3)
    assert run.hold.p50_ms >= 5.0
    assert run.throughput_per_s <= 200


def test_samples_are_one_row_for_each_measured_mutation_in_the_order_of_its_steps(path):
    run = ran(path, Load("per-user", 4, "uniform:10", "add=1,balance=1"))
    (length,) = {len(column) for column in run.samples.values()}
    assert 0 < length < run.completed
    names = ("invoked", "requested", "acquired", "committed", "released", "completed")
    rows = list(zip(*(run.samples[name] for name in names), strict=True))
    assert all(list(row) == sorted(row) for row in rows)
    assert run.samples["completed"][-1] - run.samples["completed"][0] <= run.seconds * 1e9


def test_the_warm_up_is_judged_but_not_measured(path):
    run = ran(path, Load("none", 1, "uniform:1", "add=1"), warmup_s=0.2, seconds=0.05)

    async def adds():
        async with await SqliteDatabase.open(path) as database:
            return len(await database.log()) - 1  # without the opening

    assert run.completed < asyncio.run(adds())
    assert run.completed == pytest.approx(run.throughput_per_s * run.seconds)
    assert run.verdict is Verdict.CLEAN


def test_a_cache_saves_database_accesses_and_never_starves_the_clock(path):
    load = Load("per-user", 2, "uniform:5", "balance=1", cache=True)
    run = ran(path, load)
    assert run.store_accesses_per_operation < 0.2
    assert run.verdict is Verdict.UNKNOWN  # no money moved, so nothing was shown


def test_refusals_are_results_and_not_errors(path, monkeypatch):
    monkeypatch.setattr("engine.load.workload.OPENING_CENTS", 0)
    run = ran(path, Load("per-user", 2, "uniform:2", "withdraw=3,add=1"))
    assert run.refused["insufficient_funds"] > 0
    assert run.errors == {}
    assert run.verdict is Verdict.CLEAN


def test_cancelling_ends_early_with_a_judged_result(path):
    async def interrupted():
        load = Load("none", 8, "hot", "withdraw=1,add=1")
        options = {"warmup_s": 0.0, "seed": 1, "address": str(path), "round": 3}
        task = asyncio.create_task(run_round(load, seconds=60, **options))
        await asyncio.sleep(0.3)
        task.cancel()
        return await task

    run = asyncio.run(interrupted())
    assert run.note == INTERRUPTED
    assert 0 < run.seconds < 1
    assert run.completed > 0
    assert run.verdict is Verdict.BROKEN


class NeverReleased(GlobalLock):
    """A user's own strategy that forgets to give its lock back."""

    async def run(self, call, store):
        await self._mutex.__aenter__()
        return await NoLock.run(self, call, store)


class Faulty(NoLock):
    """A user's own strategy with a mistake in it."""

    async def run(self, call, store):
        raise KeyError("mine")


def test_clients_that_wait_for_ever_are_a_liveness_finding(path, monkeypatch):
    monkeypatch.setattr(driver, "LAST_ANSWERS_S", 0.05)
    monkeypatch.setattr(driver, "lock_strategy", lambda *_: NeverReleased)
    run = ran(path, Load("mine", 3, "hot", "add=1"))
    assert run.verdict is Verdict.BROKEN
    assert [finding.kind for finding in run.findings] == [Break.LIVENESS]
    assert "3 clients" in run.findings[0].message
    assert run.lost_cents == 0


def test_a_mistake_in_a_lock_strategy_comes_through_at_once(path, monkeypatch):
    monkeypatch.setattr(driver, "lock_strategy", lambda *_: Faulty)
    with pytest.raises(KeyError, match="mine"):
        ran(path, Load("mine", 3, "hot", "add=1"), seconds=60)


@pytest.mark.parametrize(
    ("load", "way_out"),
    [
        (Load("gloabl", 1, "hot", "add=1"), "known: none, global"),
        (Load("none", 0, "hot", "add=1"), "use 1 to"),
        (Load("none", 1, "hot", "add=1", workers=2), "Locust"),
        (Load("none", 1, "hot", "add=1", work_ms=-1), "positive times"),
        (Load("none", 1, "hot", "add=1", synchronous="MAYBE"), "known: OFF, NORMAL, FULL"),
        (Load("none", 1, "cold", "add=1"), "use hot"),
    ],
)
def test_a_load_that_cannot_be_is_refused_with_the_way_out(path, load, way_out):
    with pytest.raises(UsageError, match=way_out):
        ran(path, load)
