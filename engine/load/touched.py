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
from engine.recording import MISSING

# Account, amount (signed cents), and what the account must hold.
Wanted = tuple[tuple[str, int, int], ...]
# Those, and before, after and version.
Touched = Sequence[tuple[str, int, int, int, int, int]]

_NOT_SEEN = (MISSING, MISSING, MISSING)


def touched(
    request: Operation | Question,
    receipt: Receipt | None = None,
    seen: Mapping[str, tuple[int, int]] | None = None,
) -> Touched:
    """A row for each account in the order written; `seen`, without a receipt, changed nothing.

    >>> touched(Withdraw("a", 500), seen={"a": (300, 7)})
    [('a', -500, 500, 300, 300, 7)]
    """
    asked = wanted(request)
    found: Mapping[str, tuple[int, int, int]] = {}
    if receipt is not None:
        if len(asked) == 1:  # as almost always, and three times as fast
            return ((*asked[0], *receipt.entries[0][1:]),)
        found = {entry[0]: entry[1:] for entry in receipt.entries}
    elif seen:
        found = {account: (held, held, version) for account, (held, version) in seen.items()}
    return [(*each, *found.get(each[0], _NOT_SEEN)) for each in asked]


def wanted(request: Operation | Question) -> Wanted:
    """What `request` would change, account by account.

    >>> wanted(Transfer("a", "b", 500))
    (('a', -500, 500), ('b', 500, 0))
    """
    return _WANTED[type(request)](request)


def _batch(batch: Batch) -> Wanted:
    """Sums over the legs; what an account needs is the deepest that it would go below zero."""
    amounts: dict[str, int] = {}
    needs: dict[str, int] = {}
    for leg in batch.legs:
        for account, amount, need in wanted(leg):
            held = amounts.get(account, 0)
            needs[account] = max(needs.get(account, 0), need - held)
            amounts[account] = held + amount
    return tuple((account, amounts[account], needs[account]) for account in amounts)


# By type, since a `match` takes three times as long and every call of a run comes by here.
_WANTED: dict[type, Callable[[Any], Wanted]] = {
    Withdraw: lambda asked: ((asked.account, -asked.amount, asked.amount),),
    Add: lambda asked: ((asked.account, asked.amount, 0),),
    Transfer: lambda asked: (
        (asked.source, -asked.amount, asked.amount),
        (asked.target, asked.amount, 0),
    ),
    Batch: _batch,
    Open: lambda asked: ((asked.account, asked.opening, 0),),
    Balance: lambda asked: ((asked.account, 0, 0),),
    CheckSufficient: lambda asked: ((asked.account, 0, asked.amount),),
}
