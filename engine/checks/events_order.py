"""Is there an order of one account's calls that explains every answer? Event by event.

Lowe's just-in-time linearization (Testing for linearizability, 2016): events are replayed as the
clock had them, and a call is given its place only when it returns, after those others that make
its answer possible. What is kept is the set of live configurations: which pending calls have
happened, and the balance. So memory is bounded by what is pending at once, not by the history.

Three things keep the set small, and none of them loses an order:
- an answer that changes nothing takes its place as soon as the balance fits it. (Only what cannot
  change anything by nature may: a write of the value that was there is still a write.)
- changes of which only the amount is known are taken in sets that lead to a balance somebody asks
  for; a set that includes another such set can wait.
- of two configurations that differ by changes one of them can still make, only that one is kept.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from engine.checks.events_actions import Action, Configuration, Free, Pinned, Seen, Stuck
from engine.checks.subsets import SUM_MAX, Sums, Window, minimal
from engine.checks.verdict import Budget, Exceeded
from engine.histories.columns import FOREVER

# Live at once, or reached while one call is given its place.
CONFIGURATIONS_MAX = 200_000
# Calls of unknown outcome are tried first among the last so many: most that happen do so soon.
RECENT = 12
# A first, quick search goes on with so many configurations, and tries so many sets of changes.
SPARING_LIVE = 128
SPARING_SETS = 64
# Comparing configurations in pairs pays up to here.
COMPARED_MAX = 500
_CHECK_EVERY = 64
_NONE: Mapping[int, int] = {}


def first_stuck(
    actions: Sequence[Action], events: Sequence[int], openings: Iterable[int], budget: Budget
) -> Stuck | None:
    """The earliest return at which no order is left, None if some order explains everything.

    `events`: the places of `actions` in order of time, `i` for invoked and `~i` for returned.
    `openings`: the balances possible at first. Raises Exceeded.
    """
    openings = tuple(openings)
    sparing = _Search(actions, openings, budget, sparing=True)
    stuck = sparing.run(events)
    if stuck is None or not sparing.skipped:
        return stuck
    # Some orders were left out for speed: only a search without gaps may say that there is none.
    return _Search(actions, openings, budget, sparing=False).run(events)


class _Search:
    def __init__(
        self, actions: Sequence[Action], openings: Iterable[int], budget: Budget, *, sparing: bool
    ) -> None:
        self._actions = actions
        self._budget = budget
        self._sparing = sparing
        self.skipped = False
        self._steps = 0
        self._live: set[Configuration] = {(0, balance) for balance in openings}
        # Else what has happened does not tell the balance, and there is nothing to compare.
        self._one_opening = len(self._live) == 1
        self._bits: dict[int, int] = {}
        self._idle: list[int] = []
        self._slots = 0
        # What is pending, by what the search asks for.
        self._pinned: dict[int, dict[int, int]] = {}
        self._reads: dict[int, int] = {}
        self._ranges: dict[int, Seen] = {}
        self._free: dict[int, Free] = {}
        self._seen_bits = self._free_bits = self._optional_bits = 0
        self._sums: dict[int, Sums] = {}

    def run(self, events: Sequence[int]) -> Stuck | None:
        for event in events:
            if event >= 0:
                self._invoked(event)
            elif not self._returned(~event):
                return Stuck(~event, tuple(self._live), dict(self._bits))
        return None

    def _invoked(self, place: int) -> None:
        if not self._idle:
            self._idle.append(1 << self._slots)
            self._slots += 1
        bit = self._bits[place] = self._idle.pop()
        action = self._actions[place]
        if isinstance(action, Pinned):
            self._pinned.setdefault(action.before, {})[bit] = action.after
        elif isinstance(action, Seen):
            low, high = action
            self._seen_bits |= bit
            if high - low == 1:
                self._reads[low] = self._reads.get(low, 0) | bit
            else:
                self._ranges[bit] = action
            self._live = {
                (done | bit, balance) if low <= balance < high else (done, balance)
                for done, balance in self._live
            }
        else:
            self._free[bit] = action
            self._free_bits |= bit
            if action.completed == FOREVER:
                self._optional_bits |= bit
            self._sums.clear()

    def _returned(self, place: int) -> bool:
        """Go on with the configurations in which the action has happened; whether there are any."""
        bit = self._bits[place]
        ready = {(done ^ bit, balance) for done, balance in self._live if done & bit}
        if len(ready) < len(self._live):
            waiting = [each for each in self._live if not each[0] & bit]
            ready |= self._happened(self._actions[place], bit, waiting, bool(ready))
            if not ready:
                return False
            if self._free and len(ready) > 1:
                ready = self._fewer(ready)
        self._live = ready
        self._forget(place, bit)
        return True

    def _forget(self, place: int, bit: int) -> None:
        del self._bits[place]
        self._idle.append(bit)
        action = self._actions[place]
        if isinstance(action, Pinned):
            same = self._pinned[action.before]
            del same[bit]
            if not same:
                del self._pinned[action.before]
        elif isinstance(action, Seen):
            self._seen_bits ^= bit
            if action.high - action.low > 1:
                del self._ranges[bit]
            elif self._reads[action.low] == bit:
                del self._reads[action.low]
            else:
                self._reads[action.low] ^= bit
        else:
            del self._free[bit]
            self._free_bits ^= bit
            self._sums.clear()

    def _happened(
        self, action: Action, bit: int, waiting: list[Configuration], some_ready: bool
    ) -> set[Configuration]:
        """What `waiting` can become if `action` happens last."""
        if not self._sparing or not self._optional_bits:
            return self._reached(action, bit, waiting, self._free_bits)
        # Unknown calls are used only where nothing goes on without them, and the recent ones first.
        required = self._free_bits & ~self._optional_bits
        optional = [each for each in self._free if each & self._optional_bits]
        self.skipped = True
        for first in sorted({len(optional), max(0, len(optional) - RECENT), 0}, reverse=True):
            allowed = required | sum(optional[first:])
            ready = self._reached(action, bit, waiting, allowed)
            if ready or some_ready:
                break
        return ready

    def _reached(
        self, action: Action, bit: int, waiting: list[Configuration], allowed: int
    ) -> set[Configuration]:
        ready: set[Configuration] = set()
        known, stack = set(waiting), list(waiting)
        while stack:
            self._tick(len(known))
            done, balance = stack.pop()
            if isinstance(action, Pinned):
                after = action.after if action.before == balance else None
            elif isinstance(action, Free) and (action.amount > 0 or balance + action.amount >= 0):
                after = balance + action.amount
            else:
                after = None
            if after is not None:
                ready.add(((done | self._seen_at(after)) & ~bit, after))
            for reached in self._next(action, bit, done, balance, allowed):
                if reached[0] & bit:
                    ready.add((reached[0] ^ bit, reached[1]))
                elif reached not in known:
                    known.add(reached)
                    stack.append(reached)
        return ready

    def _next(
        self, action: Action, bit: int, done: int, balance: int, allowed: int
    ) -> Iterator[Configuration]:
        """The configurations that one more step leads to, other than by `action` itself."""
        for other, after in self._pinned.get(balance, _NONE).items():
            if other != bit and not done & other:
                yield done | other | self._seen_at(after), after
        available = allowed & ~done & ~bit
        if available:
            windows = list(self._asked_for(action, bit, done, balance))
            for taken, total in self._sets(available, windows) if windows else ():
                after = balance + total
                yield done | taken | self._seen_at(after), after

    def _sets(self, available: int, windows: Sequence[Window]) -> list[tuple[int, int]]:
        """Sets of changes that lead into one of the windows, none with another inside of it."""
        sums = self._sums_of(available)
        if not self._sparing:
            return minimal(sums.within(windows), self._budget)
        some, all_of_them = sums.some_within(windows, SPARING_SETS)
        self.skipped |= not all_of_them
        return minimal(some, self._budget)

    def _asked_for(self, action: Action, bit: int, done: int, balance: int) -> Iterator[Window]:
        """By how much the balance would have to change for some pending call to have its place."""
        for before, others in self._pinned.items():
            if before != balance and any(not other & done for other in others):
                yield before - balance, before - balance + 1
        for value, reads in self._reads.items():
            if reads & ~done:
                yield value - balance, value - balance + 1
        for other, (low, high) in self._ranges.items():
            if not other & done:
                if self._sparing and other != bit:
                    # Wide ranges are led to in many ways, and most are come upon in any case.
                    self.skipped = True
                else:
                    yield low - balance, high - balance
        if isinstance(action, Free) and action.amount < 0 and balance + action.amount < 0:
            yield -action.amount - balance, SUM_MAX

    def _sums_of(self, available: int) -> Sums:
        sums = self._sums.get(available)
        if sums is None:
            items = sorted(
                ((bit, free) for bit, free in self._free.items() if bit & available),
                key=lambda item: item[1].completed,
            )
            # In this order, since of equal amounts the one that returns first may go first.
            sums = Sums([(bit, free.amount) for bit, free in items], self._budget)
            self._sums[available] = sums
        return sums

    def _seen_at(self, balance: int) -> int:
        """The pending answers that fit this balance."""
        bits = self._reads.get(balance, 0)
        for bit, (low, high) in self._ranges.items():
            if low <= balance < high:
                bits |= bit
        return bits

    def _fewer(self, ready: set[Configuration]) -> set[Configuration]:
        """Without those that another can still become; if sparing, the most promising only."""
        changes = ~self._seen_bits
        if len(ready) > COMPARED_MAX and not self._sparing:
            return ready
        ordered = sorted(
            ready, key=lambda each: ((each[0] & changes).bit_count(), -each[0].bit_count())
        )
        if self._one_opening:
            ordered = self._undominated(ordered[:COMPARED_MAX])
        self.skipped |= len(ordered) > SPARING_LIVE or len(ready) > COMPARED_MAX
        return set(ordered[:SPARING_LIVE] if self._sparing else ordered)

    def _undominated(self, ordered: list[Configuration]) -> list[Configuration]:
        kept: list[Configuration] = []
        changes = ~self._seen_bits
        for done, balance in ordered:
            if not any(
                not other & ~done & changes and not done & ~other & ~self._free_bits
                for other, _ in kept
            ):
                kept.append((done, balance))
        return kept

    def _tick(self, reached: int) -> None:
        self._steps += 1
        if not self._steps % _CHECK_EVERY:
            self._budget.check()
        if reached > CONFIGURATIONS_MAX:
            raise Exceeded(f"more than {CONFIGURATIONS_MAX:,} orders of pending calls are possible")
