"""The service on PostgreSQL: the same answers, and a server that goes away loses nothing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from engine.errors import StoreUnavailable, Undone, UsageError
from engine.service.app import opened
from engine.service.settings import Settings
from engine.stores.postgres_server import embedded_server

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("postgres_url")]

ADD = ("/wallets/alice/add", {"amount": "1.00"})


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter; pytest's own are closed to others."""
    with TemporaryDirectory(prefix="walletrace-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_server_that_is_gone_is_a_503_to_try_again_and_nothing_acknowledged_is_lost(
    folder: Path,
) -> None:
    async def add(client: httpx.AsyncClient, key: str) -> httpx.Response:
        return await client.post(ADD[0], json=ADD[1], headers={"Idempotency-Key": key})

    async def act() -> tuple[httpx.Response, httpx.Response, str]:
        server = embedded_server(folder / "data")
        async with opened(Settings(server.__enter__(), lock="db-row")) as app:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://wallet") as client:
                await client.post("/wallets", json={"account": "alice", "opening": "5.00"})
                assert (await add(client, "first")).status_code == 200
                server.__exit__(None, None, None)
                gone, unready = await add(client, "second"), await client.get("/ready")
                with embedded_server(folder / "data"):
                    assert (await add(client, "second")).status_code == 200
                    holds = await client.get("/wallets/alice?fresh=true")
                return gone, unready, holds.json()["balance"]

    gone, unready, holds = asyncio.run(act())
    assert (gone.status_code, unready.status_code) == (503, 503)
    assert gone.json()["code"] in {StoreUnavailable.code, Undone.code}
    assert gone.headers["Retry-After"] == "1"
    assert holds == "7.00"


def test_a_lock_strategy_that_the_store_has_not_is_refused(postgres_url: str) -> None:
    async def act() -> None:
        async with opened(Settings(postgres_url, lock="db-write")):
            pass

    with pytest.raises(UsageError, match="does not run on postgres"):
        asyncio.run(act())
