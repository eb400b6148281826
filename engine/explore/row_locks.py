"""PostgreSQL's locks: which a step takes, whom it has to wait for, and who waits in a circle.

A statement waits for one lock at a time, in the order in which it takes them. What it got before
it would hold meanwhile; here a step takes all of its locks at once or none, so that whoever waits
waits at one place only, before its step.
"""

from collections.abc import Iterable, Mapping, Set
from typing import Any, NamedTuple

from engine.explore.stage import Lane
from engine.explore.steps import Step
from engine.ports import Call


class Lock(NamedTuple):
    """`kind` is row, key, lease or advisory. A row or key that is being inserted is locked too."""

    kind: str
    name: str

    def __str__(self) -> str:
        return " ".join(self)


Holders = Mapping[Lock, Set[Lane]]


class Obstacle(NamedTuple):
    """The first lock that a step cannot get, and who has it."""

    lock: Lock
    holder: Lane


def wanted(step: Step) -> tuple[Lock, ...]:
    """The locks that the step waits for where somebody has them, in its statement's order.

    At most: a statement that finds a reason to refuse takes fewer of them, see `locking`.
    """
    waits = step.kind != "read" or dict(step.options).get("lock") == "wait"
    return _taken(step) if waits else ()


def looks_first(step: Step) -> bool:
    """Whether its statement may refuse, or know the answer, before it locks all that it wants."""
    if step.kind == "write":
        return step.args[0].key is not None or bool(dict(step.options)["if_version"])
    return step.kind in ("guarded", "group")


def claimed(step: Step) -> Set[Lock]:
    """All locks that the step may leave its transaction with."""
    match step.kind:
        case "read" if not step.options:
            return frozenset()
        case "write":
            fences = (Lock("lease", key) for key in dict(step.options)["fence"])
            return {*_taken(step), *fences}
    return frozenset(_taken(step))


def inserted(step: Step, result: Any) -> Set[Lock]:
    """What the step has inserted: others see nothing of it before its transaction ends."""
    if step.kind != "write" or isinstance(result, Exception):
        return frozenset()
    call, changes = step.args
    created = {Lock("row", change.account) for change in changes if change.version == 0}
    return created | set(_keys([call]))


def obstacle(lane: Lane, locks: Iterable[Lock], holders: Holders) -> Obstacle | None:
    """What a step of the lane that takes these locks would wait for now."""
    for lock in locks:
        for holder in holders.get(lock, ()):
            if holder is not lane:
                return Obstacle(lock, holder)
    return None


def circle(lane: Lane, obstacles: Mapping[Lane, Obstacle]) -> list[Lane]:
    """The lanes that wait in a circle from this one on, each for the next; empty without one."""
    met: list[Lane] = []
    at = lane
    while at in obstacles and at not in met:
        met.append(at)
        at = obstacles[at].holder
    return met if met and at is lane else []


def _taken(step: Step) -> tuple[Lock, ...]:
    match step.kind:
        case "read":
            return _rows(step.args[0])
        case "write":
            call, changes = step.args
            return *_rows(change.account for change in changes), *_keys([call])
        case "guarded":
            return *_rows(step.args[0].accounts), *_keys(step.args)
        case "group":
            calls = step.args[0]
            return *_rows(name for call in calls for name in call.accounts), *_keys(calls)
        case "advisory":
            return tuple(Lock("advisory", name) for name in step.args[0])
        case "take" | "give":
            return (Lock("lease", step.args[0]),)
    return ()


def _rows(accounts: Iterable[str]) -> tuple[Lock, ...]:
    return tuple(Lock("row", account) for account in sorted(set(accounts)))


def _keys(calls: Iterable[Call]) -> tuple[Lock, ...]:
    return tuple(Lock("key", call.key) for call in calls if call.key is not None)
