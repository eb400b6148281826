"""Faults: what may go wrong beside the clients' own steps, how often, and whom it may strike.

Every explorer asks the one function `fault_moves`, so that all of them mean the same by a budget.

>>> lane = Facts("A", kind="commit", instance=0, in_transaction=True)
>>> [f"{name}!{how}" for name, how in fault_moves([lane], Faults.parse("busy=1,lost=1"))]
['A!busy', 'A!drop', 'A!unheard']

An answer that comes late needs no budget: each step may be taken arbitrarily late anyway.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from engine.errors import CacheUnavailable, StoreBusy, StoreUnavailable, SystemFault, UsageError


class How(StrEnum):
    """How a lane's next step is taken, or what happens to the lane instead."""

    GO = "go"
    CANCEL = "cancel"  # the client is cancelled before the step
    LOSE = "lose"  # the client is cancelled after it: the answer is lost
    CRASH = "crash"  # the service instance the client talks to dies before it
    BUSY = "busy"  # the database does nothing and says so
    DROP = "drop"  # the connection to the database is lost before the step …
    UNHEARD = "unheard"  # … or after it: the step stands, and the program is told of an error
    NO_CACHE = "nocache"  # the cache does nothing and says so
    EXPIRE = "expire"  # the client's leases run out; its step stays
    SWEEP = "sweep"  # the instance it talks to forgets its idle locks; its step stays


GO = How.GO  # at hand for what happens at every step: to look into an enum takes its time
# Whose step is performed, whatever the client then hears of it.
TAKES_EFFECT = frozenset({How.GO, How.LOSE, How.UNHEARD})
CANCELS = frozenset({How.CANCEL, How.LOSE})
# Nobody's step: the lane named by the move still has the step that it was about to take.
BESIDE = frozenset({How.EXPIRE, How.SWEEP})
_ENDS_PROGRAMS = ("cancel", "crash", "busy", "lost")

# Clean-up cannot be refused, nor its connection lost: `rollback` never fails, and what a lost
# `give` leaves behind is what `expire` and `crash` leave.
_COMMITS_ALONE = frozenset({"write", "take", "decide", "guarded", "group"})
_ASKS_DATABASE = _COMMITS_ALONE | {"read", "begin", "advisory", "commit"}
_ASKS_CACHE = frozenset({"cache_get", "cache_put"})
# A cancellation may come before any step but these (clean-up is shielded), …
_NOT_CANCELLED = frozenset({"invoke", "sweep", "give", "rollback"})
# … and after those whose effect stays while their answer is lost. A mutex never loses an answer.
LOSES_ANSWER = _COMMITS_ALONE | {"begin", "advisory", "commit"}

FAULTS: dict[str, str] = {
    "cancel": "a client goes away in the middle of a request, or its answer is lost",
    "crash": "a service instance dies: memory gone, transactions rolled back, leases run out",
    "busy": "the database does nothing and answers busy, or that it could not serialize",
    "lost": "the connection to the database is lost, before a statement takes effect or after",
    "cache": "the cache fails, and the service has to do without",
    "expire": "time passes by the leases of a client that goes on all the same",
    "sweep": "a service instance forgets its idle locks",
}
_COUNT_MAX = 99
_BUDGET_OF: dict[How, str] = {
    How.CANCEL: "cancel",
    How.LOSE: "cancel",
    How.CRASH: "crash",
    How.BUSY: "busy",
    How.DROP: "lost",
    How.UNHEARD: "lost",
    How.NO_CACHE: "cache",
    How.EXPIRE: "expire",
    How.SWEEP: "sweep",
}


@dataclass(frozen=True, slots=True)
class Faults:
    """How many of each fault may strike, at any step. `FAULTS` says what each one is."""

    cancel: int = 0
    crash: int = 0
    busy: int = 0
    lost: int = 0
    cache: int = 0
    expire: int = 0
    sweep: int = 0

    def __str__(self) -> str:
        budgets = ((name, getattr(self, name)) for name in FAULTS)
        return ",".join(f"{name}={count}" for name, count in budgets if count)

    @property
    def none(self) -> bool:
        """Nothing is left to strike."""
        return self == _NONE

    def excuse(self, left: "Faults") -> bool:
        """Whether what was spent of this budget may have ended a client's program early.

        Not all that the programs wanted was asked for then, and the balances that would be right
        if it had been are no yardstick. No fault excuses money that is lost.
        """
        return any(getattr(self, name) != getattr(left, name) for name in _ENDS_PROGRAMS)

    def after(self, how: How) -> "Faults":
        """What is left of the budget after this move."""
        name = _BUDGET_OF.get(how)
        if name is None:
            return self
        left = getattr(self, name) - 1
        assert left >= 0, f"no {name} is left"
        return replace(self, **{name: left})

    @classmethod
    def parse(cls, text: str) -> "Faults":
        """Read "cancel=1,crash=1"; "none" and "" are no faults. UsageError.

        >>> print(Faults.parse("lost=2,cancel=1"))
        cancel=1,lost=2
        """
        budgets: dict[str, int] = {}
        parts = [part.strip() for part in text.split(",")] if text.strip() != "none" else []
        for part in filter(None, parts):
            name, _, count = (word.strip() for word in part.partition("="))
            if wrong := _wrong(name, count, budgets):
                known = "".join(f"\n  {known:7} {what}" for known, what in FAULTS.items())
                raise UsageError(
                    f"no fault budget {part!r}: {wrong}",
                    f"write it like cancel=1,crash=1; known:{known}",
                )
            budgets[name] = int(count)
        return cls(**budgets)


