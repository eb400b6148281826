"""What the clients of a load run ask for: a mix of operations over accounts, drawn from luck.

>>> workload = parse("withdraw=1", "uniform:3")
>>> workload.accounts.names
('user-0', 'user-1', 'user-2')
>>> workload.draw(random.Random(1)) == workload.draw(random.Random(1))
True

`hot` puts every operation on one account and lets transfers go between it and a few others;
`uniform:1000` draws all accounts alike; `zipf:1000` draws account k with weight 1/k, and
`zipf:1000:1.1` with weight 1/k**1.1.
"""

import random
import re
from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate

from engine.errors import UsageError
from engine.operations import Add, Balance, Batch, Operation, Question, Transfer, Withdraw

KINDS = ("withdraw", "add", "transfer", "batch", "balance")
WEIGHT_MAX = 1_000_000
ACCOUNTS_MAX = 1_000_000
ZIPF_EXPONENT_MAX = 5.0

# From many values, so that two operations are hardly ever mistaken for each other in a history.
AMOUNT_CENTS_DRAWN_MAX = 1_000_000
# So much that a run of random amounts is seldom refused, unless it only withdraws.
OPENING_CENTS = 100_000_000_000

BATCH_LEGS = 4

_HOT, _BESIDE_HOT = "hot", 16
_WEIGHT_OF_FIRST = 10**9  # whole numbers, so that nothing is rounded between two accounts
_ACCOUNTS = re.compile(
    r"(?P<kind>uniform|zipf):(?P<count>[0-9]{1,7})(?::(?P<exponent>[0-9]+(?:\.[0-9]+)?))?"
)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Account names, the running sums of their weights, and whether every draw has the first."""

    names: tuple[str, ...]
    weights: tuple[int, ...]
    hot: bool = False

    def one(self, rng: random.Random) -> str:
        """The account of an operation that touches one."""
        return self.names[self._place(rng)]

    def two(self, rng: random.Random) -> tuple[str, str]:
        """Two different accounts, in either order."""
        one = self._place(rng)
        below = self.weights[one - 1] if one else 0
        own = self.weights[one] - below
        # Drawn from all the others at once: drawing until it differs takes long where one weighs
        # almost everything.
        drawn = rng.randrange(self.weights[-1] - own)
        other = bisect(self.weights, drawn if drawn < below else drawn + own)
        pair = self.names[one], self.names[other]
        return pair if rng.random() < 0.5 else pair[::-1]

    def _place(self, rng: random.Random) -> int:
        return 0 if self.hot else bisect(self.weights, rng.randrange(self.weights[-1]))


@dataclass(frozen=True, slots=True)
class Workload:
    """A mix over accounts. Whatever it draws depends only on the random.Random it is given."""

    kinds: tuple[str, ...]
    weights: tuple[int, ...]
    accounts: Accounts

    def openings(self) -> dict[str, int]:
        """The wallets to open, account to cents."""
        return dict.fromkeys(self.accounts.names, OPENING_CENTS)

    def draw(self, rng: random.Random) -> Operation | Question:
        """The next thing that a client asks for."""
        (kind,) = rng.choices(self.kinds, cum_weights=self.weights)
        match kind:
            case "withdraw":
                return Withdraw(self.accounts.one(rng), amount(rng))
            case "add":
                return Add(self.accounts.one(rng), amount(rng))
            case "transfer":
                return Transfer(*self.accounts.two(rng), amount(rng))
            case "batch":
                return batch(*self.accounts.two(rng), rng)
        return Balance(self.accounts.one(rng))


def amount(rng: random.Random) -> int:
    """An amount in cents."""
    return rng.randint(1, AMOUNT_CENTS_DRAWN_MAX)


def batch(one: str, other: str, rng: random.Random) -> Batch:
    """BATCH_LEGS related operations on two accounts: the guide's example and a transfer."""
    return Batch(
        (
            Withdraw(one, amount(rng)),
            Add(one, amount(rng)),
            Add(other, amount(rng)),
            Transfer(one, other, amount(rng)),
        )
    )


def parse(mix: str, accounts: str) -> Workload:
    """The workload of two texts, like "withdraw=4,add=4,transfer=1" and "zipf:1000". UsageError."""
    weights = parse_mix(mix)
    chosen = parse_accounts(accounts)
    if len(chosen.names) < 2 and weights.keys() & {"transfer", "batch"}:
        raise UsageError(
            f"the mix {mix!r} needs two accounts and {accounts!r} has one", "use uniform:2 or more"
        )
    return Workload(tuple(weights), tuple(accumulate(weights.values())), chosen)


def parse_mix(text: str) -> dict[str, int]:
    """Kind to weight, kinds of weight 0 left out. UsageError."""
    way_out = f'write it like "withdraw=4,add=4,transfer=1"; kinds: {", ".join(KINDS)}'
    weights: dict[str, int] = {}
    for part in text.split(","):
        kind, _, weight = (piece.strip() for piece in part.partition("="))
        if kind not in KINDS:
            raise UsageError(f"no kind {kind!r} in the mix {text!r}", way_out)
        if kind in weights:
            raise UsageError(f"{kind} stands twice in the mix {text!r}", way_out)
        if not re.fullmatch("[0-9]{1,7}", weight) or int(weight) > WEIGHT_MAX:
            raise UsageError(
                f"the weight {weight!r} of {kind} is no number from 0 to {WEIGHT_MAX}", way_out
            )
        weights[kind] = int(weight)
    if not any(weights.values()):
        raise UsageError(f"every weight in the mix {text!r} is 0", way_out)
    return {kind: weight for kind, weight in weights.items() if weight}


def parse_accounts(text: str) -> Accounts:
    """The accounts that "hot", "uniform:N", "zipf:N" or "zipf:N:S" names. UsageError."""
    if text == _HOT:
        names = (_HOT, *(f"beside-{number}" for number in range(_BESIDE_HOT)))
        return Accounts(names, tuple(range(1, len(names) + 1)), hot=True)
    match = _ACCOUNTS.fullmatch(text)
    if match is None or (match["kind"] == "uniform" and match["exponent"]):
        raise UsageError(
            f"no accounts {text!r}", "use hot, uniform:1000, zipf:1000 or zipf:1000:1.1"
        )
    count, exponent = int(match["count"]), float(match["exponent"] or 1)
    if not 1 <= count <= ACCOUNTS_MAX or exponent > ZIPF_EXPONENT_MAX:
        raise UsageError(
            f"the accounts {text!r} are out of bounds",
            f"use 1 to {ACCOUNTS_MAX} accounts and exponents up to {ZIPF_EXPONENT_MAX:g}",
        )
    steepness = 0.0 if match["kind"] == "uniform" else exponent
    weights = (max(1, round(_WEIGHT_OF_FIRST * k**-steepness)) for k in range(1, count + 1))
    return Accounts(tuple(f"user-{number}" for number in range(count)), tuple(accumulate(weights)))
