"""What guarded updates ask of each account: to hold enough at the outset, and not too much.

`UPDATE … SET balance = balance + delta WHERE balance BETWEEN least AND most` changes an account
exactly where `operation.apply` would, whatever the order of a batch's legs:

>>> from engine.operations import Add, Batch, Withdraw
>>> [guard] = guards(Batch((Withdraw("u", 100), Add("u", 150))))
>>> guard.delta, guard.least
(50, 100)
"""

from collections.abc import Iterator
from typing import NamedTuple

from engine.money import BALANCE_CENTS_MAX
from engine.operations import Add, Batch, Open, Operation, Transfer, Withdraw


class Guard(NamedTuple):
    """By how much one account changes (cents), and between which balances it may."""

    account: str
    delta: int
    least: int
    most: int


def guards(operation: Operation) -> tuple[Guard, ...]:
    """One guard for each account, sorted; not for `Open`, which finds no row to guard."""
    found: dict[str, Guard] = {}
    for account, cents in _changes(operation):
        _, before, least, most = found.get(account) or (account, 0, 0, BALANCE_CENTS_MAX)
        # No leg may find less than it takes, nor leave more than a wallet holds.
        delta = before + cents
        least, most = max(least, -delta), min(most, BALANCE_CENTS_MAX - delta)
        found[account] = Guard(account, delta, least, most)
    return tuple(sorted(found.values()))


def _changes(operation: Operation) -> Iterator[tuple[str, int]]:
    match operation:
        case Withdraw(account, amount):
            yield account, -amount
        case Add(account, amount):
            yield account, amount
        case Transfer(source, target, amount):
            yield source, -amount
            yield target, amount
        case Batch(legs):
            for leg in legs:
                yield from _changes(leg)
        case Open():
            raise AssertionError("a wallet that is not there cannot be guarded")
