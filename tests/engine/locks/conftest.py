"""Wallet services over one real SQLite file: each a process of its own as far as locks go."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from engine.runtimes import AsyncioRuntime
from engine.stores.sqlite import SqliteDatabase
from engine.wallet import WalletService
from tests.engine.insisting import insisting

Services = Callable[..., AbstractAsyncContextManager[tuple[SqliteDatabase, list[WalletService]]]]


@pytest.fixture
def services(tmp_path: Path) -> Services:
    """`async with services(lock, count)` gives the first one's database, and `count` services.

    alice holds 1000.00 and bob 50.00. Each service has connections, locks and a runtime of its own.
    """

    @asynccontextmanager
    async def start(
        lock: str, count: int = 1
    ) -> AsyncIterator[tuple[SqliteDatabase, list[WalletService]]]:
        databases: list[SqliteDatabase] = []
        wallets = []
        try:
            for _ in range(count):
                path = tmp_path / "wallets.db"
                databases.append(await SqliteDatabase.open(path, synchronous="OFF"))
                runtime = AsyncioRuntime()
                strategy = insisting(lock, runtime)
                wallets.append(WalletService(strategy, databases[-1].session, runtime))
            await databases[0].reset({"alice": 100_000, "bob": 5_000})
            yield databases[0], wallets
        finally:
            for database in databases:
                await database.close()

    return start


@pytest.fixture
def python() -> list[str]:
    """The command that runs a program text in another process: append the text and arguments."""
    return [sys.executable, "-c"]
