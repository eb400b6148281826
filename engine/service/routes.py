"""Every route of the service, in one table. The application and the OpenAPI document read it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST

from engine import history
from engine.service import handlers, messages
from engine.service.handlers import Services


@dataclass(frozen=True, slots=True)
class Mutation:
    """POST. The type of `example` is the body's; the answer is a receipt."""

    path: str
    summary: str
    example: messages.Incoming
    handler: Callable[[Services, str, Any, str | None], Awaitable[history.Receipt]]
    status: int = 200
    method: ClassVar[str] = "POST"


@dataclass(frozen=True, slots=True)
class Question:
    """GET with parameters `query`, answered by a message of type `answer`."""

    path: str
    summary: str
    query: type[messages.Incoming]
    answer: type[msgspec.Struct]
    handler: Callable[[Services, str, Any], Awaitable[msgspec.Struct]]
    method: ClassVar[str] = "GET"


@dataclass(frozen=True, slots=True)
class Page:
    """GET of a ready text."""

    path: str
    summary: str
    handler: Callable[[Services], bytes]
    media_type: str = "application/json"
    method: ClassVar[str] = "GET"


Endpoint = Mutation | Question | Page

_CHANGE = messages.Change(amount="12.50", description="top-up")

ROUTES: tuple[Endpoint, ...] = (
    Mutation(
        "/wallets",
        "Create a wallet",
        messages.NewWallet(account="alice", opening="1000.00"),
        handlers.open_wallet,
        status=201,
    ),
    Question(
        "/wallets/{account}",
        "What the wallet holds; from the cache first unless fresh",
        messages.BalanceQuery,
        messages.Balance,
        handlers.balance,
    ),
    Question(
        "/wallets/{account}/log",
        "The wallet's operation log, oldest first, by pages",
        messages.LogQuery,
        messages.LogPage,
        handlers.log_page,
    ),
    Question(
        "/wallets/{account}/sufficient",
        "Whether the wallet holds the amount now; a withdrawal decides for itself again",
        messages.SufficientQuery,
        messages.Sufficient,
        handlers.sufficient,
    ),
    Mutation("/wallets/{account}/withdraw", "Take money out", _CHANGE, handlers.withdraw),
    Mutation("/wallets/{account}/add", "Put money in", _CHANGE, handlers.add),
    Mutation(
        "/transfers",
        "Move money between two wallets",
        messages.NewTransfer(source="alice", target="bob", amount="12.50"),
        handlers.transfer,
    ),
    Mutation(
        "/batches",
        "Several operations, whole or not at all",
        messages.NewBatch(
            operations=[
                messages.WithdrawLeg(account="alice", amount="100.00"),
                messages.AddLeg(account="alice", amount="50.00"),
                messages.TransferLeg(source="alice", target="bob", amount="12.50"),
            ]
        ),
        handlers.batch,
    ),
    Mutation(
        "/orders",
        "Pay for an order, or give its payment back",
        messages.NewOrder(order_id="order-1", account="alice", amount="12.50"),
        handlers.order,
        status=201,
    ),
    Question(
        "/audit",
        "Judge all balances by the operation log",
        messages.NoQuery,
        messages.Audit,
        handlers.audit,
    ),
    Page("/metrics", "Prometheus metrics", handlers.metrics_text, CONTENT_TYPE_LATEST),
    Question("/health", "The process answers", messages.NoQuery, messages.Status, handlers.health),
    Question("/ready", "The database answers", messages.NoQuery, messages.Status, handlers.ready),
    Page("/openapi.json", "This document", handlers.document),
)
