"""In words: the earliest point at which no order is left, and what was still possible then."""

from collections import Counter
from collections.abc import Iterable, Iterator

from engine.checks.events_accounts import Projection
from engine.checks.events_actions import Free, Pinned, Seen, Stuck
from engine.checks.telling import made_or_lost, named
from engine.checks.verdict import Violation
from engine.histories.columns import History
from engine.money import show
from engine.recording import Ended
from engine.verdicts import Break

# A sentence names so many possibilities, and so many pending calls of each.
SHOWN_MAX = 3


def contradiction(history: History, projection: Projection, call: int) -> Violation:
    """A call whose own numbers do not fit each other."""
    account = projection.account
    message = f"{history.accounts[account]}: what {named(history, call)} found and left do not fit"
    return Violation(Break.MONEY, "arithmetic", message, (call,), account)


def no_order_left(
    history: History, projection: Projection, stuck: Stuck, *, stale: bool
) -> Violation:
    """The earliest return without an order. `stale`: without questions there would be one."""
    call, name = projection.calls[stuck.action], history.accounts[projection.account]
    possible = _possible(history, projection, stuck)
    if call < 0:
        held = show(_low(projection, stuck), history.decimals)
        return Violation(
            Break.MONEY,
            "wrong balance",
            f"{name} holds {held} in the end, which no order of its calls explains; {possible}",
            account=projection.account,
        )
    kind = Break.READS if stale else _money_or_order(projection)
    return Violation(
        kind,
        "stale read" if stale else "no order",
        f"{name}: no order of the calls is left when {named(history, call)} returns, which"
        f" {_told(history, projection, stuck)}; {possible}",
        (call,),
        projection.account,
    )


def _low(projection: Projection, stuck: Stuck) -> int:
    return projection.actions[stuck.action][0]


def _told(history: History, projection: Projection, stuck: Stuck) -> str:
    call = projection.calls[stuck.action]

    def shown(amount: int) -> str:
        return show(amount, history.decimals)

    match projection.actions[stuck.action]:
        case Pinned(before, after):
            return f"found {shown(before)} and left {shown(after)}"
        case Free(amount, _):
            return f"{'took' if amount < 0 else 'added'} {shown(abs(amount))}"
        case Seen(low, high) if high - low == 1:
            return f"found {shown(low)}"
        case Seen(low, high):
            if history.ended[call] == Ended.REFUSED:
                return f"was told that there was less than {shown(high)}"
            return f"was told that there was {shown(low)} or more"


def _possible(history: History, projection: Projection, stuck: Stuck) -> str:
    """ "possible were 10.00 with w2 (withdraw 3.00) to come, and 7.00"."""
    live = sorted(stuck.live, key=lambda each: (each[0].bit_count(), each[1]))
    shown = [
        show(balance, history.decimals)
        + _to_come(
            history,
            [
                projection.calls[action]
                for action, bit in stuck.pending.items()
                if not bit & done and action != stuck.action
            ],
        )
        for done, balance in live[:SHOWN_MAX]
    ]
    more = len(live) - SHOWN_MAX
    return "possible until then: " + "; ".join(shown) + (f"; and {more:,} more" if more > 0 else "")


def _to_come(history: History, calls: list[int]) -> str:
    if not calls:
        return ""
    names = ", ".join(named(history, call) for call in calls[:SHOWN_MAX])
    more = len(calls) - SHOWN_MAX
    return f" with {names}{f' and {more} more' if more > 0 else ''} to come"


def lost_update(history: History, projection: Projection, stuck: Stuck) -> Violation | None:
    """Two changes that overlap, found the same balance and wrote over each other."""
    pair = next(_pairs(history, projection, stuck), None)
    return None if pair is None else _overwritten(history, projection, pair)


def _pairs(history: History, projection: Projection, stuck: Stuck) -> Iterator[tuple[int, int]]:
    """The stuck change, or a pending one whose balance it found, with one that found the same."""
    actions, calls = projection.actions, projection.calls
    found = actions[stuck.action][0]
    to_come = [place for place, bit in stuck.pending.items() if not stuck.live[0][0] & bit]
    for late in (stuck.action, *to_come):
        one = actions[late]
        if isinstance(one, Pinned) and (late == stuck.action or one.after == found):
            for place, other in enumerate(actions):
                if (
                    isinstance(other, Pinned)
                    and other.before == one.before
                    and place not in (late, *to_come)
                    and history.invoked[calls[place]] <= history.completed[calls[late]]
                    and history.invoked[calls[late]] <= history.completed[calls[place]]
                ):
                    yield place, late


def _overwritten(history: History, projection: Projection, pair: tuple[int, int]) -> Violation:
    actions, calls = projection.actions, projection.calls
    # Whose balance somebody went on from is the one who wrote last.
    goes_on = [_found_later(projection, place) for place in pair]
    lost, winner = reversed(pair) if goes_on == [True, False] else pair
    taken, left = (actions[place] for place in (lost, winner))
    assert isinstance(taken, Pinned)
    assert isinstance(left, Pinned)
    amount = taken.before - taken.after

    def shown(cents: int) -> str:
        return show(cents, history.decimals)

    return Violation(
        Break.MONEY,
        "lost update",
        f"{history.accounts[projection.account]}: {named(history, calls[lost])} and"
        f" {named(history, calls[winner])} both found {shown(taken.before)}, and"
        f" {shown(left.after)} was written over {shown(taken.after)}"
        + made_or_lost(amount, history.decimals),
        (calls[lost], calls[winner]),
        projection.account,
        amount,
    )


def _found_later(projection: Projection, place: int) -> bool:
    """Whether some later call found what this change left."""
    change = projection.actions[place]
    assert isinstance(change, Pinned)
    later = projection.events[projection.events.index(place) + 1 :]
    return any(_finds(projection, event, change.after) for event in later if event >= 0)


def _finds(projection: Projection, place: int, balance: int) -> bool:
    match projection.actions[place]:
        case Pinned(before, _):
            return before == balance
        case Seen(low, high):
            return low == balance and high == balance + 1
        case _:
            return False


def _money_or_order(projection: Projection) -> Break:
    """Order if the changes follow from each other and only time forbids it, money if they do not.

    What was left must be what was found, but for the first and the last: an Eulerian path.
    """
    pinned = [action for action in projection.actions if isinstance(action, Pinned)]
    if any(isinstance(action, Free) for action in projection.actions):
        return Break.ORDER
    surplus = Counter(change.before for change in pinned)
    surplus.subtract(change.after for change in pinned)
    left_over = _only(surplus.values())
    return Break.ORDER if left_over in ([], [-1, 1]) else Break.MONEY


def _only(values: Iterable[int]) -> list[int]:
    return sorted(value for value in values if value)
