"""What goes wrong with wallets and with their records, done to a history on purpose.

Each mutation takes a history written out and a source of luck, and returns the history in which one
such thing happened, or None where there is nothing to do it to. The result may still be a history
that a right wallet could have made: that is for brute force to say.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

from engine.errors import InsufficientFunds
from engine.histories.by_hand import OneCall, OneEntry, OneRow
from engine.histories.columns import MISSING
from engine.recording import Ended, Kind
from tests.engine.checks.written_out import Draft

Mutation = Callable[[Draft, random.Random], Draft | None]
CHANGES = (Kind.WITHDRAW, Kind.ADD, Kind.TRANSFER, Kind.BATCH)


def swap(draft: Draft, luck: random.Random) -> Draft | None:
    """Two calls are told each other's balances and versions."""
    places = [(place, number) for place, number, entry in _seen(draft) if entry.before != MISSING]
    pairs = [
        (one, other)
        for one, other in product(luck.sample(places, min(20, len(places))), repeat=2)
        if _at(draft, *one).account == _at(draft, *other).account
        and _at(draft, *one)[2:5] != _at(draft, *other)[2:5]
    ]
    if not pairs:
        return None
    one, other = luck.choice(pairs)
    first, second = _at(draft, *one), _at(draft, *other)
    draft = draft.entry(*one, OneEntry(*first[:2], *second[2:5], first.need))
    return draft.entry(*other, OneEntry(*second[:2], *first[2:5], second.need))


def drop(draft: Draft, luck: random.Random) -> Draft | None:
    """A call that changed something is not in the history, though its effect is.

    Others that did remain: a log beside questions alone is taken to tell what nobody recorded.
    """
    places = [place for place, call in enumerate(draft.calls) if _changed(call)]
    if len(places) < 2:
        return None
    place = luck.choice(places)
    return replace(draft, calls=draft.calls[:place] + draft.calls[place + 1 :])


def duplicate(draft: Draft, luck: random.Random) -> Draft | None:
    """A change is recorded twice, the second time under a name of its own, by another client."""
    places = [place for place, call in enumerate(draft.calls) if _changed(call)]
    if not places:
        return None
    call = draft.calls[luck.choice(places)]
    name = f"{call.operation}-again-{len(draft.calls)}"
    again = call._replace(operation=name, client="another")
    return replace(draft, calls=(*draft.calls, again))


def delay(draft: Draft, luck: random.Random) -> Draft | None:
    """An answered call is said to have begun after all the others had ended."""
    return _moved(draft, luck, 1 + max((_end(call) for call in draft.calls), default=0))


def hurry(draft: Draft, luck: random.Random) -> Draft | None:
    """An answered call is said to have ended before all the others began."""
    return _moved(draft, luck, -3)


def _moved(draft: Draft, luck: random.Random, moment: int) -> Draft | None:
    places = [place for place, call in enumerate(draft.calls) if call.ended is not Ended.UNKNOWN]
    if not places:
        return None
    place = luck.choice(places)
    moved = draft.calls[place]._replace(invoked=moment, completed=moment + 1)
    return draft.call(place, moved)


def wrong_amount(draft: Draft, luck: random.Random) -> Draft | None:
    """The caller asked for one more than the wallet carried out."""
    found = [(place, number) for place, number, _ in _seen(draft) if _changed(draft.calls[place])]
    if not found:
        return None
    place, number = luck.choice(found)
    entry = _at(draft, place, number)
    amount = entry.amount + (1 if entry.amount > 0 else -1)
    return draft.entry(place, number, entry._replace(amount=amount, need=max(0, -amount)))


def wrong_after(draft: Draft, luck: random.Random) -> Draft | None:
    """A call leaves one more than it should have."""
    found = [(place, number) for place, number, entry in _seen(draft) if entry.after != MISSING]
    if not found:
        return None
    place, number = luck.choice(found)
    entry = _at(draft, place, number)
    return draft.entry(place, number, entry._replace(after=entry.after + 1))


def stale_read(draft: Draft, luck: random.Random) -> Draft | None:
    """A question is answered with what somebody had overwritten, or the opening, at some time."""
    asked = [
        (place, entry)
        for place, call in enumerate(draft.calls)
        for entry in call.entries
        if call.kind == Kind.BALANCE and call.ended is Ended.OK
    ]
    old = {
        (entry.account, entry.before, entry.version - (entry.version != MISSING))
        for place, _, entry in _seen(draft)
        if _changed(draft.calls[place]) and entry.before != MISSING
    }
    pairs = [
        (place, entry, before, version)
        for place, entry in luck.sample(asked, min(20, len(asked)))
        for account, before, version in sorted(old)
        if account == entry.account and (before, version) != (entry.before, entry.version)
    ]
    if not pairs:
        return None
    place, entry, before, version = luck.choice(pairs)
    return draft.entry(place, 0, entry._replace(before=before, after=before, version=version))


