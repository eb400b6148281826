"""Lock strategies on bare stores, and the references beside them: real databases, short runs."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import LoadFailed
from engine.load.on_store import Turn, operations, run_on_store
from engine.load.references import bare_sqlite, pgbench, pgbench_script
from engine.load.store_rounds import REFERENCES, compare_on_stores
from engine.load.workload import OPENING_CENTS
from engine.results import Load, LoadRun
from engine.stores.opening import open_database
from engine.verdicts import Verdict

MIX = "withdraw=1,add=1"
TURN = Turn(0, seconds=0.1, warmup_s=0.01, seed=7)


def load(lock: str, store: str = "sqlite", *, clients: int = 8, accounts: str = "hot") -> Load:
    return Load(lock, clients, accounts, MIX, store=store, synchronous="OFF")


def run_of(each: Load, path: Path) -> LoadRun:
    async def one() -> LoadRun:
        async with open_database(str(path)) as database:
            await database.reset({"hot": OPENING_CENTS})
            return await run_on_store(each, database, TURN)

    return asyncio.run(one())


def test_a_guarded_update_keeps_the_money_and_a_lockless_write_does_not(tmp_path: Path) -> None:
    kept = run_of(load("guarded-update"), tmp_path / "a.db")
    lost = run_of(load("none"), tmp_path / "b.db")
    assert (kept.verdict, kept.lost_cents) == (Verdict.CLEAN, 0)
    assert lost.verdict is Verdict.BROKEN
    assert lost.lost_cents


def test_every_call_counts_and_only_some_are_timed(tmp_path: Path) -> None:
    run = run_of(load("global"), tmp_path / "a.db")
    assert run.driver == "store"
    assert run.completed == pytest.approx(run.throughput_per_s * run.seconds)
    assert run.lock_wait.p99_ms > 0
    assert not run.samples


def test_calls_that_give_up_are_no_throughput(tmp_path: Path) -> None:
    run = run_of(load("nowait"), tmp_path / "a.db")
    assert run.errors.get("lock_taken", 0) > 0
    assert run.verdict is Verdict.CLEAN


def test_bare_sqlite_does_the_wallets_transaction(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")

    async def fill() -> None:
        async with open_database(path) as database:
            await database.reset({"hot": OPENING_CENTS})

    asyncio.run(fill())
    wanted = operations(MIX, "hot", 7)
    assert bare_sqlite(path, wanted, seconds=0.01, warmup_s=0.0, synchronous="OFF") > 0
    with closing(sqlite3.connect(path)) as connection:
        told = "SELECT balance_cents, version FROM wallets WHERE account = 'hot'"
        [(held, version)] = connection.execute(told).fetchall()
        logged = "SELECT sum(amount_cents), count(*) FROM operation_log WHERE account = 'hot'"
        assert connection.execute(logged).fetchall() == [(held, version)]


def test_stores_and_references_take_turns_on_the_same_tables(
    tmp_path: Path, postgres_url: str
) -> None:
    loads = [
        load(REFERENCES["postgres"], "postgres"),
        load("db-row", "postgres"),
        load(REFERENCES["sqlite"], accounts="uniform:10"),
        load("single-writer", accounts="uniform:10"),
    ]
    runs = compare_on_stores(
        loads,
        addresses={"postgres": postgres_url, "sqlite": str(tmp_path / "a.db")},
        rounds=2,
        seconds=0.05,
        warmup_s=0.02,
    )
    assert [run.load for run in runs] == loads * 2
    assert [run.round for run in runs] == [0] * 4 + [1] * 4
    assert all(run.throughput_per_s > 0 for run in runs)
    assert {r.verdict for r in runs if r.driver == "store"} == {Verdict.CLEAN}


def test_pgbench_writes_what_our_own_log_explains(postgres_url: str) -> None:
    async def books() -> tuple[int, int]:
        async with open_database(postgres_url) as database:
            await database.reset({"hot": OPENING_CENTS})
            await pgbench(
                postgres_url, clients=2, accounts="hot", seconds=0.1, synchronous_commit=False
            )
            wallets, log = await database.books()
            assert [row.version for row in log] == list(range(1, wallets["hot"].version + 1))
            return wallets["hot"].balance, sum(row.amount for row in log)

    held, logged = asyncio.run(books())
    assert held == logged


def test_a_pgbench_that_fails_says_why(postgres_url: str) -> None:
    nowhere = postgres_url.replace("/postgres?", "/nowhere?")
    with pytest.raises(LoadFailed, match="nowhere"):
        asyncio.run(
            pgbench(nowhere, clients=1, accounts="hot", seconds=0.1, synchronous_commit=True)
        )


def test_pgbench_draws_from_all_accounts_or_takes_the_hot_one() -> None:
    assert "random(0, 9999)" in pgbench_script("uniform:10000")
    assert "account = 'hot'" in pgbench_script("hot")
