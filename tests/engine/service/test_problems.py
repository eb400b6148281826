"""Whatever is wrong comes back as a problem with a stable code, and changes nothing."""

import asyncio
import logging
import sqlite3

import pytest

from engine import errors
from engine.service.bodies import BODY_BYTES_MAX
from engine.service.problems import problem_of, status_of

WITHDRAW = "/wallets/alice/withdraw"


def is_problem(answer, status, code):
    body = answer.json()
    return (
        answer.status_code == status
        and answer.headers["content-type"] == "application/problem+json"
        and (body["status"], body["code"]) == (status, code)
        and body["type"] == f"urn:walletrace:error:{code}"
        and {"type", "title", "status", "detail", "code"} == set(body) - {"seen"}
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", WITHDRAW, {"amount": "0"}, 400, "invalid_amount"),
        ("POST", WITHDRAW, {"amount": "0.001"}, 400, "invalid_amount"),
        ("POST", WITHDRAW, {"amount": "-1"}, 400, "invalid_amount"),
        ("POST", WITHDRAW, {"amount": "1e3"}, 400, "invalid_amount"),
        ("POST", WITHDRAW, {"amount": 12.5}, 400, "invalid_request"),
        ("POST", WITHDRAW, {}, 400, "invalid_request"),
        ("POST", WITHDRAW, {"amount": "1", "ammount": "2"}, 400, "invalid_request"),
        ("POST", WITHDRAW, ["1"], 400, "invalid_request"),
        ("POST", WITHDRAW, {"amount": "1", "description": "x" * 201}, 400, "invalid_request"),
        ("POST", WITHDRAW, {"amount": "1000.01"}, 409, "insufficient_funds"),
        ("POST", "/wallets/nobody/withdraw", {"amount": "1"}, 404, "unknown_wallet"),
        ("POST", "/wallets/-x/withdraw", {"amount": "1"}, 400, "invalid_account"),
        ("POST", "/wallets", {"account": "alice"}, 409, "wallet_exists"),
        ("POST", "/wallets", {"account": "no space"}, 400, "invalid_account"),
        ("POST", "/wallets", {"account": "x", "opening": "-1"}, 400, "invalid_amount"),
        (
            *("POST", "/transfers", {"source": "bob", "target": "bob", "amount": "1"}),
            *(400, "same_account"),
        ),
        ("POST", "/batches", {"operations": []}, 400, "invalid_batch"),
        ("POST", "/batches", {"operations": [{"kind": "steal"}]}, 400, "invalid_request"),
        (
            *("POST", "/orders", {"order_id": "a b", "account": "bob", "amount": "1"}),
            *(400, "invalid_account"),
        ),
        ("GET", "/wallets/nobody", None, 404, "unknown_wallet"),
        ("GET", "/wallets/nobody?fresh=true", None, 404, "unknown_wallet"),
        ("GET", "/wallets/nobody/log", None, 404, "unknown_wallet"),
        ("GET", "/wallets/bob?fresh=maybe", None, 400, "invalid_request"),
        ("GET", "/wallets/bob?refresh=true", None, 400, "invalid_request"),
        ("GET", "/wallets/bob/log?limit=0", None, 400, "invalid_request"),
        ("GET", "/wallets/bob/log?limit=1001", None, 400, "invalid_request"),
        (
            "GET",
            "/wallets/bob/log?after_version=99999999999999999999",
            None,
            400,
            "invalid_request",
        ),
        ("GET", "/wallets/bob/sufficient", None, 400, "invalid_request"),
        ("GET", "/wallets/bob/sufficient?amount=1,5", None, 400, "invalid_amount"),
        ("GET", "/nowhere", None, 404, "unknown_route"),
        ("GET", "/wallets/", None, 404, "unknown_route"),
        ("DELETE", "/wallets/bob", None, 405, "method_not_allowed"),
    ],
)
def test_a_wrong_request_is_refused_with_its_code(service, method, path, body, status, code):
    async def act():
        async with service() as client:
            refused = await client.request(method, path, json=body)
            return refused, (await client.get("/audit")).json()

    refused, audit = asyncio.run(act())
    assert is_problem(refused, status, code), refused.text
    assert (audit["log_rows"], audit["total"]) == (2, "1050.00")


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"amount": "1"} x', b'{"amount": "\xff"}', b"[" * 100_000]
)
def test_a_broken_body_is_refused(service, content):
    async def act():
        async with service() as client:
            return await client.post(WITHDRAW, content=content)

    assert is_problem(asyncio.run(act()), 400, "invalid_request")


def test_a_balance_beyond_the_bound_is_refused(service):
    async def act():
        async with service() as client:
            await client.post("/wallets", json={"account": "rich", "opening": "90000000000000"})
            return await client.post("/wallets/rich/add", json={"amount": "0.01"})

    assert is_problem(asyncio.run(act()), 409, "balance_too_large")


def test_a_streamed_body_without_a_length_is_cut_off_at_the_limit(service):
    sent = 0

    async def endless():
        nonlocal sent
        while sent < 4 * BODY_BYTES_MAX:
            sent += 1 << 16
            yield b" " * (1 << 16)

    async def act():
        async with service() as client:
            return await client.post(WITHDRAW, content=endless())

    assert is_problem(asyncio.run(act()), 413, "body_too_large")


def test_a_body_at_the_limit_is_read(service):
    async def act():
        async with service() as client:
            body = b'{"amount": "1.00"}'.ljust(BODY_BYTES_MAX)
            return await client.post(WITHDRAW, content=body)

    assert asyncio.run(act()).status_code == 200


def test_an_unexpected_error_is_logged_and_tells_the_client_nothing(service, caplog):
    async def broken(order_id):
        raise RuntimeError("the secret of the order desk")

    async def act():
        async with service(fulfil=broken) as client:
            body = {"order_id": "o-1", "account": "alice", "amount": "1"}
            return await client.post("/orders", json=body)

    with caplog.at_level(logging.ERROR, "walletrace.service"):
        answer = asyncio.run(act())
    assert is_problem(answer, 500, "internal_error")
    assert "secret" not in answer.text
    assert "the secret of the order desk" in caplog.text


def test_a_database_that_fails_is_503_and_says_when_to_come_back(service, tmp_path):
    async def act():
        async with service() as client:
            with sqlite3.connect(tmp_path / "wallets.db") as other:
                other.execute("DROP TABLE wallets")
            return [await client.post(WITHDRAW, json={"amount": "1"}), await client.get("/ready")]

    for answer in asyncio.run(act()):
        assert is_problem(answer, 503, "store_unavailable"), answer.text
        assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.StoreBusy, 503),
        (errors.Conflict, 503),
        (errors.LockTimeout, 503),
        (errors.FenceLost, 503),
        (errors.VersionChanged, 503),
        (errors.Timeout, 503),
        (errors.StoreUnavailable, 503),
        (errors.StoreFull, 507),
        (errors.KeyReused, 422),
        (errors.OrderRejected, 409),
        (errors.InvalidAmount, 400),
    ],
)
def test_each_error_has_its_status(error, status):
    assert status_of(error("what")) == status
    response = problem_of(error("what"))
    assert ("retry-after" in response.headers) == (status == 503)
