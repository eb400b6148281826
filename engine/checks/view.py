"""A judged history made ready for people: which calls to show, and the money lost until when.

Numbers come out as plain integers and names as texts, for `reports`, which know no judge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple

import numpy as np

from engine.checks.chain import chains
from engine.checks.settle import settle
from engine.checks.verdict import CannotSay, Judgement, Violation
from engine.histories.columns import FOREVER, MISSING, History, Ints, Names
from engine.results import HistoryView, ViewedCalls, ViewedViolation

# A page stays quick with these many calls, and nobody reads more.
CALLS_MAX = 10_000
# More curves than these in one picture nobody tells apart.
ACCOUNTS_MAX = 4
# Where only the order of calls is known, they stand this far apart, and last a little less.
STEP_NS, STEP_LASTS_NS = 10, 8

Curve = tuple[str, Sequence[int], Sequence[int]]


def view_of(
    history: History, judgement: Judgement, *, title: str = "", calls_max: int = CALLS_MAX
) -> HistoryView:
    """The history as it is shown: all of it, or `calls_max` calls around what is wrong.

    `title` says where the history comes from. The calls of every listed violation are shown, as
    long as they are not more than `calls_max` themselves.
    """
    if not history.calls and history.log is not None:
        history = _as_calls(history)
    invoked, completed, timed = _times(history)
    ends = np.where(completed == FOREVER, invoked, completed)
    gaps = _gaps(history)
    wrong = [_with_calls(violation, gaps) for violation in judgement.violations]
    places = _window(history.calls, wrong, calls_max)
    shown = history.keep(np.isin(np.arange(history.calls), places))
    clients, client = _named(history.clients, shown.client)
    accounts, account = _named(history.accounts, shown.account)
    numbers = _Numbers(
        {place: number for number, place in enumerate(places.tolist())},
        {name: number for number, name in enumerate(accounts)},
    )
    violations = tuple(_violation(each, history, numbers, ends) for each in wrong)
    money = _money(history, judgement, gaps, ends)
    begins = [violation.at_ns for violation in violations] + [at[0] for _, at, _ in money[:1]]
    return HistoryView(
        title=title,
        verdict=judgement.verdict,
        layer=judgement.layer,
        level="" if judgement.level is None else str(judgement.level),
        count=judgement.count,
        passed=judgement.passed,
        notes=(*judgement.notes, *_notes(history, timed)),
        lost=judgement.lost,
        decimals=history.decimals,
        step_ns=0 if timed else STEP_NS,
        calls_total=history.calls,
        until_ns=int(ends.max(initial=0)),
        consistent_ns=min(begins, default=None),
        clients=clients,
        accounts=accounts,
        codes=tuple(history.codes),
        calls=_calls(shown, client, account, invoked[places], completed[places]),
        violations=violations,
        money=money,
    )


def _calls(
    shown: History, client: list[int], account: list[int], invoked: Ints, completed: Ints
) -> ViewedCalls:
    return ViewedCalls(
        operation=[shown.operations[place] for place in shown.operation.tolist()],
        client=client,
        kind=shown.kind.tolist(),
        ended=shown.ended.tolist(),
        code=shown.code.tolist(),
        invoked_ns=invoked.tolist(),
        completed_ns=_known(completed, FOREVER),
        first=shown.first.tolist(),
        account=account,
        amount=_known(shown.amount),
        before=_known(shown.before),
        after=_known(shown.after),
        version=_known(shown.version),
    )


def _as_calls(history: History) -> History:
    """A log by itself: each operation drawn as a call, in the lane of the account it touches."""
    told = settle(history).history
    return replace(told, client=told.account[told.first[:-1]], clients=history.accounts, log=None)


def _times(history: History) -> tuple[Ints, Ints, bool]:
    """When calls were invoked and completed, in ns from the first of their clock; whether known."""
    if (history.invoked == MISSING).any():
        # One call without times has no place beside calls with times: all stand in their order.
        at = np.arange(history.calls) * STEP_NS
        return at, at + STEP_LASTS_NS, False
    starts = np.zeros(len(history.clocks), np.int64)
    for clock in range(len(history.clocks)):
        starts[clock] = history.invoked[history.clock == clock].min(initial=FOREVER)
    start = starts[history.clock]
    open_end = history.completed == FOREVER
    return history.invoked - start, np.where(open_end, FOREVER, history.completed - start), True


def _notes(history: History, timed: bool) -> list[str]:
    notes = []
    if not timed:
        notes.append("the calls are drawn in their order: when they happened is not known")
    elif len(history.clocks) > 1:
        notes.append(
            f"{len(history.clocks)} clocks: each is drawn from its own first call, and calls of"
            " different clocks have no order in time"
        )
    return notes


def _window(calls: int, violations: Sequence[Violation], calls_max: int) -> Ints:
    """The places of the calls to show, ascending: those involved, and those that are near to them.

    Half of them are around the first violation, the others around all the rest.
    """
    if calls <= calls_max:
        return np.arange(calls)
    first = next((each.calls for each in violations if each.calls), (0,))
    involved = [place for violation in violations for place in violation.calls]
    near = _distances(calls, first)
    if len(involved) > len(first):
        near = np.minimum(near, len(violations) * _distances(calls, involved))
    return np.sort(np.argsort(near, kind="stable")[:calls_max])


def _distances(calls: int, places: Sequence[int]) -> Ints:
    """For each call how far, in calls, the nearest of `places` is."""
    near = np.sort(places)
    every = np.arange(calls)
    after = np.searchsorted(near, every)
    below, above = near[np.maximum(after - 1, 0)], near[np.minimum(after, len(near) - 1)]
    return np.asarray(np.minimum(np.abs(every - below), np.abs(above - every)))


def _named(names: Names, used: Ints) -> tuple[tuple[str, ...], list[int]]:
    """The names in use, in their order, and each use as a place among them."""
    places, uses = np.unique(used, return_inverse=True)
    return tuple(names[place] for place in places.tolist()), uses.tolist()


def _known(column: Ints, unknown: int = MISSING) -> list[int | None]:
    return [None if value == unknown else value for value in column.tolist()]


def _moment(violation: Violation, ends: Ints) -> int:
    """When the last of its calls was answered: before that nothing was seen of it.

    What names no call was seen in the end, in balances or in the log.
    """
    return int(ends[list(violation.calls)].max() if violation.calls else ends.max(initial=0))


class _Numbers(NamedTuple):
    """Calls (by place) and accounts (by name) of a history, numbered as they are shown."""

    calls: Mapping[int, int]
    accounts: Mapping[str, int]


def _violation(
    violation: Violation, history: History, numbers: _Numbers, ends: Ints
) -> ViewedViolation:
    """The violation in terms of what is shown."""
    account = history.accounts[violation.account] if violation.account >= 0 else None
    number = numbers.calls
    return ViewedViolation(
        kind=violation.kind,
        anomaly=violation.anomaly,
        message=violation.message,
        calls=tuple(number[place] for place in violation.calls if place in number),
        account=-1 if account is None else numbers.accounts.get(account, -1),
        amount=violation.amount,
        links=tuple(
            (number[link.earlier], number[link.later], link.why)
            for link in violation.links
            if link.earlier in number and link.later in number
        ),
        at_ns=_moment(violation, ends),
    )


@dataclass(frozen=True, slots=True)
class _Gaps:
    """Money made (lost: negative) where balances do not chain.

    `call` wrote, and `last` before it on this `account`; -1 for calls that are not in the history.
    """

    account: Ints
    call: Ints
    last: Ints
    made: Ints


def _gaps(history: History) -> _Gaps:
    """Where a write found another balance than the one before it left, as in a lost update.

    Or where one left more than it found and was asked for, or came twice. None without versions.
    """
    try:
        settled = settle(history)
        linked = chains(settled)
    except CannotSay:
        return _Gaps(*(np.empty(0, np.int64) for _ in range(4)))
    amount = settled.history.amount[linked.entry]
    asked = np.where(settled.extra[linked.call], 0, amount)
    own = np.where(amount == MISSING, 0, linked.after - linked.before - asked)
    # Where calls are undecided the versions in between may be theirs.
    excused = linked.gaps & (settled.undecided_on[linked.account] > 0)
    found = np.where(linked.broken & ~excused, linked.before - linked.held, 0)
    made = np.where(linked.writes, own + found, 0)
    wrong = np.flatnonzero(made)
    call = settled.calls[linked.call]
    last = np.where(linked.source < 0, -1, call[linked.source])
    return _Gaps(linked.account[wrong], call[wrong], last[wrong], made[wrong])


def _with_calls(violation: Violation, gaps: _Gaps) -> Violation:
    """A violation that names no call (those of a log by itself are none): the calls of its gap."""
    if violation.calls or not violation.amount:
        return violation
    alike = (gaps.account == violation.account) & (gaps.made == violation.amount)
    pairs = [pair.tolist() for pair in (gaps.last[alike][:1], gaps.call[alike][:1])]
    return replace(violation, calls=tuple(call for pair in pairs for call in pair if call >= 0))


def _money(history: History, judgement: Judgement, gaps: _Gaps, ends: Ints) -> tuple[Curve, ...]:
    """Money made until when: the total, named "", then the worst accounts; empty if none was.

    A gap is seen once both calls were answered. What neither a gap nor a violation accounts for
    is seen in the end.
    """
    told = [] if len(gaps.made) else [each for each in judgement.violations if each.amount]
    account = np.append(gaps.account, [each.account for each in told]).astype(np.int64)
    made = np.append(gaps.made, [each.amount for each in told]).astype(np.int64)
    rest = {one: -lost - int(made[account == one].sum()) for one, lost in judgement.lost_on.items()}
    seen = np.maximum(*(np.where(calls < 0, 0, ends[calls]) for calls in (gaps.call, gaps.last)))
    at = np.append(seen, [_moment(each, ends) for each in told]).astype(np.int64)
    account = np.append(account, list(rest)).astype(np.int64)
    made = np.append(made, list(rest.values())).astype(np.int64)
    at = np.append(at, np.full(len(rest), ends.max(initial=0)))
    order = np.argsort(at, kind="stable")
    order = order[made[order] != 0]
    if not len(order):
        return ()
    account, at, made = account[order], at[order], made[order]
    curves = {int(one): np.cumsum(made[account == one]) for one in np.unique(account) if one >= 0}
    worst = sorted(curves, key=lambda one: -int(np.abs(curves[one]).max()))[:ACCOUNTS_MAX]
    parts = [(history.accounts[one], at[account == one], curves[one]) for one in worst]
    whole = [("", at, np.cumsum(made))]
    return tuple((name, when.tolist(), sums.tolist()) for name, when, sums in chain(whole, parts))
