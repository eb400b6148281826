"""Databases by name: found wherever they are, and never emptied if they hold somebody's wallets."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.stores.opening import borrowed, located, open_database

ALICE = {"alice": 100}


def fill(address: str, openings: Mapping[str, int] = ALICE) -> None:
    async def act() -> None:
        async with open_database(address) as database:
            await database.reset(openings)

    asyncio.run(act())


def wallets(address: str) -> int:
    async def act() -> int:
        async with open_database(address) as database:
            return len(await database.balances())

    return asyncio.run(act())


def test_sqlite_is_a_file_that_goes_with_the_block() -> None:
    with located("sqlite") as address:
        fill(address)
        assert Path(address).exists()
    assert not Path(address).parent.exists()


def test_a_file_and_a_url_stay_what_they_are() -> None:
    for address in ("wallets.db", "postgresql://me@host/bank"):
        with located(address) as found:
            assert found == address


def test_a_data_directory_is_only_for_the_embedded_server() -> None:
    with (
        pytest.raises(UsageError, match="name the store postgres"),
        located("sqlite", postgres_data=Path("data")),
    ):
        pass


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_a_borrowed_database_is_given_back_empty_and_one_with_wallets_is_refused(
    store: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    address = str(tmp_path / "wallets.db")
    if store == "postgres":
        address = request.getfixturevalue("postgres_url")
    fill(address, {})  # whatever another test has left there
    with borrowed(address) as found:
        fill(found)
    assert wallets(address) == 0
    fill(address)
    with pytest.raises(UsageError, match="holds 1 wallets"), borrowed(address):
        pass
    assert wallets(address) == 1
