"""Idempotency keys over HTTP: the same request happens once, and its answer says so."""

import asyncio

import pytest

from engine.catalog import strategies_on


def key(text):
    return {"Idempotency-Key": text}


@pytest.mark.parametrize("lock", strategies_on("sqlite"))
def test_a_retry_gets_the_first_receipt_and_is_marked(service, lock):
    async def act():
        async with service(lock=lock) as client:
            body = {"amount": "600"}
            first = await client.post("/wallets/alice/withdraw", json=body, headers=key("k"))
            again = await client.post("/wallets/alice/withdraw", json=body, headers=key("k"))
            return first, again, (await client.get("/wallets/alice?fresh=true")).json()

    first, again, alice = asyncio.run(act())
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert alice["balance"] == "400.00"


def test_two_requests_with_one_key_at_once_happen_once(service):
    async def act():
        async with service(work_ms=20) as client:
            body = {"source": "alice", "target": "bob", "amount": "600"}
            answers = await asyncio.gather(
                *(client.post("/transfers", json=body, headers=key("k")) for _ in range(3))
            )
            return answers, (await client.get("/audit")).json()

    answers, audit = asyncio.run(act())
    assert len({answer.text for answer in answers}) == 1
    assert [a.headers.get("idempotency-replayed") for a in answers].count("true") == 2
    assert (audit["log_rows"], audit["verdict"]) == (4, "clean")


def test_a_key_with_another_body_is_an_error(service):
    async def act():
        async with service() as client:
            await client.post("/wallets/alice/add", json={"amount": "1"}, headers=key("k"))
            return await client.post("/wallets/alice/add", json={"amount": "2"}, headers=key("k"))

    answer = asyncio.run(act())
    assert (answer.status_code, answer.json()["code"]) == (422, "key_reused")


def test_an_order_id_with_another_body_is_an_error(service):
    async def act():
        async with service() as client:
            body = {"order_id": "o-1", "account": "alice", "amount": "1"}
            await client.post("/orders", json=body)
            return await client.post("/orders", json=body | {"amount": "2"})

    assert asyncio.run(act()).json()["code"] == "key_reused"


@pytest.mark.parametrize("text", ["order:o-1:pay", "order:", "with space", "x" * 129, ""])
def test_a_key_that_is_reserved_or_unusable_is_refused(service, text):
    async def act():
        async with service() as client:
            answer = await client.post(
                "/wallets/alice/withdraw", json={"amount": "1"}, headers=key(text)
            )
            return answer, (await client.get("/wallets/alice")).json()

    answer, alice = asyncio.run(act())
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert alice["balance"] == "1000.00"
