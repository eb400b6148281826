"""Which moves commute: two neighbours that use nothing in common may be swapped.

A move *uses* things: rows, keys, leases, mutexes, cache entries, keys of a cell, answered calls.
Two uses of one thing commute if they are of the same kind and that kind is not CHANGE. What
decides whether a move can be made is used too (`awaits`), so swapping never makes one impossible.
What a move uses is known once it has been made. While no dependent move comes before it, it stays
so: the move finds the same things and does the same with them.

**The database.** A statement that commits on its own uses its rows, key and leases. A refused one
has changed nothing. One inside a transaction depends on everything committed since the snapshot,
and others are told of it only at the end: there the whole database is changed by each statement.
Under PostgreSQL it may also hold and await locks, and one that is stopped (BUSY) lets them all go.
To be a deadlock's victim depends on everything: on what all others are about to do.

**Memory.** Between two steps code uses what its service instance remembers. Cells report the keys
that were used, see `tracking`; memory elsewhere cannot be seen, and then all moves that talk to
one instance depend on each other.

**Real time.** The judge asks which calls had been answered before another one was invoked. So an
answer and an invocation do not commute, while two answers do, and two invocations. This is needed
only within a group of accounts that calls connect: linearizability is local (Herlihy and Wing,
1990, theorem 1). A history is linearizable iff its part on each group is, because a cycle between
orders of different groups would be one in real time, which is an order of intervals and has none.
An idempotency key connects its calls as an account does. The judge's other questions (the log's
chain, balances, each client's own order, what was left behind) are the same for all orders of one
trace. Groups are those of the calls that were seen: when a run connects two, the search begins
again with what has been `Learned`, so in its last pass every run agrees with the groups used.

**Everything.** Crashes, sweeps and time that runs past leases concern all. A back-off ends as soon
as anybody else has moved, so it is ordered against all moves, and so is the one that leads to it.
"""

import functools
from collections.abc import Hashable, Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from engine.errors import DeadlockVictim
from engine.explore.controller import Taken
from engine.explore.faults import How
from engine.explore.steps import Step
from engine.history import CallRecord
from engine.operations import Balance, CheckSufficient, Operation, Question, accounts_of

Thing = Hashable
Place = int | None


class Use(Enum):
    """How a move uses a thing."""

    LOOK = 1
    CHANGE = 2
    ANSWER = 3
    INVOKE = 4


class Footprint(NamedTuple):
    """What a move uses. `everything`: it commutes with nothing."""

    uses: Mapping[Thing, Use]
    everything: bool = False
    awaits: frozenset[Thing] = frozenset()


EVERYTHING = Footprint({}, everything=True)
DATABASE: Thing = "database"
# A call on accounts nobody can name yet: it could be in any group.
ANY_CALL: Thing = ("calls",)

_OWN_STEP = frozenset({How.GO, How.CANCEL, How.LOSE, How.BUSY, How.NO_CACHE})
_WITHOUT_EFFECT = frozenset({How.CANCEL, How.BUSY, How.NO_CACHE})
_TRANSACTION = frozenset({"begin", "commit", "rollback"})
_READS_OR_LOCKS = frozenset({"read", "advisory"})
_WRITES = frozenset({"write", "take", "give", "decide", "guarded", "group"})


def depend(one: Footprint, other: Footprint) -> bool:
    """Whether neighbouring moves of two clients may not be swapped."""
    if one.everything or other.everything:
        return True
    for thing in one.uses.keys() & other.uses.keys():
        use = one.uses[thing]
        if use is Use.CHANGE or use is not other.uses[thing]:
            return True
    return False


