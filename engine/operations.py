"""Operations and questions: values with a pure meaning. Who locks and commits is decided elsewhere.

>>> Withdraw("u", 500).apply({"u": 1000})
{'u': 500}
>>> Withdraw("u", 500).apply({"u": 100})
Traceback (most recent call last):
    ...
engine.errors.InsufficientFunds: u holds 1.00, 5.00 asked for

`apply` receives the balances (cents) of the accounts it names, absent wallets left out, and returns
their new balances or raises a BusinessError. The judges' sequential model is this same function.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from engine.errors import (
    BalanceTooLarge,
    InsufficientFunds,
    InvalidAccount,
    InvalidBatch,
    InvalidRequest,
    SameAccount,
    UnknownWallet,
    WalletExists,
)
from engine.money import BALANCE_CENTS_MAX, bounded_cents, show_cents

Balances = Mapping[str, int]

# ASCII only: two spellings that look alike must never be one account with two locks.
ACCOUNT_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}"
BATCH_MAX = 1000
DESCRIPTION_MAX = 200

_ACCOUNT = re.compile(ACCOUNT_PATTERN, re.ASCII)
# Neither NUL nor half a surrogate pair, which a str can hold but no database and no UTF-8 can.
_DESCRIPTION = re.compile(rf"[^\x00\ud800-\udfff]{{0,{DESCRIPTION_MAX}}}")


def valid_account(account: object) -> str:
    """`account` itself if it is an account name, else InvalidAccount."""
    if isinstance(account, str) and _ACCOUNT.fullmatch(account):
        return account
    shown = repr(account)
    raise InvalidAccount(
        f"{shown if len(shown) <= 70 else shown[:70] + '…'} is no account name",
        "use 1 to 64 letters, digits and _ . : @ -, starting with a letter or digit",
    )


def valid_description(text: object) -> str:
    """`text` itself if it is a text of at most DESCRIPTION_MAX characters, else InvalidRequest."""
    if isinstance(text, str) and _DESCRIPTION.fullmatch(text):
        return text
    raise InvalidRequest(
        "the description is not a plain text of bounded length",
        f"use at most {DESCRIPTION_MAX} characters",
    )


def _balance(balances: Balances, account: str) -> int:
    try:
        return balances[account]
    except KeyError:
        raise UnknownWallet(f"no wallet {account!r}", "create it first") from None


def _less(balances: Balances, account: str, amount: int) -> int:
    held = _balance(balances, account)
    if held < amount:
        raise InsufficientFunds(
            f"{account} holds {show_cents(held)}, {show_cents(amount)} asked for"
        )
    return held - amount


def _more(balances: Balances, account: str, amount: int) -> int:
    after = _balance(balances, account) + amount
    if after > BALANCE_CENTS_MAX:
        raise BalanceTooLarge(
            f"{account} would hold {show_cents(after)}",
            f"a wallet holds at most {show_cents(BALANCE_CENTS_MAX)}",
        )
    return after


@dataclass(frozen=True, slots=True)
class _Single:
    """What Withdraw and Add share: one account, one amount."""

    account: str
    amount: int
    description: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        valid_account(self.account)
        bounded_cents(self.amount)
        valid_description(self.description)

    @property
    def written(self) -> tuple[str, ...]:
        """The accounts in the order the caller wrote them, each once."""
        return (self.account,)


@dataclass(frozen=True, slots=True)
class Withdraw(_Single):
    """Take `amount` cents out of `account`, never below zero."""

    kind: ClassVar[str] = "withdraw"

    def apply(self, balances: Balances) -> dict[str, int]:
        return {self.account: _less(balances, self.account, self.amount)}


@dataclass(frozen=True, slots=True)
class Add(_Single):
    """Put `amount` cents into `account`."""

    kind: ClassVar[str] = "add"

    def apply(self, balances: Balances) -> dict[str, int]:
        return {self.account: _more(balances, self.account, self.amount)}


@dataclass(frozen=True, slots=True)
class Transfer:
    """Move `amount` cents from `source` to `target`."""

    source: str
    target: str
    amount: int
    description: str = field(default="", kw_only=True)
    kind: ClassVar[str] = "transfer"

    def __post_init__(self) -> None:
        valid_account(self.source)
        valid_account(self.target)
        bounded_cents(self.amount)
        valid_description(self.description)
        if self.source == self.target:
            raise SameAccount(f"transfer from {self.source!r} to itself", "name two accounts")

    @property
    def written(self) -> tuple[str, ...]:
        return (self.source, self.target)

    def apply(self, balances: Balances) -> dict[str, int]:
        return {
            self.source: _less(balances, self.source, self.amount),
            self.target: _more(balances, self.target, self.amount),
        }


Leg = Withdraw | Add | Transfer


@dataclass(frozen=True, slots=True)
class Batch:
    """Several operations, in the order written, that happen whole or not at all."""

    legs: tuple[Leg, ...]
    description: str = field(default="", kw_only=True)
    kind: ClassVar[str] = "batch"

    def __post_init__(self) -> None:
        valid_description(self.description)
        if not 1 <= len(self.legs) <= BATCH_MAX:
            raise InvalidBatch(
                f"a batch of {len(self.legs)} operations", f"send 1 to {BATCH_MAX} of them"
            )
        for leg in self.legs:
            if not isinstance(leg, Leg):
                raise InvalidBatch(f"{leg!r} in a batch", "use withdraw, add and transfer")

    @property
    def written(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(account for leg in self.legs for account in leg.written))

    def apply(self, balances: Balances) -> dict[str, int]:
        after = dict(balances)
        for leg in self.legs:
            after |= leg.apply(after)
        return {account: after[account] for account in self.written}


@dataclass(frozen=True, slots=True)
class Open:
    """Create the wallet `account` with `opening` cents in it (zero is fine)."""

    account: str
    opening: int = 0
    description: str = field(default="", kw_only=True)
    kind: ClassVar[str] = "open"

    def __post_init__(self) -> None:
        valid_account(self.account)
        bounded_cents(self.opening, 0, BALANCE_CENTS_MAX)
        valid_description(self.description)

    @property
    def written(self) -> tuple[str, ...]:
        return (self.account,)

    def apply(self, balances: Balances) -> dict[str, int]:
        if self.account in balances:
            raise WalletExists(f"wallet {self.account!r} is there already", "use another name")
        return {self.account: self.opening}


Operation = Withdraw | Add | Transfer | Batch | Open


@dataclass(frozen=True, slots=True)
class Balance:
    """The question: what does `account` hold?"""

    account: str
    kind: ClassVar[str] = "balance"

    def __post_init__(self) -> None:
        valid_account(self.account)

    def answer(self, balances: Balances) -> int:
        return _balance(balances, self.account)


@dataclass(frozen=True, slots=True)
class CheckSufficient:
    """The question: does `account` hold at least `amount` cents? Advice only."""

    account: str
    amount: int
    kind: ClassVar[str] = "check"

    def __post_init__(self) -> None:
        valid_account(self.account)
        bounded_cents(self.amount)

    def answer(self, balances: Balances) -> bool:
        return _balance(balances, self.account) >= self.amount


Question = Balance | CheckSufficient


def accounts_of(operation: Operation) -> tuple[str, ...]:
    """The accounts that `operation` touches, sorted: the one order in which everybody locks."""
    return tuple(sorted(operation.written))


def description_for(operation: Operation, account: str) -> str:
    """What the operation log says beside `account`; for a batch, the texts of its legs."""
    if not isinstance(operation, Batch):
        return operation.description
    texts = [leg.description for leg in operation.legs if account in leg.written]
    return "; ".join(filter(None, [operation.description, *texts]))[:DESCRIPTION_MAX]


def fingerprint(operation: Operation) -> str:
    """Names the body of an operation, so that an idempotency key cannot serve two of them."""
    return hashlib.sha256(repr(operation).encode()).hexdigest()[:32]
