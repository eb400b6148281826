"""Each account's versions in order: what every call found there, beside what the one before left.

Versions force the order on one account: the write of version v, then those who saw v, then the
write of v + 1. Where two writes claim one version, the one whose balance lived on counts as later.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.checks.settle import Settled
from engine.checks.verdict import CannotSay
from engine.histories.columns import MISSING, Ints

Mask = NDArray[np.bool_]

# What a call found was there from the start, or was never there.
OPENING, NOWHERE = -1, -2


@dataclass(frozen=True, slots=True)
class Chains:
    """The entries whose version is known, by account and then by place in its order.

    `entry`, `call`, `account`, `writes`, `before`, `after`, `version`: as in the settled history.
    `start`: the first of its account. `source`: the last write before it on its account, as a
    place in these columns, -1 if there is none. `held` and `stood`: the balance and version which
    that write (or the opening) left, MISSING where unknown.
    """

    entry: Ints
    call: Ints
    account: Ints
    writes: Mask
    before: Ints
    after: Ints
    version: Ints
    start: Mask
    source: Ints
    held: Ints
    stood: Ints

    def __len__(self) -> int:
        return len(self.entry)

    @property
    def broken(self) -> Mask:
        """Those that found another balance than the one before them left."""
        known = (self.before != MISSING) & (self.held != MISSING)
        return np.asarray(known & (self.before != self.held))

    @property
    def gaps(self) -> Mask:
        """Those whose version does not follow from the one before them."""
        expected = np.where(self.writes, self.stood + 1, self.stood)
        return np.asarray((self.stood != MISSING) & (self.version != expected))

    def next_write(self) -> Ints:
        """For each, the next write after it on its account; the length where there is none."""
        total = len(self)
        here = np.where(self.writes, np.arange(total), total)
        after = np.append(np.minimum.accumulate(here[::-1])[::-1], total)[1:]
        same = np.append(self.account, -1)[after] == self.account
        return np.where(same, after, total)


def chains(settled: Settled) -> Chains:
    """The chains of all accounts. CannotSay if no call, or not every change, has a version."""
    history = settled.history
    known = (history.version != MISSING) & (history.before != MISSING) & (history.after != MISSING)
    unplaced = settled.writes & ~known
    if unplaced.any():
        raise CannotSay(
            "changes without a version or balance of their own:"
            f" {unplaced.sum():,} of {settled.writes.sum():,}"
        )
    placed = np.flatnonzero(history.version != MISSING)
    if not len(placed) and (history.entries or len(settled.undecided)):
        raise CannotSay("no call names a version")
    order = placed[_in_order(settled, placed)]
    made = _linked(settled, order)
    claims = made.writes & (made.source >= 0)
    claims &= made.version == made.version[made.source]
    if not claims.any():
        return made
    return _linked(settled, order[_survivors_last(made)])


def seen_by_version(settled: Settled, made: Chains) -> Settled:
    """The same, where answers that name a version alone saw the balance which that version held."""
    blind = ~made.writes & (made.before == MISSING) & (made.held != MISSING) & ~made.gaps
    if not blind.any():
        return settled
    history, entries, held = settled.history, made.entry[blind], made.held[blind]
    before, after = history.before.copy(), history.after.copy()
    before[entries] = after[entries] = held
    return replace(settled, history=replace(history, before=before, after=after))


def _in_order(settled: Settled, entries: Ints) -> Ints:
    """Sort by account, version, and writes before those who saw what they wrote."""
    account, version = settled.history.account[entries], settled.history.version[entries]
    place = 2 * version + ~settled.writes[entries]
    # Histories come nearly sorted: one cheap pass by account keeps them so within each.
    small = len(settled.history.accounts) <= np.iinfo(np.uint16).max
    by_account = np.argsort(account.astype(np.uint16) if small else account, kind="stable")
    least, most = int(place.min(initial=0)), int(place.max(initial=0))
    span = most - least + 1
    if span * (len(settled.history.accounts) + 1) < 2**62:
        key = account[by_account] * span + (place[by_account] - least)
        return np.asarray(by_account[np.argsort(key, kind="stable")])
    return np.lexsort((place, account))


def _linked(settled: Settled, entry: Ints) -> Chains:
    history = settled.history
    account, version = history.account[entry], history.version[entry]
    before, after = history.before[entry], history.after[entry]
    writes = settled.writes[entry]
    start = np.concatenate(([True], account[1:] != account[:-1]))[: len(entry)]
    last = np.maximum.accumulate(np.where(writes, np.arange(len(entry)), OPENING))
    source = np.concatenate(([OPENING], last))[: len(entry)]
    first = np.flatnonzero(start)[np.cumsum(start) - 1]
    source = np.where(source < first, OPENING, source)
    opened = source == OPENING
    held, stood = after[source], version[source]
    held[opened] = _or_first(history.openings[account[opened]], before[first[opened]])
    seen = version - writes
    stood[opened] = _or_first(history.opening_versions[account[opened]], seen[first[opened]])
    call = settled.history.call_of_entry()[entry]
    return Chains(entry, call, account, writes, before, after, version, start, source, held, stood)


def _or_first(known: Ints, first: Ints) -> Ints:
    """How an account began; if nobody knows, as the first call on it found it."""
    return np.where(known == MISSING, first, known)


def _survivors_last(made: Chains) -> Ints:
    """An order in which, of writes that claim one version, the one comes last that lived on."""
    place = 2 * made.version + ~made.writes
    group = np.cumsum(np.concatenate(([True], (np.diff(place) != 0) | made.start[1:]))) - 1
    next_group = np.concatenate((np.flatnonzero(np.diff(group)) + 1, [len(made)]))[group]
    found_next = np.append(made.before, MISSING)[next_group]
    same = np.append(made.account, -1)[next_group] == made.account
    survived = same & (made.after == found_next)
    return np.lexsort((survived, place, made.account))


def origin(made: Chains, of: Ints) -> Ints:
    """Where each of these chain places got the balance that it found.

    The latest write before it that left this balance (for those who only looked: at the version
    they name), OPENING if the account began so, NOWHERE if nobody ever left it.
    """
    values = np.unique(made.before[of])
    accounts = np.zeros(int(made.account.max(initial=0)) + 1, np.bool_)
    accounts[made.account[of]] = True
    writes = np.flatnonzero(made.writes & accounts[made.account] & np.isin(made.after, values))
    place = np.concatenate((writes, of))
    asks = np.concatenate((np.zeros(len(writes), np.int64), np.ones(len(of), np.int64)))
    value = np.concatenate((made.after[writes], made.before[of]))
    account = made.account[place]
    # Those who look are told apart by version: they found what they name, or nothing.
    order = np.lexsort((-asks, place, value, account))
    account, value, asked = account[order], value[order], asks[order] == 1
    fresh = np.concatenate(([True], (np.diff(account) != 0) | (np.diff(value) != 0)))
    last = np.maximum.accumulate(np.where(asked, -1, np.arange(len(order))))
    none = last < np.flatnonzero(fresh)[np.cumsum(fresh) - 1]
    told = np.where(none, NOWHERE, place[order][last])
    result = np.empty(len(of), np.int64)
    result[order[asked] - len(writes)] = told[asked]
    return _checked(made, of, result)


def _checked(made: Chains, of: Ints, result: Ints) -> Ints:
    """Those who only looked must have found the version they name; the opening explains, too."""
    looked = ~made.writes[of]
    from_write = np.flatnonzero(looked & (result >= 0))
    wrong = made.version[result[from_write]] != made.version[of[from_write]]
    result[from_write[wrong]] = NOWHERE
    first = np.flatnonzero(made.start)[np.cumsum(made.start)[of] - 1]
    opened = (result == NOWHERE) & (made.held[first] == made.before[of])
    opened &= ~looked | (made.stood[first] == made.version[of])
    result[opened] = OPENING
    return result
