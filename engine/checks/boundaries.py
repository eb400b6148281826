"""Do locks enclose the transactions they are for? Broken boundaries count before money is lost.

A mutex that excludes perfectly still loses money if the database's snapshot is older than the lock,
or if the lock is given back before the commit. Where steps inside of calls were recorded, four
things are demanded of each call by itself:

- unlock after commit: no lock is released between the last look and the commit;
- snapshot after lock: what was committed was not computed from a look before the first lock. (A
  transaction may begin before its row locks are granted, as long as it looks only then);
- cache after commit: no balance is put into a cache while a transaction may still roll back;
- release by the owner: a lock is released only by a call that it had been granted to.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.checks.telling import named
from engine.checks.verdict import VIOLATIONS_MAX, Budget, CannotSay, Found, Violation
from engine.histories.columns import History, Ints
from engine.recording import Step
from engine.verdicts import Break

Mask = NDArray[np.bool_]

_LOOKS = (Step.BEGUN, Step.SNAPSHOT, Step.WRITTEN)
_ENDS = (Step.COMMITTED, Step.ROLLED_BACK)


@dataclass(frozen=True, slots=True)
class _Broken:
    """One kind of broken boundary: pairs of events (places) and the sentence about one pair."""

    anomaly: str
    one: Ints
    other: Ints
    tell: Callable[["_Steps", int, int], str]


def check_boundaries(history: History, budget: Budget) -> Found:
    """Judge the steps of each call. Raises CannotSay where none were recorded."""
    if history.events is None or not len(history.events.call):
        raise CannotSay("no steps inside of calls were recorded")
    budget.check()
    steps = _Steps.of(history)
    parts = list(_broken(steps))
    violations = [
        Violation(
            Break.ORDER,
            f"boundary: {part.anomaly}",
            part.tell(steps, one, other),
            (int(steps.call[other]),),
        )
        for part in parts
        for one, other in zip(
            part.one[:VIOLATIONS_MAX].tolist(), part.other[:VIOLATIONS_MAX].tolist(), strict=True
        )
    ]
    violations.sort(key=Violation.moment)
    return Found(violations[:VIOLATIONS_MAX], sum(len(part.one) for part in parts))


@dataclass(frozen=True, slots=True)
class _Steps:
    """The events, call by call and in order of time, with what each call had done by then.

    `first`: the place of the first event of the same call; `held`: locks held after the event.
    """

    history: History
    names: tuple[str, ...]
    call: Ints
    step: Ints
    name: Ints
    at: Ints
    first: Ints
    held: Ints

    @classmethod
    def of(cls, history: History) -> "_Steps":
        events = history.events
        assert events is not None
        # Stable: events of one moment stay in the order in which they were recorded.
        order = np.lexsort((events.at, events.call))
        call, step = events.call[order], events.step[order]
        first = np.searchsorted(call, call)
        change = np.where(step == Step.LOCK_GRANTED, 1, 0) - np.where(
            step == Step.LOCK_RELEASED, 1, 0
        )
        total = np.cumsum(change)
        held = total - (total - change)[first]
        name, at = events.name[order], events.at[order]
        return cls(history, tuple(events.names), call, step, name, at, first, held)

    def last(self, *steps: Step) -> Ints:
        """For each event the latest event before it, in its call, of one of these; -1 for none."""
        places = np.where(np.isin(self.step, steps), np.arange(len(self.step)), -1)
        latest = np.concatenate(([-1], np.maximum.accumulate(places)[:-1]))
        return np.where(latest >= self.first, latest, -1)

    def next(self, *steps: Step) -> Ints:
        """For each event the earliest event after it, in its call, of one of these; -1 for none."""
        count = len(self.step)
        places = np.where(np.isin(self.step, steps), np.arange(count), count)
        earliest = np.append(np.minimum.accumulate(places[::-1])[::-1][1:], count)
        same = self.first[np.minimum(earliest, count - 1)] == self.first
        return np.where((earliest < count) & same, earliest, -1)

    def operation(self, place: int) -> str:
        return named(self.history, int(self.call[place]))

    def locked(self, place: int) -> str:
        return self.names[int(self.name[place])]

    def between(self, one: int, other: int) -> str:
        """How much time lies between two events."""
        return f"{(int(self.at[other]) - int(self.at[one])) / 1e6:.3g} ms"


def _broken(steps: _Steps) -> Iterator[_Broken]:
    yield _unlocked_early(steps)
    yield _looked_early(steps)
    yield _cached_early(steps)
    yield _released_by_another(steps)


def _unlocked_early(steps: _Steps) -> _Broken:
    commit = np.flatnonzero(steps.step == Step.COMMITTED)
    last_end = steps.last(*_ENDS)[commit]
    release = steps.last(Step.LOCK_RELEASED)[commit]
    granted = steps.last(Step.LOCK_GRANTED)[commit]
    began = steps.last(Step.LOCK_GRANTED, *_LOOKS)[commit]
    # Released after the last look; or nothing is held any more of what this transaction had locked.
    bare = (steps.held[commit] <= 0) & (granted > last_end)
    early = (granted >= 0) & (release > last_end) & ((release > began) | bare)
    return _Broken(
        "unlock before commit",
        release[early],
        commit[early],
        lambda steps, one, other: (
            f"{steps.operation(other)} unlocked {steps.locked(one)}"
            f" {steps.between(one, other)} before it committed"
        ),
    )


def _looked_early(steps: _Steps) -> _Broken:
    commit = np.flatnonzero(steps.step == Step.COMMITTED)
    look = steps.last(Step.SNAPSHOT)[commit]
    commit, look = commit[look >= 0], look[look >= 0]
    granted = steps.next(Step.LOCK_GRANTED)[look]
    early = (steps.held[look] <= 0) & (granted >= 0) & (granted < commit)
    return _Broken(
        "snapshot before lock",
        look[early],
        granted[early],
        lambda steps, one, other: (
            f"{steps.operation(other)} looked {steps.between(one, other)} before it was granted"
            f" {steps.locked(other)}, and committed what it computed from that"
        ),
    )


def _cached_early(steps: _Steps) -> _Broken:
    put = np.flatnonzero(steps.step == Step.CACHE_PUT)
    last = steps.last(*_LOOKS, *_ENDS)[put]
    end = steps.next(*_ENDS)[put]
    early = (last >= 0) & np.isin(steps.step[last], _LOOKS) & (end >= 0)
    return _Broken(
        "cache before commit",
        put[early],
        end[early],
        lambda steps, one, other: (
            f"{steps.operation(other)} put {steps.locked(one)} into the cache"
            f" {steps.between(one, other)} before it"
            f" {'committed' if steps.step[other] == Step.COMMITTED else 'rolled back'}"
        ),
    )


def _released_by_another(steps: _Steps) -> _Broken:
    granted, released = (
        np.flatnonzero(steps.step == step) for step in (Step.LOCK_GRANTED, Step.LOCK_RELEASED)
    )
    names = len(steps.names)
    lock = steps.call * names + steps.name
    # The first grant of each lock to each call; a second release of one's own lock does no harm.
    owned, where = np.unique(lock[granted], return_index=True)
    place = np.searchsorted(owned, lock[released])
    known = np.append(owned, -1)[np.minimum(place, len(owned))] == lock[released]
    since = np.append(granted[where], len(lock))[np.where(known, place, len(owned))]
    strange = released[since > released]
    return _Broken(
        "release by a non-owner",
        _held_by(steps, granted, strange),
        strange,
        lambda steps, one, other: (
            f"{steps.operation(other)} released {steps.locked(other)}, which it had not been"
            f" granted" + (f"; {steps.operation(one)} had it last" if one >= 0 else "")
        ),
    )


def _held_by(steps: _Steps, granted: Ints, released: Ints) -> Ints:
    """For each release the latest grant of that lock before it, by any call; -1 for none."""
    by_lock = granted[np.lexsort((steps.at[granted], steps.name[granted]))]
    holders = []
    for place in released[:VIOLATIONS_MAX].tolist():
        mine = by_lock[steps.name[by_lock] == steps.name[place]]
        before = int(np.searchsorted(steps.at[mine], steps.at[place], side="right"))
        holders.append(int(mine[before - 1]) if before else -1)
    return np.array([*holders, *[-1] * (len(released) - len(holders))], np.int64)
