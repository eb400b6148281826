"""What a call asked of each account, and what it found there: the rows that a recording keeps."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.history import Receipt
from engine.operations import (
    Add,
    Balance,
    Batch,
    CheckSufficient,
    Open,
    Operation,
    Question,
    Transfer,
    Withdraw,
)
from engine.recording import MISSING, Touched

# By account: the amount (signed cents), and what the account must hold.
Wanted = dict[str, tuple[int, int]]

_NOT_ASKED = (MISSING, MISSING)
_NOT_SEEN = (MISSING, MISSING, MISSING)


def touched(
    request: Operation | Question,
    receipt: Receipt | None = None,
    seen: Mapping[str, tuple[int, int]] | None = None,
) -> Sequence[Touched]:
    """A row for each account. Without a receipt nothing was changed, but maybe `seen`.

    >>> touched(Withdraw("a", 500), seen={"a": (300, 7)})
    [('a', -500, 500, 300, 300, 7)]
    """
    asked = wanted(request)
    if receipt is not None:
        return [
            (account, *asked.get(account, _NOT_ASKED), before, after, version)
            for account, before, after, version in receipt.entries
        ]
    known = seen or {}
    return [(account, *each, *_unchanged(known.get(account))) for account, each in asked.items()]


def _unchanged(row: tuple[int, int] | None) -> tuple[int, int, int]:
    return _NOT_SEEN if row is None else (row[0], *row)


def wanted(request: Operation | Question) -> Wanted:
    """What `request` would change, account by account.

    >>> wanted(Transfer("a", "b", 500))
    {'a': (-500, 500), 'b': (500, 0)}
    """
    return _WANTED[type(request)](request)


def _batch(batch: Batch) -> Wanted:
    """Sums over the legs; what an account needs is the deepest that it would go below zero."""
    sums: Wanted = {}
    for leg in batch.legs:
        for account, (amount, need) in wanted(leg).items():
            held, needed = sums.get(account, (0, 0))
            sums[account] = held + amount, max(needed, need - held)
    return sums


# By type, since a `match` takes three times as long and every call of a run comes by here.
_WANTED: dict[type, Callable[[Any], Wanted]] = {
    Withdraw: lambda asked: {asked.account: (-asked.amount, asked.amount)},
    Add: lambda asked: {asked.account: (asked.amount, 0)},
    Transfer: lambda asked: {
        asked.source: (-asked.amount, asked.amount),
        asked.target: (asked.amount, 0),
    },
    Batch: _batch,
    Open: lambda asked: {asked.account: (asked.opening, 0)},
    Balance: lambda asked: {asked.account: (0, 0)},
    CheckSufficient: lambda asked: {asked.account: (0, asked.amount)},
}
