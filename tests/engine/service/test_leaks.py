"""A request that is torn down while it holds or awaits a lock leaves none behind."""

import asyncio
import sqlite3

import pytest

WORK_MS = 100
BODY = {"amount": "1"}


async def withdraw(client):
    return await client.post("/wallets/alice/withdraw", json=BODY)


@pytest.mark.parametrize("lock", ["global", "per-user", "db-row"])
@pytest.mark.parametrize("torn", [0, 1], ids=["holder", "waiter"])
def test_a_torn_down_request_leaves_no_lock_behind(service, tmp_path, lock, torn):
    async def act():
        async with service(lock=lock, work_ms=WORK_MS, idle_s=0) as client:
            pair = [asyncio.create_task(withdraw(client)) for _ in range(2)]
            await asyncio.sleep(WORK_MS / 3000)
            pair[torn].cancel()
            async with asyncio.timeout(4):  # less than a lease lasts
                ended = await asyncio.gather(*pair, return_exceptions=True)
                after = await withdraw(client)
            return ended, after, (await client.get("/audit")).json()

    ended, after, audit = asyncio.run(act())
    assert isinstance(ended[torn], asyncio.CancelledError)
    assert (ended[1 - torn].status_code, after.status_code) == (200, 200)
    assert audit["verdict"] == "clean"
    with sqlite3.connect(tmp_path / "wallets.db") as file:
        assert file.execute("SELECT count(*) FROM leases WHERE owner IS NOT NULL").fetchone() == (
            0,
        )
