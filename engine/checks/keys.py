"""One effect for each idempotency key: its attempts become one call, or were applied twice.

An attempt may be answered with the receipt of another. The effect lies between the first attempt's
invocation (where the log tells which attempt it was, that one's) and the first answer. Calls of one
operation id are attempts at one operation as well.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.checks.telling import made_or_lost, named
from engine.checks.verdict import VIOLATIONS_MAX, Found, Level, Violation
from engine.histories.columns import FOREVER, MISSING, History, Ints
from engine.recording import Ended, Kind
from engine.verdicts import Break

Mask = NDArray[np.bool_]

# So many pairs of one key are named where no order is left.
NOTES_MAX = 5


@dataclass(frozen=True, slots=True)
class Attempts:
    """Which calls remain, one for each effect, and (per call) when and as what they happened.

    `again`: effects that should not be, since the call in `once` (per call, else -1) had the same
    key. `early`: calls answered before the effect which they were answered with can have been.
    """

    kept: Mask
    operation: Ints
    invoked: Ints
    completed: Ints
    once: Ints
    early: Ints

    @property
    def again(self) -> Mask:
        return np.asarray(self.once >= 0)


def one_effect_per_key(history: History, attempted: Mask, ended: Ints, logged: Mask) -> Attempts:
    """Join the `attempted` calls of one key. `ended` per call; `logged` per operation id."""
    kept, once = np.ones(history.calls, np.bool_), np.full(history.calls, -1)
    members = _repeated(history, attempted)
    if not len(members):
        return Attempts(kept, history.operation, history.invoked, history.completed, once, members)
    group = _groups(history)[members]
    answered = ended[members] == Ended.OK
    in_log = logged[history.operation[members]]
    until = np.where(answered, history.completed[members], FOREVER)
    # First the attempt that was answered first, else one that the log knows.
    order = np.lexsort((history.invoked[members], ~in_log, until, group))
    members, group, answered = members[order], group[order], answered[order]
    in_log, until = in_log[order], until[order]
    starts = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1])))
    leader = np.repeat(starts, np.diff(np.concatenate((starts, [len(members)]))))
    differ = _differ(history, members, members[leader])
    apart = answered & differ
    apart |= in_log & in_log[leader] & _other_operation(history, members, leader)
    follows = np.arange(len(members)) != leader
    apart &= follows
    # Of several requests that were never answered, any may be the one that happened.
    open_ended = ~answered & ~answered[leader] & ~in_log[leader] & differ
    kept[members[follows & ~apart & ~open_ended]] = False
    once[members[apart]] = members[leader[apart]]
    operation, invoked = history.operation.copy(), history.invoked.copy()
    completed = history.completed.copy()
    # An attempt at something else is no earlier attempt at this: it would have the key.
    mine = np.where(differ, FOREVER, history.invoked[members])
    invoked[members[starts]] = np.minimum.reduceat(mine, starts)
    completed[members[starts]] = until[starts]
    # The effect is that of the attempt which the log knows, whoever was answered first.
    known = in_log & (~follows | ~in_log[leader]) & ~apart
    operation[members[leader[known]]] = history.operation[members[known]]
    invoked[members[leader[known]]] = history.invoked[members[known]]
    # Nobody knows when, by the leader's clock, an attempt by another clock was invoked.
    clock = history.clock[members]
    several = np.minimum.reduceat(clock, starts) != np.maximum.reduceat(clock, starts)
    invoked[members[starts[several]]] = MISSING
    early = members[starts][until[starts] < invoked[members[starts]]]
    completed[early] = invoked[early]
    return Attempts(kept, operation, invoked, completed, once, early)


def _groups(history: History) -> Ints:
    """A number for each effect asked for: of the key, or of the operation without one."""
    apart = int(history.key.max(initial=0)) + 1
    return np.where(history.key >= 0, history.key, apart + history.operation)


def _repeated(history: History, attempted: Mask) -> Ints:
    """The attempted calls whose key, or operation, was attempted more than once."""
    members = np.flatnonzero(attempted)
    group = _groups(history)[members]
    if len(group) < 2 or (np.diff(group) > 0).all():
        return members[:0]
    _, place, times = np.unique(group, return_inverse=True, return_counts=True)
    return members[times[place] > 1]


def _other_operation(history: History, members: Ints, leader: Ints) -> Mask:
    operation = history.operation[members]
    return np.asarray(operation != operation[leader])


def _differ(history: History, members: Ints, leaders: Ints) -> Mask:
    """Whether two attempts asked for, or were answered with, different things."""
    width = np.diff(history.first)
    differ: Mask = width[members] != width[leaders]
    # Receipts may name their accounts in any order.
    order = np.lexsort((history.account, history.call_of_entry()))
    columns = [
        getattr(history, name)[order]
        for name in ("account", "amount", "before", "after", "version")
    ]
    differ |= history.kind[members] != history.kind[leaders]
    for entry in range(int(width[members].max(initial=0))):
        both = np.flatnonzero(~differ & (width[members] > entry))
        here, there = history.first[members[both]] + entry, history.first[leaders[both]] + entry
        for column in columns:
            ours, theirs = column[here], column[there]
            known = (ours != MISSING) & (theirs != MISSING)
            differ[both] |= known & (ours != theirs)
    return differ


def _answered_before(history: History, call: int) -> Violation:
    return Violation(
        Break.ORDER,
        "early answer-realtime",
        f"{named(history, call)} was answered before the call of its key was invoked that the log"
        " says it was",
        (call,),
    )


@dataclass(frozen=True, slots=True)
class _Late:
    """Refusals for too little under a key that stands for an effect, and for each that effect.

    `saw`: the refused call saw what the other had written; `after`: it was invoked after that one's
    answer; `open_ended`: it tells nothing of when it came, so that only a search can.
    """

    refused: Ints
    success: Ints
    saw: Mask
    after: Mask
    open_ended: Mask


def _late(history: History, refused: Mask, effects: Mask, attempts: Attempts) -> _Late:
    late = np.flatnonzero(refused & (history.key >= 0))
    granted = np.flatnonzero(effects & ~attempts.again & (history.key >= 0))
    if not len(late) or not len(granted):
        nothing, none = late[:0], refused[:0]
        return _Late(nothing, nothing, none, none, none)
    granted = granted[np.lexsort((attempts.invoked[granted], history.key[granted]))]
    keys = history.key[granted]
    success = granted[np.minimum(np.searchsorted(keys, history.key[late]), len(keys) - 1)]
    mine = history.key[success] == history.key[late]
    late, success = late[mine], success[mine]
    saw = _saw(history, late, success)
    after = attempts.completed[success] < history.invoked[late]
    after &= history.clock[success] == history.clock[late]
    open_ended = ~saw & ~after & _unseen(history, late)
    open_ended &= history.completed[late] >= attempts.invoked[success]
    return _Late(late, success, saw, after, open_ended)


def check_keys(
    history: History, refused: Mask, effects: Mask, attempts: Attempts
) -> tuple[Found, Ints]:
    """What is wrong with the keys, and the refusals of which only a search can tell.

    `refused`: changes that were refused for too little; `effects`: calls that happened, or may
    have. A key that stands for an effect gives its receipt; "too little" is no answer any more.
    """
    late = _late(history, refused, effects, attempts)
    wrong = np.flatnonzero(late.saw | late.after)
    twice = np.flatnonzero(attempts.again)
    found = [
        _applied_twice(history, int(attempts.once[call]), int(call))
        for call in twice[:VIOLATIONS_MAX]
    ]
    found += [_answered_before(history, int(call)) for call in attempts.early[:VIOLATIONS_MAX]]
    found += [
        _forgotten_key(
            history, int(late.success[at]), int(late.refused[at]), saw=bool(late.saw[at])
        )
        for at in wrong[:VIOLATIONS_MAX]
    ]
    found.sort(key=Violation.moment)
    count = len(twice) + len(attempts.early) + len(wrong)
    # Some order would do where only the clock speaks against it.
    level = Level.NONE if len(twice) or late.saw.any() else Level.SERIALIZABLE
    keys = Found(found[:VIOLATIONS_MAX], count, level if count else None)
    return keys, late.refused[late.open_ended]


def counted_as_one(history: History, accounts: Iterable[int]) -> Iterator[str]:
    """In words: changes of these accounts, granted under one key, that tell nothing to part them.

    They count as one effect and its receipt; two effects look the same but for what others found.
    """
    of = history.call_of_entry()
    granted = (history.ended == Ended.OK) & (history.kind > Kind.CHECK) & (history.key >= 0)
    granted[of[(history.before != MISSING) | (history.version != MISSING)]] = False
    touched = np.zeros(history.calls, np.bool_)
    touched[of[np.isin(history.account, list(accounts))]] = True
    calls = np.flatnonzero(granted & touched)
    calls = calls[np.argsort(history.key[calls], kind="stable")]
    pairs = np.flatnonzero(np.diff(history.key[calls]) == 0)
    for at in pairs[:NOTES_MAX].tolist():
        yield (
            f"{named(history, int(calls[at]))} and {named(history, int(calls[at + 1]))} have one"
            " idempotency key and count as one effect; applied twice, they may be the reason"
        )


def check_log_keys(history: History, extra: Mask) -> tuple[Found, Mask]:
    """What is wrong with the keys of an operation log by itself, and the effects that are too many.

    Its operations are effects, the first of a key by version. Those in `extra` were told of.
    """
    effects = np.flatnonzero((history.key >= 0) & ~extra)
    row = history.first[effects]
    effects = effects[np.lexsort((row, history.version[row], history.key[effects]))]
    again = np.flatnonzero(history.key[effects[1:]] == history.key[effects[:-1]]) + 1
    once = np.searchsorted(history.key[effects], history.key[effects[again]])
    too_many = np.zeros(history.calls, np.bool_)
    too_many[effects[again]] = True
    told = [
        replace(_applied_twice(history, int(effects[first]), int(effects[next])), calls=())
        for first, next in zip(once[:VIOLATIONS_MAX], again[:VIOLATIONS_MAX], strict=True)
    ]
    return Found(told, len(again), Level.NONE if told else None), too_many


def _unseen(history: History, calls: Ints) -> Mask:
    """Those that do not tell what version they saw."""
    of = history.call_of_entry()[history.version != MISSING]
    return np.asarray(np.bincount(of, minlength=history.calls)[calls] == 0)


def _saw(history: History, late: Ints, success: Ints) -> Mask:
    """Whether a refused call saw, of its first account, what the granted one had written."""
    width = np.diff(history.first)
    told = (width[late] > 0) & (width[success] > 0)
    here, there = history.first[late[told]], history.first[success[told]]
    seen, written = history.version[here], history.version[there]
    known = (seen != MISSING) & (written != MISSING)
    same = history.account[here] == history.account[there]
    told[told] = known & same & (seen >= written)
    return told


def _forgotten_key(history: History, granted: int, refused: int, *, saw: bool) -> Violation:
    return Violation(
        Break.ORDER,
        "forgotten key" if saw else "forgotten key-realtime",
        f"{named(history, refused)} was refused for too little, though {named(history, granted)}"
        " had been granted under the same idempotency key",
        (granted, refused),
    )


def _applied_twice(history: History, once: int, again: int) -> Violation:
    entries = slice(int(history.first[again]), int(history.first[again + 1]))
    accounts, amounts = set(history.account[entries].tolist()), history.amount[entries]
    amount = int(amounts.sum()) if len(accounts) == 1 and (amounts != MISSING).all() else 0
    asked = "one idempotency key" if history.key[once] >= 0 else "one operation"
    return Violation(
        Break.MONEY,
        "applied twice",
        f"{named(history, once)} and {named(history, again)} are {asked}, applied twice"
        + made_or_lost(amount, history.decimals),
        (once, again),
        accounts.pop() if len(accounts) == 1 else -1,
        amount,
    )
