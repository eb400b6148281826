"""What the users of this process know about the money: for each account an interval of cents.

A call widens the interval when it is sent and narrows it again when its outcome is known. So a call
that was never answered (a timeout, a broken connection, a user that was stopped meanwhile) leaves
the interval wide: it may have happened or not, now or later.

>>> ledger = Ledger()
>>> ledger.sent({"u": -500})
>>> ledger.interval("u")
(-500, 0)
>>> ledger.happened({"u": -500})
>>> ledger.interval("u")
(-500, -500)
"""

from collections import Counter
from collections.abc import Iterable, Mapping

Effects = Mapping[str, int]  # account to cents: what the call does if it happens


class Ledger:
    """Sums over calls, in cents; nothing is kept for a single call, so memory stays flat."""

    def __init__(self, low: Effects | None = None, high: Effects | None = None) -> None:
        self.low: Counter[str] = Counter(low)
        self.high: Counter[str] = Counter(high)

    def sent(self, effects: Effects) -> None:
        """A call is on its way."""
        for account, cents in effects.items():
            self._far(cents)[account] += cents

    def happened(self, effects: Effects) -> None:
        """The call was acknowledged: now the other end moves too."""
        for account, cents in effects.items():
            self._near(cents)[account] += cents

    def nothing_happened(self, effects: Effects) -> None:
        """The call was refused: the end that `sent` moved moves back."""
        for account, cents in effects.items():
            self._far(cents)[account] -= cents

    def interval(self, account: str) -> tuple[int, int]:
        """The least and the most that the calls may have added to `account`."""
        return self.low[account], self.high[account]

    def merge(self, low: Effects, high: Effects) -> None:
        """Add what the users of another process know."""
        self.low.update(low)
        self.high.update(high)

    def _far(self, cents: int) -> Counter[str]:
        return self.low if cents < 0 else self.high

    def _near(self, cents: int) -> Counter[str]:
        return self.high if cents < 0 else self.low


def effects_of(moves: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The net effects of several moves (account, cents).

    >>> effects_of([("a", -5), ("b", 5), ("a", 2)])
    {'a': -3, 'b': 5}
    """
    net: Counter[str] = Counter()
    for account, cents in moves:
        net[account] += cents
    return dict(net)


def needs_of(moves: Iterable[tuple[str, int]]) -> dict[str, int]:
    """What each account must hold for the moves, one after the other, never to go below zero.

    >>> needs_of([("a", -5), ("a", 2), ("a", -4), ("b", 5)])
    {'a': 7}
    """
    held: Counter[str] = Counter()
    needs: dict[str, int] = {}
    for account, cents in moves:
        held[account] += cents
        if held[account] < 0:
            needs[account] = max(needs.get(account, 0), -held[account])
    return needs


def differences(opening_cents: int, ledger: Ledger, held: Mapping[str, int]) -> dict[str, int]:
    """For each account of `held` (account to cents) that lies outside its interval, how far.

    Positive cents were made, negative ones lost.
    """
    found = {}
    for account, cents in held.items():
        low, high = ledger.interval(account)
        grown = cents - opening_cents
        outside = min(0, grown - low) or max(0, grown - high)
        if outside:
            found[account] = outside
    return found
