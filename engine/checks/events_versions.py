"""Versions that nobody recorded, where what calls found and left forces the order of the changes.

On one account a change leads from one balance to another. If no two changes found the same balance
at the same time, then a walk from the opening balance along them has no choice anywhere: it is the
only order there can be, and places in it serve as versions.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from engine.checks.events_accounts import derived, endings
from engine.histories.columns import MISSING, History, Ints
from engine.recording import Ended, Kind


def infer_versions(history: History) -> History | None:
    """The history with the only versions it can have; None where some order is not forced.

    So that layers that know versions can decide what calls on several accounts amount to. None,
    too, where calls are of unknown outcome, an answer tells no balance, no order exists at all
    (`check_events` says where), or the calls have no common clock.
    """
    if (history.invoked == MISSING).any() or len(np.unique(history.clock)) > 1:
        return None
    call = history.call_of_entry()
    ended, too_little = (column[call] for column in endings(history))
    before, after, amount, need = derived(history)
    looked = (ended == Ended.OK) & ((history.kind[call] <= Kind.CHECK) | (amount == 0))
    looked |= (ended == Ended.REFUSED) & too_little & (need > 0)
    changed = (ended == Ended.OK) & ~looked
    unknown = (ended == Ended.UNKNOWN) & (history.kind[call] > Kind.CHECK)
    told = (before != MISSING) & (after != MISSING)
    if unknown.any() or not told[changed | looked].all() or (before + amount != after)[changed].any():
        return None
    version = np.full(history.entries, MISSING)
    openings = np.where(history.opening_versions == MISSING, 0, history.opening_versions)
    for account, changes, looks in _by_account(history, changed, looked):
        opening = int(history.openings[account])
        order = _only_order(history, opening, before, after, changes, call)
        if order is None:
            return None
        version[order] = openings[account] + 1 + np.arange(len(order))
        seen = _only_places(history, opening, before, after, order, looks, call)
        if seen is None:
            return None
        version[looks] = openings[account] + seen
    return replace(history, version=version, opening_versions=openings)


def _by_account(
    history: History, changed: Ints, looked: Ints
) -> Iterator[tuple[int, Ints, Ints]]:
    """Each account that calls touched, with its changes and its looks: entries, by invocation."""
    order = np.argsort(history.account, kind="stable")
    bounds = np.searchsorted(history.account[order], np.arange(len(history.accounts) + 1))
    for account, (start, end) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        mine = order[start:end]
        if len(mine):
            yield account, mine[changed[mine]], mine[looked[mine]]


def _only_order(
    history: History, opening: int, before: Ints, after: Ints, changes: Ints, call: Ints
) -> Ints | None:
    """The changes in the one order that leads from balance to balance, if it is the only one."""
    by_before = changes[np.argsort(before[changes], kind="stable")]
    one, other = by_before[:-1], by_before[1:]
    overlap = history.completed[call[one]] >= history.invoked[call[other]]
    if opening == MISSING or (overlap & (before[one] == before[other])).any():
        return None
    # Of those that found the same balance, the earliest is taken first.
    found = dict[int, list[int]]()
    for entry, balance in zip(by_before[::-1].tolist(), before[by_before[::-1]].tolist(), strict=True):
        found.setdefault(balance, []).append(entry)
    left, balance, walk = dict(zip(changes.tolist(), after[changes].tolist(), strict=True)), opening, []
    while found.get(balance):
        walk.append(found[balance].pop())
        balance = left[walk[-1]]
    return np.array(walk, np.int64) if len(walk) == len(changes) else None


def _only_places(
    history: History,
    opening: int,
    before: Ints,
    after: Ints,
    order: Ints,
    looks: Ints,
    call: Ints,
) -> Ints | None:
    """How many changes each look had seen, if it cannot have been another number."""
    invoked, completed = history.invoked[call], history.completed[call]
    count = len(order)
    # Seen for certain: all up to the last change that had returned by then, and so on.
    returned = np.argsort(completed[order], kind="stable")
    least = np.append(0, np.maximum.accumulate(returned + 1))
    least = least[np.searchsorted(completed[order][returned], invoked[looks], side="left")]
    asked = np.argsort(invoked[order], kind="stable")
    most = np.append(np.minimum.accumulate(asked[::-1])[::-1], count)
    most = most[np.searchsorted(invoked[order][asked], completed[looks], side="right")]
    balances = np.append(opening, after[order])
    values, value = np.unique(balances, return_inverse=True)
    # Places sorted by balance, then place: one number for both.
    places = np.sort(value * (count + 1) + np.arange(count + 1))
    wanted = np.searchsorted(values, before[looks])
    known = values[np.minimum(wanted, len(values) - 1)] == before[looks]
    first = np.searchsorted(places, wanted * (count + 1) + least)
    after_last = np.searchsorted(places, wanted * (count + 1) + most, side="right")
    if not (known & (after_last - first == 1)).all():
        return None
    return places[first] % (count + 1)
