"""Opening a file: ours is accepted, an empty one becomes ours, and any other is left untouched."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import StoreUnavailable
from engine.ports import Row
from engine.stores.sqlite import SqliteDatabase
from engine.stores.sqlite_schema import SCHEMA_VERSION


async def pragma(database: SqliteDatabase, name: str) -> object:
    return await database.once(lambda c: c.execute(f"PRAGMA {name}").fetchall()[0][0])


async def open_and_close(path: Path) -> dict[str, Row]:
    async with await SqliteDatabase.open(path) as database:
        return await database.balances()


def test_a_new_file_is_created_and_found_again(tmp_path: Path) -> None:
    async def act() -> None:
        path = tmp_path / "wallets.db"
        async with await SqliteDatabase.open(path) as database:
            await database.reset({"u": 5})
        assert await open_and_close(path) == {"u": Row(5, 1)}

    asyncio.run(act())


def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    async def act() -> None:
        for number in range(5):
            path = tmp_path / f"{number}.db"
            assert await asyncio.gather(*(open_and_close(path) for _ in range(6))) == [{}] * 6

    asyncio.run(act())


def test_who_opens_a_new_file_waits_for_whoever_is_just_making_it(tmp_path: Path) -> None:
    async def act() -> None:
        path = tmp_path / "wallets.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as somebody_else:
            somebody_else.execute("BEGIN IMMEDIATE")
            # Without a busy timeout: SQLite does not heed it where the journal changes to WAL.
            opening = asyncio.create_task(SqliteDatabase.open(path, busy_timeout_s=0))
            await asyncio.sleep(0.05)
            assert not opening.done()
            somebody_else.execute("COMMIT")
        async with await opening as database:
            assert await database.balances() == {}

    asyncio.run(act())


def test_somebody_elses_database_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as theirs, theirs:
        theirs.execute("CREATE TABLE wallets (account, balance_cents, version)")
        theirs.execute("INSERT INTO wallets VALUES ('u', 5, 1)")
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match="holds somebody else's tables; name a file of its"):
        asyncio.run(open_and_close(path))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["theirs.db"]


def test_another_schema_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "wallets.db"
    asyncio.run(open_and_close(path))
    with closing(sqlite3.connect(path)) as newer, newer:
        newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match=f"has schema {SCHEMA_VERSION + 1}, this walletrace"):
        asyncio.run(open_and_close(path))
    assert path.read_bytes() == before


def test_what_is_no_database_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir or Madam, this is not a database.\n" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable):
        asyncio.run(open_and_close(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize("where", ["", "no such folder/wallets.db"], ids=["a folder", "nowhere"])
def test_a_path_that_cannot_be_written_is_refused_with_its_name(tmp_path: Path, where: str) -> None:
    path = tmp_path / where
    with pytest.raises(StoreUnavailable, match=str(path)):
        asyncio.run(open_and_close(path))


def test_the_file_is_in_wal_mode_with_the_synchronous_level_asked_for(tmp_path: Path) -> None:
    async def act() -> None:
        levels = {"OFF": 0, "NORMAL": 1, "FULL": 2}
        for level, number in levels.items():
            path = tmp_path / "wallets.db"
            async with await SqliteDatabase.open(path, synchronous=level) as database:  # type: ignore[arg-type]
                assert await pragma(database, "journal_mode") == "wal"
                assert await pragma(database, "synchronous") == number

    asyncio.run(act())


def test_a_reset_empties_everything_and_opens_the_wallets_with_log_rows(tmp_path: Path) -> None:
    async def act() -> None:
        async with await SqliteDatabase.open(tmp_path / "wallets.db") as database:
            await database.reset({"u": 5, "v": 7})
            store = database.session()
            await store.take("u", "me")
            await store.decide("d", "old")
            await database.reset({"w": 9})
            assert await database.balances() == {"w": Row(9, 1)}
            rows = await database.log()
            assert [(r.account, r.kind, r.amount, r.before, r.after, r.version) for r in rows] == [
                ("w", "open", 9, 0, 9, 1)
            ]
            assert await store.take("u", "you") == 1
            assert await store.decide("d", "new") == "new"

    asyncio.run(act())
