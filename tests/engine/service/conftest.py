"""A client of a whole service on a real SQLite file, without sockets."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.orders import Fulfil, accept
from engine.service.app import opened
from engine.service.settings import Settings

Start = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def service(tmp_path: Path) -> Start:
    """Starts a service with the options of Settings; alice holds 1000.00 and bob 50.00."""

    @asynccontextmanager
    async def start(*, fulfil: Fulfil = accept, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
        settings = Settings(str(tmp_path / "wallets.db"), **options)
        async with opened(settings, fulfil=fulfil) as app:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://wallet") as client:
                for account, opening in (("alice", "1000.00"), ("bob", "50.00")):
                    body = {"account": account, "opening": opening}
                    assert (await client.post("/wallets", json=body)).status_code == 201
                yield client

    return start
