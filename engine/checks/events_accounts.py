"""From a history to what the event-ordered search asks of an account: actions and their events."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from engine.checks.events_actions import Action, Free, Pinned, Seen
from engine.checks.settle import NO_REFUSAL
from engine.checks.telling import named
from engine.checks.verdict import CannotSay
from engine.histories.columns import FOREVER, INSUFFICIENT, MISSING, History, Ints
from engine.recording import Ended, Kind

# More than any balance.
BALANCE_MAX = 2**60

_ACTIONS = (Pinned, Free, Seen)
_PINNED, _FREE, _SEEN, _NOTHING = range(4)
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Projection:
    """What happened to one account, or in `unclear` why that cannot be said.

    `calls` are those behind `actions`, -1 for the balance in the end; `questions` are the places
    of those that changed nothing by nature. `events`: `i` where action i was invoked, `~i` where
    it returned. `wrong`: a call that contradicts itself. `doubts`: what these actions leave out.
    """

    account: int
    openings: tuple[int, ...] = ()
    calls: list[int] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    questions: frozenset[int] = frozenset()
    wrong: int | None = None
    doubts: tuple[str, ...] = ()
    unclear: str = ""

    def without_questions(self, *, until: int) -> "Projection":
        """The same up to an event, without what only looked."""
        events = self.events[: self.events.index(until) + 1]
        changes = [e for e in events if (e if e >= 0 else ~e) not in self.questions]
        return replace(self, events=changes)


@dataclass(frozen=True, slots=True)
class _Entries:
    """Per entry: its call, its role with the two numbers of its Action, when it returned at last.

    `wrong`: it contradicts itself; `odd`: the action says less than the call did; `spans`: so did
    other accounts' actions; `unclear`: by how much it changed the balance is not known.
    """

    call: Ints
    role: Ints
    low: Ints
    high: Ints
    completed: Ints
    question: Mask
    wrong: Mask
    odd: Mask
    spans: Mask
    unclear: Mask


def projections(history: History, *, answers_only: bool = False) -> Iterator[Projection]:
    """Each account's part of the history, accounts in order.

    `answers_only`: of what calls found and left, use the answers to questions alone. Calls of
    unknown outcome may happen at any time after they were invoked, or never. Raises CannotSay where
    calls have no common clock, or share a key.
    """
    demand_order(history)
    entries = _classified(history, answers_only)
    used = np.nonzero(entries.role != _NOTHING)[0]
    used = used[np.argsort(history.account[used], kind="stable")]
    account = history.account[used]
    everyone = np.arange(len(history.accounts) + 1)
    starts = np.searchsorted(account, everyone)
    events, event_starts = _in_time(
        account,
        np.arange(len(used)) - starts[account],
        history.invoked[entries.call[used]],
        entries.completed[used],
    )
    event_starts = np.searchsorted(event_starts, everyone)
    openings = openings_of(history).tolist()
    columns = (entries.role, entries.low, entries.high, entries.call)
    for place in range(len(history.accounts)):
        mine = used[starts[place] : starts[place + 1]]
        roles, lows, highs, calls = (column[mine].tolist() for column in columns)
        projection = Projection(
            account=place,
            calls=calls,
            actions=[
                _ACTIONS[role](low, high)
                for role, low, high in zip(roles, lows, highs, strict=True)
            ],
            events=events[event_starts[place] : event_starts[place + 1]].tolist(),
            questions=frozenset(np.nonzero(entries.question[mine])[0].tolist()),
        )
        yield _completed(history, projection, entries, mine, openings[place])


def demand_order(history: History) -> None:
    """Raise CannotSay where real time does not order the calls, or keys are not settled."""
    if (history.invoked == MISSING).any():
        raise CannotSay("calls without a time of invocation have no order in real time")
    if len(np.unique(history.clock)) > 1:
        raise CannotSay("calls of several clocks have no common order in real time")
    keys = history.key[history.key >= 0]
    if len(np.unique(keys)) < len(keys):
        raise CannotSay("calls that share an idempotency key have to be settled first")


def openings_of(history: History) -> Ints:
    """What each account held at first: nothing, where the history itself opens its wallet."""
    opened = history.account[(history.kind == Kind.OPEN)[history.call_of_entry()]]
    openings = history.openings.copy()
    openings[opened] = np.where(openings[opened] == MISSING, 0, openings[opened])
    return openings


def _in_time(account: Ints, local: Ints, invoked: Ints, completed: Ints) -> tuple[Ints, Ints]:
    """Events by account, then time, those invoked first; and the account of each."""
    returning = completed != FOREVER
    event = np.concatenate((local, ~local[returning]))
    account = np.concatenate((account, account[returning]))
    at = np.concatenate((invoked, completed[returning]))
    order = np.lexsort((event < 0, at, account))
    return event[order], account[order]


def _classified(history: History, answers_only: bool) -> _Entries:
    call = history.call_of_entry()
    call_ended, call_insufficient = endings(history)
    kind, ended, insufficient = history.kind[call], call_ended[call], call_insufficient[call]
    before, after, amount, need = _known(history, kind, answers_only)
    question = (kind == Kind.BALANCE) | (kind == Kind.CHECK)
    refused = (ended == Ended.REFUSED) & insufficient
    ok, unknown = ended == Ended.OK, ended == Ended.UNKNOWN
    looked = refused | (ok & (question | (amount == 0)))
    changed = (ok | unknown) & ~question & (amount != 0)
    has_before = before != MISSING
    debits = _per_call(history, need > 0)[call]
    found = looked & has_before
    enough = ok & looked & ~has_before & (kind != Kind.BALANCE)
    lacking = refused & ~has_before & (need > 0) & (debits == 1)
    # One of several accounts held too little: which one, only a search of them all can say.
    somewhere = refused & ~has_before & (need > 0) & (debits > 1)
    pinned = changed & ok & has_before
    free = changed & ~pinned
    # Where nothing was lacking, no balance explains the refusal.
    enough_seen = (need <= 0) | (has_before & (before >= need))
    covered = refused & (_per_call(history, ~enough_seen) == 0)[call]
    conditions = [pinned, free, found, enough, lacking, somewhere]
    role = np.select(conditions, [_PINNED, _FREE, *[_SEEN] * 4], _NOTHING)
    role = np.where(covered & (role == _NOTHING), _SEEN, role)
    end = np.where(unknown, FOREVER, np.minimum(history.completed[call], FOREVER - 1))
    least = _least_seen(history, before, after)[history.account]
    # Whoever begins below zero may still be given something.
    has_after, short = after != MISSING, (need > 0) & (before < need)
    return _Entries(
        call=call,
        role=role,
        low=np.select(conditions, [before, amount, before, need, least, -BALANCE_MAX], 0),
        high=np.select(conditions, [after, end, before + 1, BALANCE_MAX, need, BALANCE_MAX], 0),
        completed=end,
        question=question & (role == _SEEN),
        wrong=(pinned & ((before + amount != after) | short))
        | (found & ((ok & short) | (has_after & (after != before))))
        | covered,
        odd=(free & (need > np.maximum(0, -amount))) | somewhere,
        spans=(_per_call(history, role != _NOTHING) > 1)[call] & (role != _NOTHING),
        unclear=changed & (amount == MISSING),
    )


def _least_seen(history: History, before: Ints, after: Ints) -> Ints:
    """The least that each account may hold: nothing, unless it was seen below zero."""
    opened = np.where(history.openings == MISSING, 0, history.openings)
    least: Ints = np.minimum(opened, 0)
    for seen in (before, after):
        below = np.flatnonzero((seen < 0) & (seen != MISSING))
        np.minimum.at(least, history.account[below], seen[below])
    return least


def endings(history: History) -> tuple[Ints, Mask]:
    """How each call ended, and whether a refusal was for too little.

    Refusals by a fault that leaves it open whether anything happened are none.
    """
    fault = np.array([code in NO_REFUSAL for code in history.codes])[history.code]
    too_little = np.array([code == INSUFFICIENT for code in history.codes])[history.code]
    ended = np.where(fault & (history.ended == Ended.REFUSED), int(Ended.UNKNOWN), history.ended)
    return ended, too_little | ((history.kind == Kind.CHECK) & (history.code == 0))


def _known(history: History, kind: Ints, answers_only: bool) -> tuple[Ints, Ints, Ints, Ints]:
    before, after, amount, need = derived(history)
    if answers_only:
        hidden = kind != Kind.BALANCE
        before, after = (np.where(hidden, MISSING, column) for column in (before, after))
    return before, after, amount, need


def derived(history: History) -> tuple[Ints, Ints, Ints, Ints]:
    """Before, after, amount and need per entry, each from the others where it is missing."""
    before, after, amount = history.before, history.after, history.amount
    refused = (endings(history)[0] == Ended.REFUSED)[history.call_of_entry()]
    both = (before != MISSING) & (after != MISSING) & ~refused
    amount = np.where((amount == MISSING) & both, after - before, amount)
    counted = (amount != MISSING) | refused
    # Whatever a refused call had asked for, it left what it found.
    moved = np.where(refused, 0, amount)
    gaps = (before == MISSING) & (after != MISSING) & counted
    before = np.where(gaps, after - moved, before)
    gaps = (after == MISSING) & (before != MISSING) & counted
    after = np.where(gaps, before + moved, after)
    # A refusal of nobody knows what may have needed anything.
    unknown = np.where(refused, BALANCE_MAX, 0)
    least = np.where(amount != MISSING, np.maximum(0, -amount), unknown)
    return before, after, amount, np.where(history.need == MISSING, least, history.need)


def _per_call(history: History, entries: Mask) -> Ints:
    """How many of each call's entries these are."""
    counts = np.concatenate(([0], np.cumsum(entries)))
    per_call: Ints = counts[history.first[1:]] - counts[history.first[:-1]]
    return per_call


