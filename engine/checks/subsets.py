"""Which of some pending changes, taken together, make a given difference: subset sums.

Meet in the middle (Horowitz and Sahni, 1974): the sums of one half of the items are looked up among
the sorted sums of the other. Of items of equal amount only the first few are ever taken, never the
second without the first: so 20 items of 3 amounts have some hundred choices, not a million.

>>> sums = Sums([(1, 500), (2, -200), (4, 300)], Budget())
>>> sums.within([(300, 301)])
[(4, 300), (3, 300)]
"""

from collections.abc import Iterable, Sequence
from math import log2

import numpy as np

from engine.checks.verdict import Budget, Exceeded
from engine.histories.columns import Ints

# Each is a bit of a 64-bit integer.
ITEMS_MAX = 62
# 2**18 sums in each half: some MB, and some ten milliseconds to build.
CHOICES_LOG2_MAX = 36
# More ways than these to explain one answer: the history is too ambiguous to be judged.
WAYS_MAX = 20_000
# Beyond every sum, and far enough from the ends of 64 bits to be subtracted from.
SUM_MAX = 2**61

_AT_ONCE = 2**19

Window = tuple[int, int]


class Sums:
    """The sums of all subsets of `items`: (a bit of its own, an amount other than 0).

    Items of equal amount are taken in the order given. Raises Exceeded where there are too many.
    """

    __slots__ = ("_bits", "_budget", "_left", "_left_places", "_right", "_right_places")

    def __init__(self, items: Sequence[tuple[int, int]], budget: Budget) -> None:
        equal: dict[int, list[int]] = {}
        for place, (_, amount) in enumerate(items):
            equal.setdefault(amount, []).append(place)
        choices = sum(log2(len(places) + 1) for places in equal.values())
        if len(items) > ITEMS_MAX or choices > CHOICES_LOG2_MAX:
            raise Exceeded(f"{len(items)} changes pending at once have too many sums to search")
        self._bits = [bit for bit, _ in items]
        self._budget = budget
        halves = sorted(equal.items(), key=lambda each: -len(each[1]))
        self._left, self._left_places = _all_sums(halves[1::2])
        right, places = _all_sums(halves[::2])
        order = np.argsort(right, kind="stable")
        self._right, self._right_places = right[order], places[order]

    def within(self, windows: Sequence[Window]) -> list[tuple[int, int]]:
        """The subsets, as (bits, sum), whose sum is in one of the `windows` [low, high).

        Raises Exceeded beyond WAYS_MAX.
        """
        found, all_of_them = self.some_within(windows, WAYS_MAX)
        if not all_of_them:
            raise Exceeded(f"more than {WAYS_MAX:,} sets of pending changes explain one answer")
        return found

    def some_within(
        self, windows: Sequence[Window], most: int
    ) -> tuple[list[tuple[int, int]], bool]:
        """At most so many of them, and whether these are all."""
        found: list[tuple[int, int]] = []
        some = max(1, _AT_ONCE // len(self._left))
        for start in range(0, len(windows), some):
            more, all_of_them = self._within(np.array(windows[start : start + some]), most)
            found += more
            if not all_of_them or len(found) > most:
                return found[:most], False
            if len(self._left) > 2**12:
                self._budget.check()
        return found, True

    def _within(self, windows: Ints, most: int) -> tuple[list[tuple[int, int]], bool]:
        lows, highs = windows[:, :1], windows[:, 1:]
        first = self._right.searchsorted(lows - self._left)
        # Most find nothing at all, so where each ends is asked only where it begins.
        least = self._right.take(first, mode="clip")
        window, left = np.nonzero((least < highs - self._left) & (least >= lows - self._left))
        if not len(left):
            return [], True
        first = first[window, left]
        ways = self._right.searchsorted(highs[window, 0] - self._left[left]) - first
        total = int(ways.sum())
        if total > most:
            ways = np.minimum(ways, -(-most // len(ways)))
            ways[most:] = 0
        left = np.repeat(left, ways)
        right = np.repeat(first - (np.cumsum(ways) - ways), ways) + np.arange(len(left))
        sums = (self._left[left] + self._right[right]).tolist()
        places = (self._left_places[left] | self._right_places[right]).tolist()
        return list(zip(map(self._named, places), sums, strict=True)), total <= most

    def _named(self, places: int) -> int:
        """The items' own bits for a set of places."""
        bits = 0
        while places:
            bits |= self._bits[(places & -places).bit_length() - 1]
            places &= places - 1
        return bits


def _all_sums(equal: Iterable[tuple[int, list[int]]]) -> tuple[Ints, Ints]:
    """All sums of these classes of equal amounts, and for each the places it takes, as bits."""
    sums, taken = np.zeros(1, np.int64), np.zeros(1, np.int64)
    for amount, places in equal:
        some = amount * np.arange(len(places) + 1)
        first = np.cumsum([0, *(1 << place for place in places)])
        sums = np.add.outer(sums, some).ravel()
        taken = np.bitwise_or.outer(taken, first).ravel()
    return sums, taken


def minimal(sets: Iterable[tuple[int, int]], budget: Budget) -> list[tuple[int, int]]:
    """Those (bits, sum) that include no other one of them."""
    kept: list[tuple[int, int]] = []
    for count, (bits, total) in enumerate(sorted(set(sets), key=_size), start=1):
        if not any(other & bits == other for other, _ in kept):
            kept.append((bits, total))
        if not count % 128:
            budget.check()
    return kept


def _size(each: tuple[int, int]) -> int:
    return each[0].bit_count()