class Uses:
    """Collects what one move uses."""

    def __init__(self) -> None:
        self.uses: dict[Thing, Use] = {}
        self.awaits: set[Thing] = set()
        self.everything = False

    def add(self, thing: Thing, use: Use) -> None:
        """Used in two ways is changed."""
        if self.uses.setdefault(thing, use) is not use:
            self.uses[thing] = Use.CHANGE

    def change(self, *things: Thing) -> None:
        for thing in things:
            self.uses[thing] = Use.CHANGE

    def step(self, step: Step, how: How, result: Any, *, place: Place, inside: bool) -> None:
        """The step itself. `inside`: the lane has a transaction open, before it or after it."""
        if how not in _OWN_STEP:
            self.everything = True
        if how is not How.GO:
            # A budget that one fault uses up is no longer there for another one.
            self.change(("budget", "cancel" if how is How.LOSE else how))
        if isinstance(result, DeadlockVictim):
            self.everything = True  # whether there is a ring depends on all who wait
        if how in _WITHOUT_EFFECT and not (how is How.BUSY and inside):
            return
        match step.kind:
            case "invoke":
                pass
            case "acquire":
                self._waits(mutex(step.args[0], place))
            case "cache_get":
                self.add(("cache", place, step.args[1]), Use.LOOK)
            case "cache_put":
                self.change(("cache", place, step.args[1]))
            case kind if kind in _TRANSACTION or (inside and kind in _WRITES | _READS_OR_LOCKS):
                self._waits(DATABASE)
            case "read":
                self.add(DATABASE, Use.LOOK)
                self._rows(step.args[0], step.args[1], Use.LOOK)
            case kind if kind in _WRITES:
                self.add(DATABASE, Use.LOOK)
                self.awaits.add(DATABASE)
                self._written(step, result)
            case _:
                self.everything = True

    def footprint(self) -> Footprint:
        """All of it."""
        if self.everything:
            return EVERYTHING
        return Footprint(self.uses, awaits=frozenset(self.awaits))

    def _waits(self, thing: Thing) -> None:
        self.change(thing)
        self.awaits.add(thing)

    def _rows(self, accounts: Iterable[str], key: str | None, use: Use) -> None:
        for account in accounts:
            self.add(("row", account), use)
        if key is not None:
            self.add(("key", key), use)

    def _written(self, step: Step, result: Any) -> None:
        args = step.args
        match step.kind:
            case "write":
                use = _used(result)
                self._rows((change.account for change in args[1]), args[0].key, use)
                for lease in dict(step.options)["fence"]:
                    self.add(("lease", lease), Use.LOOK)
            case "guarded":
                self._rows(args[0].accounts, args[0].key, _used(result))
            case "group":
                whole = isinstance(result, tuple)
                for number, call in enumerate(args[0]):
                    answer = result[number] if whole else result
                    self._rows(call.accounts, call.key, _used(answer))
            case "take":
                self._waits(("lease", args[0]))
            case "give":
                self.change(("lease", args[0]))
            case "decide":
                self.change(("decision", args[0]))


def _used(answer: Any) -> Use:
    """What was refused has only looked."""
    return Use.LOOK if isinstance(answer, Exception) else Use.CHANGE


def mutex(of: Any, place: Place) -> Thing:
    """A mutex as a thing: by name within its instance, the same in every run; else itself."""
    if place is None:
        return ("mutex", of)
    return ("mutex", None if of.shared else place, of.name)


def touches(taken: Taken) -> Footprint:
    """What the steps of a run tell of a move's use; neither memory nor real time is in it."""
    used = Uses()
    used.step(taken.step, taken.move.how, taken.result, place=None, inside=False)
    if taken.step.kind in _TRANSACTION:
        used.everything = True
    used.change(*(mutex(freed, None) for freed in taken.freed))
    return used.footprint()


class Learned:
    """What a search has found out about its setting. Any of it makes more moves depend.

    `coarse` are cells that somebody used as a whole, `unseen` says that memory may change unseen,
    `meddling` that one client's move can take another's next step away or put another in its place.
    """

    def __init__(self, *, unseen: bool = False) -> None:
        self.coarse: set[str] = set()
        self.unseen = unseen
        self.meddling = False
        self.news = False
        self.firsts: dict[Thing, Any] = {}  # what cells begin with
        self._parent: dict[Thing, Thing] = {}

    def connect(self, things: Iterable[Thing]) -> Thing:
        """The group of all these accounts and keys, which are one from now on."""
        first: Thing = None
        for thing in things:
            root = self._root(thing)
            if first is None:
                first = root
            elif root != first:
                self._parent[root] = first
                self.news = True
        return first

    def use_whole(self, cell: str) -> None:
        """Somebody looked at the cell's order, or at all of it."""
        self.news = self.news or cell not in self.coarse
        self.coarse.add(cell)

    def cannot_see(self) -> None:
        """Memory was found that may change unseen."""
        self.news = self.news or not self.unseen
        self.unseen = True

    def meddles(self) -> None:
        """A client's next step was changed by another one's move."""
        self.news = self.news or not self.meddling
        self.meddling = True

    def _root(self, thing: Thing) -> Thing:
        while (parent := self._parent.get(thing, thing)) != thing:
            thing = parent
        return thing


@functools.lru_cache(maxsize=1024)
def things_of(request: Operation | Question, key: str | None = None) -> tuple[Thing, ...]:
    """What connects a call with others: its accounts and its idempotency key."""
    asks = isinstance(request, Balance | CheckSufficient)
    accounts = (request.account,) if asks else accounts_of(request)  # type: ignore[union-attr,arg-type]
    keys = () if key is None else (("key", key),)
    return (*(("account", account) for account in accounts), *keys)


def answered(used: Uses, learned: Learned, call: CallRecord) -> None:
    """The move in which a call was answered. Where nobody was told of it, no order follows."""
    group = learned.connect(things_of(call.request, call.key))
    if call.completed_ns is not None:
        used.add(ANY_CALL, Use.LOOK)
        used.add(("calls", group), Use.ANSWER)


def invoked(used: Uses, learned: Learned, step: Step, calls: int) -> None:
    """The move in which so many calls were invoked; an order's own calls are announced nowhere."""
    request = step.args[0] if step.kind == "invoke" else None
    if request is None and calls:
        used.change(ANY_CALL)
    elif request is not None:
        group = learned.connect(things_of(request))
        used.add(ANY_CALL, Use.LOOK)
        used.add(("calls", group), Use.INVOKE)
