"""Every route does what it says, on a real SQLite file."""

import asyncio
import sqlite3

import msgspec
import pytest

from engine.catalog import LOCK_STRATEGIES
from engine.locks.per_user import PerUserLock
from engine.service.routes import ROUTES, Mutation


def entries(response):
    return [
        (entry["account"], entry["before"], entry["after"], entry["version"])
        for entry in response.json()["entries"]
    ]


def test_a_wallet_is_created_with_its_opening(service):
    async def act():
        async with service() as client:
            made = await client.post("/wallets", json={"account": "carol", "opening": "12.5"})
            empty = await client.post("/wallets", json={"account": "dave"})
            return made, empty

    made, empty = asyncio.run(act())
    assert (made.status_code, entries(made)) == (201, [("carol", "0.00", "12.50", 1)])
    assert entries(empty) == [("dave", "0.00", "0.00", 1)]


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/wallets/alice/withdraw", {"amount": "0.01"}, [("alice", "1000.00", "999.99", 2)]),
        ("/wallets/alice/add", {"amount": "0.01"}, [("alice", "1000.00", "1000.01", 2)]),
        (
            "/transfers",
            {"source": "bob", "target": "alice", "amount": "50"},
            [("alice", "1000.00", "1050.00", 2), ("bob", "50.00", "0.00", 2)],
        ),
        (
            "/batches",
            {
                "operations": [
                    {"kind": "withdraw", "account": "alice", "amount": "100"},
                    {"kind": "add", "account": "alice", "amount": "50"},
                    {"kind": "transfer", "source": "alice", "target": "bob", "amount": "1.00"},
                ]
            },
            [("alice", "1000.00", "949.00", 2), ("bob", "50.00", "51.00", 2)],
        ),
    ],
)
def test_a_mutation_answers_with_its_receipt(service, path, body, expected):
    async def act():
        async with service() as client:
            return await client.post(path, json=body)

    answer = asyncio.run(act())
    assert (answer.status_code, entries(answer)) == (200, expected)


def test_the_example_of_every_mutation_works(service):
    async def act():
        async with service() as client:
            for route in ROUTES:
                if isinstance(route, Mutation):
                    body = msgspec.json.encode(route.example).replace(
                        b'"account":"alice","opening"', b'"account":"carol","opening"'
                    )
                    answer = await client.post(route.path.format(account="alice"), content=body)
                    assert answer.status_code == route.status, (route.path, answer.text)

    asyncio.run(act())


def test_a_batch_that_fails_half_way_changes_nothing(service):
    async def act():
        async with service() as client:
            legs = [
                {"kind": "add", "account": "bob", "amount": "1"},
                {"kind": "withdraw", "account": "alice", "amount": "1000.01"},
            ]
            refused = await client.post("/batches", json={"operations": legs})
            return refused, (await client.get("/wallets/bob?fresh=true")).json()

    refused, bob = asyncio.run(act())
    assert refused.json()["code"] == "insufficient_funds"
    assert refused.json()["seen"] == [
        {"account": "alice", "balance": "1000.00", "version": 1},
        {"account": "bob", "balance": "50.00", "version": 1},
    ]
    assert bob == {"account": "bob", "balance": "50.00", "version": 1}


def test_a_fresh_balance_passes_the_cache_by(service, tmp_path):
    async def act():
        async with service(cache=True) as client:
            await client.get("/wallets/bob")
            with sqlite3.connect(tmp_path / "wallets.db") as other:
                other.execute("UPDATE wallets SET balance_cents = 7, version = 9")
            cached = await client.get("/wallets/bob")
            fresh = await client.get("/wallets/bob?fresh=true")
            return cached.json()["balance"], fresh.json()["balance"]

    assert asyncio.run(act()) == ("50.00", "0.07")


def test_without_a_cache_every_balance_is_fresh(service, tmp_path):
    async def act():
        async with service(workers=2) as client:
            await client.get("/wallets/bob")
            with sqlite3.connect(tmp_path / "wallets.db") as other:
                other.execute("UPDATE wallets SET balance_cents = 7, version = 9")
            return (await client.get("/wallets/bob")).json()["balance"]

    assert asyncio.run(act()) == "0.07"


