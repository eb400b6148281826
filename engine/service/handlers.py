"""What each route does, in terms of the wallet: no HTTP in here."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest

from engine import history, operations
from engine.cached_reads import DirectReads
from engine.checks.ledger import audit as audit_ledger
from engine.errors import UnknownWallet
from engine.money import parse_cents, show_cents
from engine.orders import OrderService
from engine.ports import Row
from engine.service import messages
from engine.service.server_timing import looking
from engine.stores.opening import Database
from engine.verdicts import Verdict
from engine.wallet import WalletService


@dataclass(frozen=True, slots=True)
class Services:
    """What handlers work with. `metrics` is the registry that GET /metrics shows."""

    wallet: WalletService
    orders: OrderService
    database: Database
    metrics: CollectorRegistry
    document: bytes = b""


async def open_wallet(
    services: Services, account: str, body: messages.NewWallet, key: str | None
) -> history.Receipt:
    return await services.wallet.execute(body.operation(), key=key)


async def withdraw(
    services: Services, account: str, body: messages.Change, key: str | None
) -> history.Receipt:
    return await services.wallet.execute(body.withdraw(account), key=key)


async def add(
    services: Services, account: str, body: messages.Change, key: str | None
) -> history.Receipt:
    return await services.wallet.execute(body.add(account), key=key)


async def transfer(
    services: Services, account: str, body: messages.NewTransfer, key: str | None
) -> history.Receipt:
    return await services.wallet.execute(body.operation(), key=key)


async def batch(
    services: Services, account: str, body: messages.NewBatch, key: str | None
) -> history.Receipt:
    return await services.wallet.execute(body.operation(), key=key)


async def order(
    services: Services, account: str, body: messages.NewOrder, key: str | None
) -> history.Receipt:
    return await services.orders.create_order(body.order_id, body.account, parse_cents(body.amount))


async def balance(
    services: Services, account: str, query: messages.BalanceQuery
) -> messages.Balance:
    if query.fresh:
        cents, version = await _fresh_row(services, account)
    else:
        with looking() as timings:
            await services.wallet.balance(account)
        assert timings.seen is not None, "the wallet notes the row behind each answer"
        cents, version = timings.seen[account]
    return messages.Balance(account, show_cents(cents), version)


async def _fresh_row(services: Services, account: str) -> Row:
    row = await DirectReads(services.database.session).row(operations.valid_account(account))
    if row is None:
        raise UnknownWallet(f"no wallet {account!r}", "create it first")
    return row


async def sufficient(
    services: Services, account: str, query: messages.SufficientQuery
) -> messages.Sufficient:
    answer = await services.wallet.check_sufficient(account, parse_cents(query.amount))
    return messages.Sufficient(answer)


async def log_page(services: Services, account: str, query: messages.LogQuery) -> messages.LogPage:
    rows = await services.database.log(
        operations.valid_account(account),
        after_version=query.after_version,
        limit=query.limit + 1,  # one more, to know whether there is more
    )
    if not rows:
        await _fresh_row(services, account)  # an unknown wallet is an error, not a short log
    more = len(rows) > query.limit
    page = rows[: query.limit]
    return messages.LogPage(
        [messages.LogRow.of(row) for row in page], page[-1].version if more else None
    )


async def audit(services: Services, account: str, query: messages.NoQuery) -> messages.Audit:
    balances, log = await services.database.books()
    # Judged in a thread: a long log must not keep the event loop from its other requests.
    return await asyncio.to_thread(_judge, balances, log)


def _judge(balances: dict[str, Row], log: Sequence[history.LogRow]) -> messages.Audit:
    findings = [
        messages.Finding(finding.kind, finding.message, show_cents(finding.cents))
        for finding in audit_ledger(balances, log)
    ]
    return messages.Audit(
        wallets=len(balances),
        log_rows=len(log),
        total=show_cents(sum(row.balance for row in balances.values())),
        findings=findings,
        verdict=Verdict.BROKEN if findings else Verdict.CLEAN,
    )


async def health(services: Services, account: str, query: messages.NoQuery) -> messages.Status:
    return messages.Status("up")


async def ready(services: Services, account: str, query: messages.NoQuery) -> messages.Status:
    await services.database.session().read(("ready",))  # any name: the database must answer
    return messages.Status("ready")


def metrics_text(services: Services) -> bytes:
    return generate_latest(services.metrics)


def document(services: Services) -> bytes:
    return services.document