def torn_transfer(draft: Draft, luck: random.Random) -> Draft | None:
    """A transfer is taken from its source and never reaches its target; all later is consistent."""
    places = [
        place
        for place, call in enumerate(draft.calls)
        if call.kind == Kind.TRANSFER and _changed(call) and call.entries[1].version != MISSING
    ]
    if not places:
        return None
    place = luck.choice(places)
    target = draft.calls[place].entries[1]

    def less(entry: OneEntry) -> OneEntry:
        if entry.account != target.account or entry.version < target.version:
            return entry
        before = entry.before if entry is target else entry.before - target.amount
        return entry._replace(before=before, after=entry.after - target.amount)

    def less_logged(row: OneRow) -> OneRow:
        if row.account != target.account or row.version < target.version:
            return row
        before = row.before - (row.version > target.version) * target.amount
        return row._replace(before=before, after=row.after - target.amount)

    calls = tuple(call._replace(entries=tuple(map(less, call.entries))) for call in draft.calls)
    finals = {**draft.finals, target.account: draft.finals[target.account] - target.amount}
    log = None if draft.log is None else tuple(map(less_logged, draft.log))
    return replace(draft, calls=calls, finals=finals, log=log)


def refused_though_covered(draft: Draft, luck: random.Random) -> Draft | None:
    """A change that happened is answered with a refusal."""
    places = [place for place, call in enumerate(draft.calls) if _changed(call)]
    if not places:
        return None
    place = luck.choice(places)
    refused = draft.calls[place]._replace(ended=Ended.REFUSED, code=InsufficientFunds.code)
    return draft.call(place, refused)


def accepted_though_short(draft: Draft, luck: random.Random) -> Draft | None:
    """A refused call is told that it succeeded."""
    places = [place for place, call in enumerate(draft.calls) if call.ended is Ended.REFUSED]
    if not places:
        return None
    place = luck.choice(places)
    return draft.call(place, draft.calls[place]._replace(ended=Ended.OK, code=""))


def wrong_final(draft: Draft, luck: random.Random) -> Draft | None:
    """In the end a wallet holds one more than it should."""
    account = luck.choice(sorted(draft.finals))
    return replace(draft, finals={**draft.finals, account: draft.finals[account] + 1})


def lost_row(draft: Draft, luck: random.Random) -> Draft | None:
    """The log lacks a row."""
    rows = [row for row in draft.log or () if row.kind != Kind.OPEN]
    if not rows:
        return None
    lost = luck.choice(rows)
    return replace(draft, log=tuple(row for row in draft.log or () if row != lost))


def double_row(draft: Draft, luck: random.Random) -> Draft | None:
    """The log has a row twice."""
    rows = [row for row in draft.log or () if row.kind != Kind.OPEN]
    return replace(draft, log=(*(draft.log or ()), luck.choice(rows))) if rows else None


def wrong_row(draft: Draft, luck: random.Random) -> Draft | None:
    """A row of the log says one more than was moved."""
    rows = [place for place, row in enumerate(draft.log or ()) if row.kind != Kind.OPEN]
    if not rows or draft.log is None:
        return None
    place = luck.choice(rows)
    row = draft.log[place]
    wrong = row._replace(amount=row.amount + 1, after=row.after + 1)
    return replace(draft, log=(*draft.log[:place], wrong, *draft.log[place + 1 :]))


def one_key_for_two(draft: Draft, luck: random.Random) -> Draft | None:
    """Two changes that both happened were asked for under one idempotency key."""
    places = [place for place, call in enumerate(draft.calls) if _changed(call) and not call.key]
    if len(places) < 2:
        return None
    for place in luck.sample(places, 2):
        draft = draft.call(place, draft.calls[place]._replace(key="for two"))
    return draft


MUTATIONS: dict[str, Mutation] = {
    "swap": swap,
    "drop": drop,
    "duplicate": duplicate,
    "delay": delay,
    "hurry": hurry,
    "wrong amount": wrong_amount,
    "wrong after": wrong_after,
    "stale read": stale_read,
    "torn transfer": torn_transfer,
    "refused though covered": refused_though_covered,
    "accepted though short": accepted_though_short,
    "wrong final": wrong_final,
    "lost row": lost_row,
    "double row": double_row,
    "wrong row": wrong_row,
    "one key for two": one_key_for_two,
}


def _seen(draft: Draft) -> Iterator[tuple[int, int, OneEntry]]:
    for place, call in enumerate(draft.calls):
        for number, entry in enumerate(call.entries):
            yield place, number, entry


def _at(draft: Draft, place: int, number: int) -> OneEntry:
    return draft.calls[place].entries[number]


def _changed(call: OneCall) -> bool:
    return call.kind in CHANGES and call.ended is Ended.OK


def _end(call: OneCall) -> int:
    return call.invoked if call.completed is None else call.completed