@pytest.mark.parametrize(("amount", "expected"), [("1000.00", True), ("1000.01", False)])
def test_sufficiency_is_answered_to_the_cent(service, amount, expected):
    async def act():
        async with service() as client:
            return await client.get("/wallets/alice/sufficient", params={"amount": amount})

    assert asyncio.run(act()).json() == {"sufficient": expected}


def test_the_operation_log_comes_in_pages(service):
    async def act():
        async with service() as client:
            for text in ("one", "two"):
                body = {"amount": "1", "description": text}
                await client.post("/wallets/bob/withdraw", json=body)
            first = (await client.get("/wallets/bob/log?limit=2")).json()
            after = first["next_after_version"]
            rest = (await client.get(f"/wallets/bob/log?limit=2&after_version={after}")).json()
            return first, rest

    first, rest = asyncio.run(act())
    assert [row["version"] for row in first["rows"]] == [1, 2]
    row = rest["rows"][0]
    assert (row["kind"], row["amount"], row["before"], row["after"], row["description"]) == (
        *("withdraw", "-1.00", "49.00", "48.00", "two"),
    )
    assert (len(rest["rows"]), rest["next_after_version"]) == (1, None)


def test_an_order_withdraws_once_however_often_it_is_sent(service):
    async def act():
        async with service() as client:
            body = {"order_id": "o-1", "account": "alice", "amount": "10"}
            first = await client.post("/orders", json=body)
            again = await client.post("/orders", json=body)
            return first, again, (await client.get("/wallets/alice")).json()["balance"]

    first, again, balance = asyncio.run(act())
    assert (first.status_code, again.status_code, balance) == (201, 201, "990.00")
    assert first.json() == again.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


def test_an_order_that_fails_is_refunded_and_says_so(service):
    async def reject(order_id):
        return False

    async def act():
        async with service(fulfil=reject) as client:
            body = {"order_id": "o-1", "account": "alice", "amount": "10"}
            answer = await client.post("/orders", json=body)
            log = (await client.get("/wallets/alice/log")).json()["rows"]
            return answer, [row["amount"] for row in log]

    answer, amounts = asyncio.run(act())
    assert (answer.status_code, answer.json()["code"]) == (409, "order_rejected")
    assert amounts == ["1000.00", "-10.00", "10.00"]


def test_the_audit_of_locked_operations_is_clean(service):
    async def act():
        async with service() as client:
            await asyncio.gather(
                *(client.post("/wallets/alice/withdraw", json={"amount": "1"}) for _ in range(5))
            )
            return (await client.get("/audit")).json()

    assert asyncio.run(act()) == {
        "wallets": 2,
        "log_rows": 7,
        "total": "1045.00",
        "findings": [],
        "verdict": "clean",
    }


def test_the_audit_finds_the_money_lost_without_a_lock(service):
    async def act():
        async with service(lock="none", work_ms=50) as client:
            await asyncio.gather(
                client.post("/wallets/alice/withdraw", json={"amount": "500"}),
                client.post("/wallets/alice/add", json={"amount": "300"}),
            )
            return (await client.get("/audit")).json()

    audit = asyncio.run(act())
    assert (audit["verdict"], audit["findings"][0]["kind"]) == ("broken", "money")
    assert audit["findings"][0]["amount"] in ("500.00", "-300.00")


def test_an_idle_lock_is_swept_periodically(service, monkeypatch):
    locks = []

    def kept(runtime):
        locks.append(PerUserLock(runtime))
        return locks[0]

    monkeypatch.setitem(LOCK_STRATEGIES, "kept", kept)

    async def act():
        async with service(lock="kept", idle_s=0, sweep_s=0.4):
            before = len(locks[0].locks)
            await asyncio.sleep(0.8)
            return before, len(locks[0].locks)

    assert asyncio.run(act()) == (2, 0)


def test_health_ready_and_metrics_answer(service):
    async def act():
        async with service() as client:
            return [await client.get(path) for path in ("/health", "/ready", "/metrics")]

    health, ready, metrics = asyncio.run(act())
    assert (health.json(), ready.json()) == ({"status": "up"}, {"status": "ready"})
    assert 'walletrace_operations_total{kind="open",outcome="ok"} 2.0' in metrics.text
    assert metrics.headers["content-type"].startswith("text/plain")
