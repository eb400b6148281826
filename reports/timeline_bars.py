"""From when to when a client of a witness held a lock, or waited for one: bars beside its lane."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.results import TimelineEvent
from reports.telling import Lane


@dataclass(frozen=True, slots=True)
class Bar:
    """One client and one lock, from event number `first` to `last`.

    It is held, or if `waiting` wished for. `last` is the event that ended it, None where nothing
    did: the lock was never given back, the client never went on. `lease`: a row in the database,
    no mutex.
    """

    client: str
    lock: str
    first: int
    last: int | None
    lease: bool = False
    waiting: bool = False

    def covers(self, number: int) -> bool:
        return self.first <= number and (self.last is None or number <= self.last)


def bars(events: Sequence[TimelineEvent]) -> list[Bar]:
    """Every bar, in the order in which they begin."""
    return sorted([*_held(events), *_awaited(events)], key=lambda bar: (bar.first, bar.client))


def lane_at(lanes: Sequence[Lane], bar: Bar) -> Lane:
    """The lane in which a bar stands: its client's at the time, or the one it has next."""
    before = [lane for lane in lanes[: bar.first + 1] if lane[0] == bar.client]
    after = [lane for lane in lanes[bar.first :] if lane[0] == bar.client]
    return before[-1] if before else (after or list(lanes[bar.first :]))[0]


def _held(events: Sequence[TimelineEvent]) -> list[Bar]:
    found: list[Bar] = []
    running: dict[tuple[str, str], Bar] = {}
    for number, event in enumerate(events):
        for (client, lock), bar in list(running.items()):
            # A crash takes the memory of the whole instance, and its leases run out.
            crashed = event.how == "crashed" and events[bar.first].instance == event.instance
            if crashed or (client == event.client and lock not in event.holds):
                found.append(_ended(running.pop((client, lock)), number))
        for lock in event.holds:
            key = event.client, lock
            if key not in running and event.how != "crashed":
                running[key] = Bar(*key, number, None, lease=lock in event.leases)
    return found + list(running.values())


def _awaited(events: Sequence[TimelineEvent]) -> list[Bar]:
    found: list[Bar] = []
    running: dict[tuple[str, str], Bar] = {}
    for number, event in enumerate(events):
        for key in list(running):
            if event.waits.get(key[0]) != key[1]:
                found.append(_ended(running.pop(key), number))
        for client, lock in event.waits.items():
            key = client, lock
            running.setdefault(key, Bar(client, lock, number, None, waiting=True))
    return found + list(running.values())


def _ended(bar: Bar, number: int) -> Bar:
    return Bar(bar.client, bar.lock, bar.first, number, bar.lease, bar.waiting)
