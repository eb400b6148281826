"""The JSON that goes in and out, as typed messages; the OpenAPI document is made from them.

Amounts travel as exact decimal texts ("12.50"). What comes in is parsed here, at the edge, into
the engine's operations; unknown fields are refused, since a misspelt one would be ignored money.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from engine import history
from engine.money import BALANCE_CENTS_MAX, parse_cents, show_cents
from engine.operations import (
    ACCOUNT_PATTERN,
    DESCRIPTION_MAX,
    Add,
    Batch,
    Open,
    Transfer,
    Withdraw,
)

# Shown in the document and checked by the engine, whose messages say the way out.
Account = Annotated[
    str,
    Meta(
        description="1 to 64 letters, digits and _ . : @ -",
        extra_json_schema={"pattern": f"^{ACCOUNT_PATTERN}$"},
    ),
]
Amount = Annotated[
    str,
    Meta(
        description="exact decimal text with at most two decimals",
        extra_json_schema={"pattern": r"^[0-9]{1,20}(\.[0-9]{1,2})?$"},
    ),
]
Description = Annotated[str, Meta(extra_json_schema={"maxLength": DESCRIPTION_MAX, "default": ""})]
Version = Annotated[int, Meta(ge=0, le=2**53)]
PAGE_MAX = 1000


class Incoming(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a client sends."""


class NewWallet(Incoming, frozen=True, kw_only=True):
    account: Account
    opening: Amount = "0.00"
    description: Description = ""

    def operation(self) -> Open:
        cents = parse_cents(self.opening, least=0, most=BALANCE_CENTS_MAX)
        return Open(self.account, cents, description=self.description)


class Change(Incoming, frozen=True, kw_only=True):
    """The body of a withdrawal or of money added; the path names the account."""

    amount: Amount
    description: Description = ""

    def withdraw(self, account: str) -> Withdraw:
        return Withdraw(account, parse_cents(self.amount), description=self.description)

    def add(self, account: str) -> Add:
        return Add(account, parse_cents(self.amount), description=self.description)


class NewTransfer(Incoming, frozen=True, kw_only=True):
    source: Account
    target: Account
    amount: Amount
    description: Description = ""

    def operation(self) -> Transfer:
        return Transfer(
            self.source, self.target, parse_cents(self.amount), description=self.description
        )


class WithdrawLeg(Change, frozen=True, kw_only=True, tag_field="kind", tag="withdraw"):
    account: Account

    def operation(self) -> Withdraw:
        return self.withdraw(self.account)


class AddLeg(Change, frozen=True, kw_only=True, tag_field="kind", tag="add"):
    account: Account

    def operation(self) -> Add:
        return self.add(self.account)


class TransferLeg(NewTransfer, frozen=True, kw_only=True, tag_field="kind", tag="transfer"):
    pass


class NewBatch(Incoming, frozen=True, kw_only=True):
    """Operations in their order; they happen whole or not at all."""

    operations: list[WithdrawLeg | AddLeg | TransferLeg]
    description: Description = ""

    def operation(self) -> Batch:
        legs = tuple(leg.operation() for leg in self.operations)
        return Batch(legs, description=self.description)


class NewOrder(Incoming, frozen=True, kw_only=True):
    """An order's id is its idempotency key: send it again with the same id."""

    order_id: Account
    account: Account
    amount: Amount


class BalanceQuery(Incoming, frozen=True, kw_only=True):
    fresh: bool = False


class LogQuery(Incoming, frozen=True, kw_only=True):
    after_version: Version = 0
    limit: Annotated[int, Meta(ge=1, le=PAGE_MAX)] = 100


class SufficientQuery(Incoming, frozen=True, kw_only=True):
    amount: Amount


class NoQuery(Incoming, frozen=True, kw_only=True):
    pass


class Entry(Struct, frozen=True):
    account: str
    before: Amount
    after: Amount
    version: int


class Receipt(Struct, frozen=True):
    operation_id: str
    entries: list[Entry]

    @classmethod
    def of(cls, receipt: history.Receipt) -> "Receipt":
        return cls(
            receipt.call_id,
            [
                Entry(
                    entry.account, show_cents(entry.before), show_cents(entry.after), entry.version
                )
                for entry in receipt.entries
            ],
        )


class Balance(Struct, frozen=True):
    account: str
    balance: Amount
    version: int


class Sufficient(Struct, frozen=True):
    sufficient: bool


class LogRow(Struct, frozen=True):
    """`amount` is after - before, so it may be negative; `time_ms` counts from the epoch."""

    operation_id: str
    account: str
    kind: str
    amount: str
    before: Amount
    after: Amount
    version: int
    description: str
    time_ms: int

    @classmethod
    def of(cls, row: history.LogRow) -> "LogRow":
        shown = {name: show_cents(getattr(row, name)) for name in ("amount", "before", "after")}
        return msgspec.convert(row._asdict() | shown, cls)


class LogPage(Struct, frozen=True):
    """Ask again with `after_version` = `next_after_version` until that is null."""

    rows: list[LogRow]
    next_after_version: int | None


class Finding(Struct, frozen=True):
    kind: str
    message: str
    amount: str


class Audit(Struct, frozen=True):
    """`verdict` is "clean" or "broken"; `total` is the sum of all balances."""

    wallets: int
    log_rows: int
    total: str
    findings: list[Finding]
    verdict: str


class Status(Struct, frozen=True):
    status: str


class Problem(Struct, frozen=True, omit_defaults=True):
    """RFC 9457. `code` is stable: switch on it. `seen` are the balances on which it was refused."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    seen: list[Balance] = []