def _completed(
    history: History, projection: Projection, entries: _Entries, mine: Ints, opening: int
) -> Projection:
    """With the balance in the end, the opening balances possible, and what is wrong or unclear."""
    name = history.accounts[projection.account]
    wrong = mine[entries.wrong[mine]]
    if entries.unclear[mine].any():
        return replace(projection, unclear=f"not every change of {name} says by how much")
    openings = _openings_possible(projection) if opening == MISSING else (opening,)
    if not openings:
        # Nothing to be said, nor to be explained, of an account that no call touched.
        told = f"what {name} held at first is not known" if projection.actions else ""
        return replace(projection, unclear=told)
    final = int(history.finals[projection.account])
    actions, calls, events = projection.actions, projection.calls, projection.events
    if history.complete and final != MISSING:
        events = [*events, len(actions), ~len(actions)]
        actions, calls = [*actions, Seen(final, final + 1)], [*calls, -1]
    return replace(
        projection,
        openings=openings,
        calls=calls,
        actions=actions,
        events=events,
        wrong=int(entries.call[wrong[0]]) if len(wrong) else None,
        doubts=tuple(_doubts(history, entries, mine, min(openings))),
    )


def _doubts(history: History, entries: _Entries, mine: Ints, least: int) -> Iterator[str]:
    if least < 0 and (entries.role[mine] == _FREE).any():
        yield "what was below zero at first"
    spanning = entries.call[mine[entries.spans[mine]]]
    if len(spanning):
        yield f"calls like {named(history, int(spanning[0]))} touch several accounts"
    odd = entries.call[mine[entries.odd[mine]]]
    if len(odd):
        yield f"what calls like {named(history, int(odd[0]))} found is not known"


def _openings_possible(projection: Projection) -> tuple[int, ...]:
    """What some call found that was invoked before any returned, if all of those tell."""
    first = next((place for place, e in enumerate(projection.events) if e < 0), 0)
    found = set()
    for place in projection.events[:first]:
        match projection.actions[place]:
            case Pinned(before, _):
                found.add(before)
            case Seen(low, high) if high - low == 1:
                found.add(low)
            case Free(_, completed) if completed == FOREVER:
                pass
            case _:
                return ()
    return tuple(sorted(found))
