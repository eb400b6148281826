"""Databases for the stores' tests: a file of SQLite's, and the embedded PostgreSQL."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.stores.postgres import PostgresDatabase
from engine.stores.sqlite import SqliteDatabase

Opened = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture
def postgres(postgres_url: str) -> Opened:
    """Opens the PostgreSQL database, in which u holds 100 and v holds nothing."""

    @asynccontextmanager
    async def opened(**options: Any) -> AsyncIterator[PostgresDatabase]:
        async with await PostgresDatabase.open(postgres_url, **options) as database:
            await database.reset({"u": 100, "v": 0})
            yield database

    return opened


@pytest.fixture
def sqlite(tmp_path: Path) -> Opened:
    """Opens a file, in which u holds 100 and v holds nothing."""

    @asynccontextmanager
    async def opened(**options: Any) -> AsyncIterator[SqliteDatabase]:
        path = tmp_path / "wallets.db"
        async with await SqliteDatabase.open(path, synchronous="OFF", **options) as database:
            await database.reset({"u": 100, "v": 0})
            yield database

    return opened


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest) -> Opened:
    """Opens either, one test after the other."""
    database: Opened = request.getfixturevalue(request.param)
    return database
