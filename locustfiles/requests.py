"""Which requests a user sends: drawn from the user's own luck, so that a seed repeats them."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from engine.money import show_cents
from locustfiles.ledger import effects_of, needs_of

BATCH_LEGS = 4
MIX = {"withdraw": 8, "add": 8, "transfer": 4, "batch": 1, "balance": 2}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request and what it does to the accounts if it happens. No body: a question.

    `effects` and `needs` in cents: by how much accounts change, and what they have to hold for it.
    `asked` is the account that a question is about.
    """

    kind: str
    path: str
    body: Mapping[str, Any] | None
    effects: Mapping[str, int]
    needs: Mapping[str, int]
    asked: str = ""


class Luck:
    """Draws requests over `accounts`, amounts uniform from one cent to `amount_cents_max`."""

    def __init__(self, rng: random.Random, accounts: Sequence[str], amount_cents_max: int) -> None:
        self._rng = rng
        self._accounts = accounts
        self._amount_cents_max = amount_cents_max
        # One account cannot transfer to itself.
        self._kinds = [kind for kind in MIX if kind != "transfer" or len(accounts) > 1]
        self._weights = list(accumulate(MIX[kind] for kind in self._kinds))

    def mixed(self) -> Request:
        """Any request, as often as MIX says."""
        (kind,) = self._rng.choices(self._kinds, cum_weights=self._weights)
        return self.draw(kind)

    def draw(self, kind: str) -> Request:
        """A request of this kind."""
        if kind == "transfer":
            return self._transfer()
        if kind == "batch":
            return self._batch()
        account = self._rng.choice(self._accounts)
        if kind == "balance":
            return Request(kind, f"/wallets/{account}", None, {}, {}, account)
        cents = self._amount()
        sign = -1 if kind == "withdraw" else 1
        body = {"amount": show_cents(cents)}
        moves = [(account, sign * cents)]
        return Request(kind, f"/wallets/{account}/{kind}", body, dict(moves), needs_of(moves))

    def _transfer(self) -> Request:
        source, target = self._rng.sample(self._accounts, 2)
        cents = self._amount()
        body = {"source": source, "target": target, "amount": show_cents(cents)}
        moves = [(source, -cents), (target, cents)]
        return Request("transfer", "/transfers", body, dict(moves), needs_of(moves))

    def _batch(self) -> Request:
        legs, moves = [], []
        for _ in range(BATCH_LEGS):
            kind, sign = self._rng.choice((("withdraw", -1), ("add", 1)))
            account, cents = self._rng.choice(self._accounts), self._amount()
            legs.append({"kind": kind, "account": account, "amount": show_cents(cents)})
            moves.append((account, sign * cents))
        body = {"operations": legs}
        return Request("batch", "/batches", body, effects_of(moves), needs_of(moves))

    def _amount(self) -> int:
        return self._rng.randint(1, self._amount_cents_max)