def _wrong(name: str, count: str, earlier: Mapping[str, int]) -> str:
    """What is wrong with one part of a budget; nothing if it is empty."""
    if name not in FAULTS:
        return f"there is no fault {name!r}"
    if name in earlier:
        return f"{name} is there twice"
    if not count:
        return "how many is missing"
    if not (count.isascii() and count.isdigit() and int(count) <= _COUNT_MAX):
        return f"how many is a whole number from 0 to {_COUNT_MAX}"
    return ""


_NONE = Faults()


class Facts(NamedTuple):
    """What decides whether a fault may strike a lane.

    `kind` is that of its pending step, `ready` whether that step could go on now, `instance` the
    service instance it talks to. `shielded`: it was cancelled and cleans up undisturbed.
    """

    lane: str
    kind: str
    instance: int | None = None
    background: bool = False
    shielded: bool = False
    ready: bool = True
    in_transaction: bool = False
    holds_lease: bool = False


def fault_moves(waiting: Sequence[Facts], left: Faults) -> list[tuple[str, How]]:
    """Every fault that may strike now, as (lane, how); `waiting` are the lanes not yet ended.

    What strikes a service instance is told of the first lane that talks to it.
    """
    moves = [(lane.lane, how) for lane in waiting for how in _strikes(lane, left)]
    met: set[int] = set()
    for lane in waiting if left.crash or left.sweep else ():
        if lane.instance is not None and lane.instance not in met:
            met.add(lane.instance)
            moves += [(lane.lane, How.CRASH)] * (left.crash > 0)
            moves += [(lane.lane, How.SWEEP)] * (left.sweep > 0)
    return moves


def _strikes(lane: Facts, left: Faults) -> list[How]:
    hows: list[How] = []
    if left.cancel and not (lane.background or lane.shielded or lane.kind in _NOT_CANCELLED):
        hows.append(How.CANCEL)
        if lane.ready and lane.kind in LOSES_ANSWER:
            hows.append(How.LOSE)
    if lane.kind in _ASKS_DATABASE:
        # Those who wait are struck too: a database answers busy after a while.
        hows += [How.BUSY] * (left.busy > 0)
        if left.lost:
            hows.append(How.DROP)
            if lane.ready and _outlives_connection(lane):
                hows.append(How.UNHEARD)
    if left.cache and lane.kind in _ASKS_CACHE:
        hows.append(How.NO_CACHE)
    if left.expire and lane.holds_lease:
        hows.append(How.EXPIRE)
    return hows


def _outlives_connection(lane: Facts) -> bool:
    """The step's effect stays though the connection is lost right after it."""
    if lane.in_transaction:
        return lane.kind == "commit"
    return lane.kind in _COMMITS_ALONE


def told(how: How) -> SystemFault | None:
    """The error that the code under test is told of, where the fault is one."""
    error: SystemFault
    match how:
        case How.BUSY:
            error = StoreBusy("the database is busy", "try again")
        case How.DROP | How.UNHEARD:
            error = StoreUnavailable("the connection to the database is lost", "ask again")
        case How.NO_CACHE:
            error = CacheUnavailable("the cache does not answer", "do without")
        case _:
            return None
    error.add_note(_IMAGINED)
    return error


_IMAGINED = "no real fault: the explorer put it there"


def _is_news(record: logging.LogRecord) -> bool:
    # An exploration fails the cache in thousands of runs; none of them belongs into a log.
    args = record.args if isinstance(record.args, tuple) else ()
    return not any(_IMAGINED in getattr(arg, "__notes__", ()) for arg in args)


logging.getLogger("walletrace.cache").addFilter(_is_news)
