"""The guide's examples, one by one, on a real SQLite file and under every lock strategy."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine.cached_reads import CachedReads
from engine.caches import MemoryCache
from engine.catalog import strategies_on
from engine.checks.ledger import audit, rebuild
from engine.errors import (
    BalanceTooLarge,
    BusinessError,
    InsufficientFunds,
    InvalidRequest,
    SameAccount,
    UnknownWallet,
    WalletExists,
)
from engine.history import Entry, LogRow, Receipt
from engine.money import BALANCE_CENTS_MAX
from engine.operations import Add, Batch, Open, Transfer, Withdraw
from engine.ports import Row
from engine.runtimes import AsyncioRuntime
from engine.stores.sqlite import SqliteDatabase
from engine.timed import TimedRuntime, Watched
from engine.wallet import WalletService
from tests.engine.insisting import insisting

every_lock = pytest.mark.parametrize("lock", strategies_on("sqlite"))


@dataclass
class Watch:
    """A monitor that keeps how many locks each call took."""

    locks: list[int] = field(default_factory=list)

    def finished(self, call: Any, outcome: Any, code: str, receipt: Any, timings: Any) -> None:
        self.locks.append(timings.locks)

    def cache(self, event: str) -> None:
        pass


@dataclass
class World:
    """A wallet service over a fresh file, with alice holding 1000.00 and bob 50.00."""

    wallet: WalletService
    database: SqliteDatabase
    runtime: AsyncioRuntime
    watch: Watch

    async def cents(self) -> dict[str, int]:
        return {name: row.balance for name, row in (await self.database.balances()).items()}

    async def everything(self) -> tuple[dict[str, Row], list[LogRow]]:
        return await self.database.balances(), await self.database.log()


@asynccontextmanager
async def opened(folder: Path, lock: str, *, cache: bool = False) -> AsyncIterator[World]:
    async with await SqliteDatabase.open(folder / "wallets.db", synchronous="OFF") as database:
        await database.reset({"alice": 100_000, "bob": 5_000})
        runtime, watch = AsyncioRuntime(), Watch()
        strategy = Watched(insisting(lock, TimedRuntime(runtime)), watch)
        reads = CachedReads(MemoryCache(), database.session, runtime) if cache else None
        wallet = WalletService(strategy, database.session, runtime, reads=reads)
        yield World(wallet, database, runtime, watch)
        await runtime.drain()


def in_world(
    folder: Path, lock: str, act: Callable[[World], Awaitable[None]], *, cache: bool = False
) -> None:
    async def run() -> None:
        async with opened(folder, lock, cache=cache) as world:
            await act(world)

    asyncio.run(run())


@every_lock
def test_withdraw_add_and_balance_do_what_the_guide_shows(tmp_path: Path, lock: str) -> None:
    async def act(world: World) -> None:
        paid = await world.wallet.withdraw("alice", 10_000, "购买商品")
        filled = await world.wallet.add("alice", 5_000, "充值")
        assert paid.entries == (Entry("alice", 100_000, 90_000, 2),)
        assert filled.entries == (Entry("alice", 90_000, 95_000, 3),)
        assert await world.wallet.balance("alice") == 95_000
        assert [row[:-1] for row in await world.database.log("alice", after_version=1)] == [
            (paid.call_id, "alice", "withdraw", -10_000, 100_000, 90_000, 2, "购买商品"),
            (filled.call_id, "alice", "add", 5_000, 90_000, 95_000, 3, "充值"),
        ]

    in_world(tmp_path, lock, act)


@every_lock
def test_a_transfer_writes_both_sides_under_one_operation_id(tmp_path: Path, lock: str) -> None:
    async def act(world: World) -> None:
        receipt = await world.wallet.transfer("bob", "alice", 2_000, "转账")
        assert receipt.entries == (
            Entry("alice", 100_000, 102_000, 2),
            Entry("bob", 5_000, 3_000, 2),
        )
        rows = await world.database.log(after_version=1)
        assert [(r.operation_id, r.account, r.amount, r.description) for r in rows] == [
            (receipt.call_id, "alice", 2_000, "转账"),
            (receipt.call_id, "bob", -2_000, "转账"),
        ]

    in_world(tmp_path, lock, act)


@every_lock
def test_a_batch_is_one_row_for_each_account_and_takes_each_lock_once(
    tmp_path: Path, lock: str
) -> None:
    async def act(world: World) -> None:
        await world.wallet.batch(
            [
                Withdraw("bob", 10_000 - 5_000, description="扣款"),
                Add("bob", 5_000, description="退款"),
                Add("alice", 20_000, description="充值"),
                Transfer("alice", "bob", 1_000),
            ],
            "monthly",
        )
        rows = await world.database.log(after_version=1)
        assert [(r.account, r.kind, r.amount, r.version, r.description) for r in rows] == [
            ("alice", "batch", 19_000, 2, "monthly; 充值"),
            ("bob", "batch", 1_000, 2, "monthly; 扣款; 退款"),
        ]
        # A call of the single writer passes its gate twice: to close it, and once it opens.
        optimistic = ("none", "guarded-update", "version-cas", "serializable")
        taken = dict.fromkeys(optimistic, 0) | dict.fromkeys(("global", "db-write", "nowait"), 1)
        assert world.watch.locks == [taken.get(lock, 2)]

    in_world(tmp_path, lock, act)


@every_lock
def test_the_sufficiency_check_answers_and_takes_nothing(tmp_path: Path, lock: str) -> None:
    async def act(world: World) -> None:
        before = await world.everything()
        assert await world.wallet.check_sufficient("alice", 100_000)
        assert not await world.wallet.check_sufficient("alice", 100_001)
        with pytest.raises(UnknownWallet):
            await world.wallet.check_sufficient("carol", 1)
        with pytest.raises(UnknownWallet):
            await world.wallet.balance("carol")
        assert await world.everything() == before

    in_world(tmp_path, lock, act)


@every_lock
@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (Withdraw("bob", 5_001), InsufficientFunds),
        (Transfer("bob", "alice", 5_001), InsufficientFunds),
        (Transfer("bob", "carol", 1), UnknownWallet),
        (Add("carol", 1), UnknownWallet),
        (Open("bob"), WalletExists),
        (Batch((Add("alice", 1), Withdraw("bob", 1), Withdraw("bob", 5_000))), InsufficientFunds),
        (Batch((Add("alice", 1), Withdraw("carol", 1))), UnknownWallet),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_a_refused_operation_leaves_no_trace(
    tmp_path: Path, lock: str, operation: Any, error: type[BusinessError]
) -> None:
    async def act(world: World) -> None:
        before = await world.everything()
        with pytest.raises(error):
            await world.wallet.execute(operation, key="k")
        assert await world.everything() == before
        # The lock is free again and the key is not spent.
        await world.wallet.add("bob", 1, key="k")

    in_world(tmp_path, lock, act)


@every_lock
def test_a_full_wallet_refuses_more_and_keeps_what_it_has(tmp_path: Path, lock: str) -> None:
    async def act(world: World) -> None:
        await world.wallet.create_account("rich", BALANCE_CENTS_MAX)
        with pytest.raises(BalanceTooLarge):
            await world.wallet.transfer("alice", "rich", 1)
        assert (await world.cents()) == {
            "alice": 100_000,
            "bob": 5_000,
            "rich": BALANCE_CENTS_MAX,
        }

    in_world(tmp_path, lock, act)


@every_lock
def test_of_two_who_create_the_same_wallet_at_once_one_wins(tmp_path: Path, lock: str) -> None:
    async def act(world: World) -> None:
        answers = await asyncio.gather(
            *(world.wallet.create_account("carol", cents) for cents in (100, 200, 300)),
            return_exceptions=True,
        )
        winners = [answer for answer in answers if not isinstance(answer, BaseException)]
        assert [type(a) for a in answers if isinstance(a, BaseException)] == [WalletExists] * 2
        assert (await world.cents())["carol"] == winners[0].entries[0].after
        assert audit(*await world.everything()) == ()

    in_world(tmp_path, lock, act)


@pytest.mark.parametrize("lock", [name for name in strategies_on("sqlite") if name != "none"])
def test_the_log_alone_rebuilds_every_balance_after_concurrent_work(
    tmp_path: Path, lock: str
) -> None:
    async def act(world: World) -> None:
        await world.wallet.create_account("carol", 700, "opening gift")
        work: list[Callable[[int], Awaitable[Receipt]]] = [
            lambda n: world.wallet.withdraw("alice", 300 + n),
            lambda n: world.wallet.add("bob", 20 + n),
            lambda n: world.wallet.transfer("alice", "carol", 70 + n),
            lambda n: world.wallet.transfer("carol", "bob", 1_000 + n),
            lambda n: world.wallet.batch([Add("carol", 5), Transfer("bob", "alice", n + 1)]),
        ]
        answers = await asyncio.gather(
            *(do(n) for n in range(6) for do in work), return_exceptions=True
        )
        assert {type(a) for a in answers if isinstance(a, BaseException)} <= {InsufficientFunds}
        assert rebuild(await world.database.log()) == await world.cents()
        assert audit(*await world.everything()) == ()

    in_world(tmp_path, lock, act)


@every_lock
@pytest.mark.parametrize(("real", "outcome"), [(400, InsufficientFunds), (900_000, None)])
def test_a_withdrawal_reads_the_database_afresh_however_warm_the_cache(
    tmp_path: Path, lock: str, real: int, outcome: type[BusinessError] | None
) -> None:
    async def act(world: World) -> None:
        assert await world.wallet.balance("alice") == 100_000  # warms the cache
        with closing(sqlite3.connect(world.database.path)) as somebody_else, somebody_else:
            somebody_else.execute("UPDATE wallets SET balance_cents = ?", (real,))
        assert await world.wallet.balance("alice") == 100_000  # still the cache's answer
        if outcome is None:
            receipt = await world.wallet.withdraw("alice", 500_000)
            assert receipt.entries[0][1:3] == (real, real - 500_000)
        else:
            with pytest.raises(outcome):
                await world.wallet.withdraw("alice", 500)

    in_world(tmp_path, lock, act, cache=True)


def test_a_transfer_to_oneself_and_an_unusable_key_never_reach_the_database(
    tmp_path: Path,
) -> None:
    async def act(world: World) -> None:
        await world.database.close()
        with pytest.raises(SameAccount):
            await world.wallet.transfer("bob", "bob", 1)
        keys: list[Any] = ["", "with space", "ключ", "x" * 129, "new\nline", 5]
        for key in keys:
            with pytest.raises(InvalidRequest, match="use 1 to 128 printable ASCII"):
                await world.wallet.add("bob", 1, key=key)

    in_world(tmp_path, "none", act)


@every_lock
def test_only_locks_kept_in_memory_for_each_account_are_swept(tmp_path: Path, lock: str) -> None:
    async def act(world: World) -> None:
        await world.wallet.transfer("alice", "bob", 1)
        assert world.wallet.sweep(60) == 0
        assert world.wallet.sweep(0) == (2 if lock == "per-user" else 0)

    in_world(tmp_path, lock, act)
