"""The header Server-Timing says where the time of a mutation went."""

import asyncio
import re

import pytest

WORK_MS = 100


def timing(answer):
    found = re.findall(r"(\w+);dur=(\d+\.\d{3})(?:, |$)", answer.headers["server-timing"])
    assert [name for name, _ in found] == ["lock", "db", "dbwait", "total"]
    return {name: float(ms) for name, ms in found}


async def two_at_once(client):
    body = {"amount": "1"}
    return await asyncio.gather(
        client.post("/wallets/alice/withdraw", json=body),
        client.post("/wallets/alice/withdraw", json=body),
    )


@pytest.mark.parametrize("lock", ["global", "per-user", "db-row"])
def test_who_waits_for_a_holder_reports_at_least_its_work(service, lock):
    async def act():
        async with service(lock=lock, work_ms=WORK_MS) as client:
            return await two_at_once(client)

    first, second = sorted((timing(answer) for answer in asyncio.run(act())), key=waited)
    # Half of it: the second may have come to the lock while the first was at work already.
    assert second["lock"] >= first["lock"] + WORK_MS / 2
    assert second["total"] >= second["lock"] + WORK_MS


def waited(durations):
    return durations["lock"]


def test_without_a_lock_nobody_waits_for_one(service):
    async def act():
        async with service(lock="none", work_ms=WORK_MS) as client:
            return await two_at_once(client)

    for answer in asyncio.run(act()):
        durations = timing(answer)
        assert durations["lock"] == 0
        assert 0 < durations["dbwait"] < durations["db"] < durations["total"]
        assert durations["total"] >= WORK_MS


def test_refusals_carry_it_too_and_every_answer_names_the_worker(service):
    async def act():
        async with service() as client:
            return [
                await client.post("/wallets/alice/withdraw", json={"amount": "2000"}),
                await client.post("/wallets/alice/withdraw", content=b"{"),
                await client.get("/wallets/alice"),
            ]

    refused, broken, question = asyncio.run(act())
    assert timing(refused)["db"] > 0
    assert timing(broken)["db"] == 0
    assert "server-timing" not in question.headers
    assert {a.headers["walletrace-worker"] for a in (refused, broken, question)} == {"0"}
