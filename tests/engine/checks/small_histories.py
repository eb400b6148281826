"""Small histories from a seed, right and wrong ones, for judges to be held against brute force."""

import random
from dataclasses import replace

import numpy as np

from engine.histories.columns import FOREVER, MISSING, History
from engine.histories.drawing import WIDTHS, Shape
from engine.histories.generate import generate
from engine.recording import Ended, Kind
from tests.engine.checks.mutations import CHANGES, MUTATIONS
from tests.engine.checks.written_out import Draft, written_out

CALLS_MAX = 7
UNSEEN = {"before": MISSING, "after": MISSING, "version": MISSING}
KINDS = tuple(Kind(kind) for kind in range(Kind.BALANCE, Kind.BATCH + 1))


def small_shape(luck: random.Random) -> Shape:
    """Few calls that lie close together, of small amounts: so that much of it is ambiguous."""
    accounts = luck.choice((1, 1, 2, 3))
    able = [kind for kind in KINDS if WIDTHS[kind] <= accounts]
    mix = dict.fromkeys(luck.sample(able, luck.randint(2, len(able))), 1.0)
    return Shape(
        calls=luck.randint(1, CALLS_MAX),
        clients=luck.randint(1, 4),
        accounts=accounts,
        mix=mix,
        amounts=(1, luck.choice((2, 3, 1000))),
        opening=luck.choice((0, 2, 5, 500)),
        timeouts=luck.choice((0, 0, 0, 1, 2)),
        racing=luck.choice((0.0, 0.0, 0.0, 0.7)),
        tick=luck.choice((1, 1, 2, 4)),
    )


def retried(draft: Draft, luck: random.Random) -> Draft:
    """The same in which somebody was not sure, and asked for a change again under its key.

    Either the first was answered, or only the second; or the first never happened at all. In all
    of these the history stays as right as it was.
    """
    places = [
        place
        for place, call in enumerate(draft.calls)
        if call.kind in CHANGES and call.ended is Ended.OK
    ]
    if not places:
        return draft
    place = luck.choice(places)
    call = draft.calls[place]._replace(key="again and again")
    assert call.completed is not None
    unsure = call._replace(
        completed=None,
        ended=Ended.UNKNOWN,
        entries=tuple(entry._replace(**UNSEEN) for entry in call.entries),
    )
    if luck.random() < 0.3:
        first, second = unsure._replace(operation="never"), call
    else:
        again = luck.randint(call.invoked, call.completed + 2)
        second = call._replace(
            operation="again",
            invoked=again,
            completed=luck.randint(max(again, call.completed), call.completed + 4),
        )
        first = luck.choice((call, unsure))
    draft = draft.call(place, first)
    return replace(draft, calls=(*draft.calls, second))


def small_draft(seed: int) -> Draft:
    """One small history: as it was, or with one or two things that went wrong."""
    luck = random.Random(seed)
    draft = written_out(generate(small_shape(luck), seed=seed))
    if luck.random() < 0.2:
        draft = retried(draft, luck)
    for name in luck.choices(sorted(MUTATIONS), k=luck.choice((0, 1, 1, 2))):
        draft = MUTATIONS[name](draft, luck) or draft
    return draft


def cut_at(history: History, moment: int) -> History:
    """What was known of a run when it was cut off: a right history stays a right one.

    Calls under way then are not answered, later ones not recorded, and there is no final phase.
    """
    begun = history.keep(history.invoked <= moment)
    late = begun.completed > moment
    unseen = late[begun.call_of_entry()]
    nowhere = np.full(len(begun.accounts), MISSING)
    return replace(
        begun,
        ended=np.where(late, Ended.UNKNOWN, begun.ended),
        code=np.where(late, 0, begun.code),
        completed=np.where(late, FOREVER, begun.completed),
        before=np.where(unseen, MISSING, begun.before),
        after=np.where(unseen, MISSING, begun.after),
        version=np.where(unseen, MISSING, begun.version),
        finals=nowhere,
        final_versions=nowhere,
        log=None,
        complete=False,
    )
