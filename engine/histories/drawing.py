"""What generated histories are drawn from: when clients call, what they ask for, and of whom.

Everything here is vectorised, and the same seed draws the same history.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import UsageError
from engine.histories.columns import Ints
from engine.recording import Kind

# Reads, and a little more money in than out, so that balances neither vanish nor explode.
MIX: Mapping[Kind, float] = MappingProxyType(
    {Kind.BALANCE: 0.30, Kind.ADD: 0.35, Kind.WITHDRAW: 0.35}
)
# How many accounts a call touches. A batch is one leg on each of three accounts.
WIDTHS: Mapping[Kind, int] = MappingProxyType(
    {kind: {Kind.TRANSFER: 2, Kind.BATCH: 3}.get(kind, 1) for kind in Kind}
)
OPENING_VERSION = 1
QUESTIONS = (Kind.BALANCE, Kind.CHECK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What to generate. Money in the smallest unit.

    `mix`: shares of the kinds, `amounts`: drawn evenly from here to there (wide ones keep histories
    without versions unambiguous), `think`: the pause between calls, in halves of a call.
    `timeouts`: how many changes are never answered; half of those happen all the same, later.
    `zipf`: 0 is even use of the accounts, 1 and more makes the first ones hot. `racing`: the share
    of changes whose read stands apart from their write. `tick`: how coarse the clock is; 1 gives
    every moment a number of its own, more lets moments fall together.
    """

    calls: int
    clients: int = 8
    accounts: int = 1
    mix: Mapping[Kind, float] = field(default_factory=lambda: MIX)
    amounts: tuple[int, int] = (1, 1_000_000)
    opening: int = 50_000_000
    think: float = 0.2
    timeouts: int = 0
    zipf: float = 0.0
    racing: float = 0.0
    tick: int = 1

    def __post_init__(self) -> None:
        widest = max(self.mix, key=WIDTHS.__getitem__)
        if self.accounts < WIDTHS[widest]:
            raise UsageError(
                f"a {widest.name.lower()} on {self.accounts} accounts", f"use {WIDTHS[widest]}"
            )
        if Kind.OPEN in self.mix or Kind.CHANGE in self.mix:
            raise UsageError("open and change are not generated", "use the other kinds")


class Times(NamedTuple):
    """Per call; moments as fractions at first, as whole numbers in the end."""

    client: Ints
    invoked: NDArray[np.float64]
    effect: NDArray[np.float64]
    completed: NDArray[np.float64]


def drawn_times(shape: Shape, rng: np.random.Generator) -> Times:
    """When each call begins, takes effect and ends, in order of beginning."""
    each = -(-shape.calls // shape.clients)
    until, since = rng.exponential(1.0, (2, shape.clients, each))
    pause = rng.exponential(shape.think, (shape.clients, each)) if shape.think else 0.0
    completed = np.cumsum(until + since + pause, axis=1)
    effect = completed - since
    invoked = effect - until
    order = np.argsort(invoked, axis=None, kind="stable")[: shape.calls]
    client = np.repeat(np.arange(shape.clients), each)
    invoked, effect, completed = (each.ravel()[order] for each in (invoked, effect, completed))
    return Times(client[order], invoked, effect, completed)


class Requests(NamedTuple):
    """What each call asks for: columns as in History."""

    kind: Ints
    first: Ints
    account: Ints
    amount: Ints
    need: Ints


def drawn_requests(shape: Shape, rng: np.random.Generator) -> Requests:
    kinds = np.array([int(kind) for kind in shape.mix])
    shares = np.array(list(shape.mix.values()))
    kind = rng.choice(kinds, shape.calls, p=shares / shares.sum())
    width = np.array([WIDTHS[each] for each in Kind])[kind]
    first = np.concatenate(([0], np.cumsum(width)))
    call = np.repeat(np.arange(shape.calls), width)
    rank = np.arange(len(call)) - first[call]
    account = (_hot(shape, rng)[call] + _offsets(shape, rng)[call, rank]) % shape.accounts
    low, high = shape.amounts
    size = rng.integers(low, high, shape.calls, endpoint=True)[call]
    of = kind[call]
    taken = (of == Kind.WITHDRAW) | ((of == Kind.TRANSFER) & (rank == 0))
    taken |= (of == Kind.BATCH) & (rng.random(len(call)) < 0.5)
    amount = np.where(taken, -size, size)
    amount[np.isin(of, QUESTIONS)] = 0
    need = np.where(of == Kind.CHECK, size, np.maximum(0, -amount))
    return Requests(kind, first, account, amount, need)


def _hot(shape: Shape, rng: np.random.Generator) -> Ints:
    """The first account of each call."""
    weights = 1.0 / np.arange(1, shape.accounts + 1) ** shape.zipf
    return rng.choice(shape.accounts, shape.calls, p=weights / weights.sum())


def _offsets(shape: Shape, rng: np.random.Generator) -> Ints:
    """How far a call's other accounts are from its first: different ones, 0 where there is none."""
    found = np.zeros((shape.calls, max(WIDTHS.values())), np.int64)
    others = shape.accounts - 1
    if others >= 1:
        found[:, 1] = rng.integers(1, others, shape.calls, endpoint=True)
    if others >= 2:
        found[:, 2] = rng.integers(1, others - 1, shape.calls, endpoint=True)
        found[:, 2] += found[:, 2] >= found[:, 1]
    return found


class Order(NamedTuple):
    """What happens, in order: calls take effect (`call`), and racing ones read (`call + calls`).

    `unknown`: the calls that are never answered; those that never happen have no step.
    """

    steps: Sequence[int]
    unknown: NDArray[np.bool_]


def drawn_order(shape: Shape, times: Times, asked: Requests, rng: np.random.Generator) -> Order:
    """In which order to carry the calls out. A call without an answer may happen any time later."""
    changes = np.flatnonzero(~np.isin(asked.kind, QUESTIONS))
    unknown = np.zeros(shape.calls, np.bool_)
    lost = rng.choice(changes, min(shape.timeouts, len(changes)), replace=False)
    unknown[lost] = True
    effect = times.effect.copy()
    effect[lost] = times.invoked[lost] + 1.0 + rng.exponential(3.0, len(lost))
    happens = np.ones(shape.calls, np.bool_)
    happens[lost] = rng.random(len(lost)) < 0.5
    apart = changes[rng.random(len(changes)) < shape.racing]
    read = times.invoked[apart] + rng.random(len(apart)) * (effect - times.invoked)[apart]
    moments = np.concatenate((effect, read))
    step = np.concatenate((np.arange(shape.calls), apart + shape.calls))
    order = np.argsort(moments, kind="stable")
    order = order[happens[step[order] % shape.calls]]
    return Order(step[order].tolist(), unknown)
