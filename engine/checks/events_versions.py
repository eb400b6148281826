"""Versions that nobody recorded, where what calls found and left forces the order of the changes.

On one account a change leads from one balance to another. If no two changes found the same balance
at the same time, then a walk from the opening balance along them has no choice anywhere: it is the
only order there can be, and places in it serve as versions.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.checks.events_accounts import derived, endings
from engine.histories.columns import MISSING, History, Ints
from engine.recording import Ended, Kind

Mask = NDArray[np.bool_]


def infer_versions(history: History) -> History | None:
    """The history with the only versions it can have; None where some order is not forced.

    So that layers that know versions can decide what calls on several accounts amount to. None,
    too, where calls are of unknown outcome, an answer tells no balance, no order exists at all
    (`check_events` says where), or the calls have no common clock. Opening versions are 0 where
    they are not known.
    """
    if (history.invoked == MISSING).any() or len(np.unique(history.clock)) > 1:
        return None
    entries = _Entries.of(history)
    if entries is None:
        return None
    opened = np.where(history.opening_versions == MISSING, 0, history.opening_versions)
    version = np.full(history.entries, MISSING)
    for account, mine in _by_account(history):
        changes, looks = mine[entries.changed[mine]], mine[entries.looked[mine]]
        opening = int(history.openings[account])
        order = None if opening == MISSING else entries.only_order(opening, changes)
        seen = None if order is None else entries.only_places(opening, order, looks)
        if order is None or seen is None:
            return None
        version[order] = opened[account] + 1 + np.arange(len(order))
        version[looks] = opened[account] + seen
    return replace(history, version=version, opening_versions=opened)


def _by_account(history: History) -> Iterator[tuple[int, Ints]]:
    """The entries of each account that calls touched."""
    order = np.argsort(history.account, kind="stable")
    bounds = np.searchsorted(history.account[order], np.arange(len(history.accounts) + 1))
    for account, (start, end) in enumerate(pairwise(bounds.tolist())):
        if start < end:
            yield account, order[start:end]


@dataclass(frozen=True, slots=True)
class _Entries:
    """Per entry: what it found and left, when its call was asked and answered, what it did."""

    before: Ints
    after: Ints
    invoked: Ints
    completed: Ints
    changed: Mask
    looked: Mask

    @classmethod
    def of(cls, history: History) -> "_Entries | None":
        """None where what some call found is not known."""
        call = history.call_of_entry()
        ended, too_little = (column[call] for column in endings(history))
        asks, ok = history.kind[call] <= Kind.CHECK, ended == Ended.OK
        before, after, amount, need = derived(history)
        looked = (ok & (asks | (amount == 0))) | (
            (ended == Ended.REFUSED) & too_little & (need > 0)
        )
        changed = ok & ~looked
        unknown = (ended == Ended.UNKNOWN) & ~asks
        told = (before != MISSING) & (after != MISSING)
        adds_up = before + np.where(changed, amount, 0) == after
        if unknown.any() or not (told & adds_up)[changed | looked].all():
            return None
        return cls(before, after, history.invoked[call], history.completed[call], changed, looked)

    def only_order(self, opening: int, changes: Ints) -> Ints | None:
        """The changes in the one order that leads from balance to balance, if there is just one."""
        ordered = changes[np.lexsort((self.invoked[changes], self.before[changes]))]
        one, other = ordered[:-1], ordered[1:]
        overlap = self.completed[one] >= self.invoked[other]
        if (overlap & (self.before[one] == self.before[other])).any():
            return None
        # Of those that found the same balance, the earliest is taken first: it is the last here.
        found: dict[int, list[int]] = {}
        columns = (ordered[::-1], self.before[ordered[::-1]], self.after[ordered[::-1]])
        left = {}
        for entry, before, after in zip(*(column.tolist() for column in columns), strict=True):
            found.setdefault(before, []).append(entry)
            left[entry] = after
        walk, balance = [], opening
        while found.get(balance):
            walk.append(found[balance].pop())
            balance = left[walk[-1]]
        return np.array(walk, np.int64) if len(walk) == len(changes) else None

    def only_places(self, opening: int, order: Ints, looks: Ints) -> Ints | None:
        """How many of the changes each look had seen, if it can have been one number only."""
        least, most = self._bounds(order, looks)
        balances = np.append(opening, self.after[order])
        values, value = np.unique(balances, return_inverse=True)
        wanted = np.searchsorted(values, self.before[looks])
        known = values[np.minimum(wanted, len(values) - 1)] == self.before[looks]
        # Numbers that sort by balance, then by place.
        size = len(balances)
        places = np.sort(value * size + np.arange(size))
        first = np.searchsorted(places, wanted * size + least)
        after_last = np.searchsorted(places, wanted * size + most, side="right")
        if not (known & (after_last - first == 1)).all():
            return None
        seen: Ints = places[first] % size
        return seen

    def _bounds(self, order: Ints, looks: Ints) -> tuple[Ints, Ints]:
        """How many changes each look must have seen, and how many it can have, by the clock."""
        completed, invoked = self.completed[order], self.invoked[order]
        returned, asked = (np.argsort(times, kind="stable") for times in (completed, invoked))
        least = np.append(0, np.maximum.accumulate(returned + 1))
        most = np.append(np.minimum.accumulate(asked[::-1])[::-1], len(order))
        return (
            least[np.searchsorted(completed[returned], self.invoked[looks], side="left")],
            most[np.searchsorted(invoked[asked], self.completed[looks], side="right")],
        )
