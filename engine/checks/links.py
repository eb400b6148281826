"""The chain of each account's changes: every one must begin where the one before it ended.

Where a change began from a balance that others had changed by then, their writes were lost.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.checks.chain import NOWHERE, OPENING, Chains, origin
from engine.checks.settle import Settled
from engine.checks.telling import made_or_lost, named, shown_account
from engine.checks.verdict import (
    VIOLATIONS_MAX,
    Budget,
    CannotSay,
    Found,
    Level,
    Link,
    Violation,
)
from engine.histories.columns import MISSING
from engine.money import show
from engine.verdicts import Break

Mask = NDArray[np.bool_]


def check_links(settled: Settled, made: Chains, budget: Budget) -> Found:
    """The first broken links, all of them counted; up to read committed for mere lost updates."""
    budget.check()
    gaps = made.writes & made.gaps & (made.version != made.stood)
    broken = made.writes & ~gaps & (made.broken | made.gaps)
    ends = _ends(settled, made)
    bad = np.flatnonzero(broken | (gaps & ~settled.open_on[made.account]))
    bad = bad[np.argsort(made.call[bad], kind="stable")]
    from_where = origin(made, bad) if len(bad) else bad
    told = [
        _told(settled, made, int(place), int(source))
        for place, source in zip(bad[:VIOLATIONS_MAX], from_where[:VIOLATIONS_MAX], strict=True)
    ]
    count = len(bad) + len(ends)
    if not count:
        _demand_decided(settled, made, gaps)
        return Found()
    lost = broken[bad] & (from_where != NOWHERE) & (from_where != made.source[bad])
    level = Level.READ_COMMITTED if lost.all() and not ends else Level.NONE
    return Found((told + ends)[:VIOLATIONS_MAX], count, level)


def _demand_decided(settled: Settled, made: Chains, gaps: Mask) -> None:
    """CannotSay if calls without an answer may have filled a gap, or led to another balance."""
    excused = int(gaps.sum()) + sum(1 for _ in _differing_ends(settled, made, decided=False))
    if excused:
        raise CannotSay(
            f"gaps that calls without an answer, or not recorded, may explain: {excused:,}"
        )


def _told(settled: Settled, made: Chains, place: int, source: int) -> Violation:
    """What is wrong with the link that ends at this write."""
    before, held = int(made.before[place]), int(made.held[place])
    version, stood = int(made.version[place]), int(made.stood[place])
    amount = before - held if MISSING not in (before, held) else 0
    if version > stood + 1:
        return _missing(settled, made, place, amount)
    if source not in (NOWHERE, int(made.source[place])):
        return lost_update(settled, made, place, source)
    return _torn_chain(settled, made, place, amount)


def _before(settled: Settled, made: Chains, place: int) -> str:
    """The write before this one and what it left, or the opening."""
    source, digits = int(made.source[place]), settled.history.decimals
    held = show(int(made.held[place]), digits)
    if source == OPENING:
        return f"the account opened with {held}"
    return f"{named(settled.history, int(made.call[source]))} left {held}"


def _torn_chain(settled: Settled, made: Chains, place: int, amount: int) -> Violation:
    history, call, account = settled.history, int(made.call[place]), int(made.account[place])
    digits = history.decimals
    before, version = int(made.before[place]), int(made.version[place])
    if amount:
        told = f"but {named(history, call)} began from {show(before, digits)}"
    else:
        told = f"at version {made.stood[place]}, but {named(history, call)} wrote version {version}"
    return Violation(
        Break.MONEY,
        "broken chain",
        f"{shown_account(history, account)}: {_before(settled, made, place)}, {told}"
        + made_or_lost(amount, digits),
        settled.asked(*_pair(made, place)),
        account,
        amount,
    )


def _missing(settled: Settled, made: Chains, place: int, amount: int) -> Violation:
    history, account = settled.history, int(made.account[place])
    first, last = int(made.stood[place]) + 1, int(made.version[place]) - 1
    versions = f"version {first} is" if first == last else f"versions {first} to {last} are"
    return Violation(
        Break.MONEY,
        "missing version",
        f"{shown_account(history, account)}: {versions} missing:"
        f" {_before(settled, made, place)} at version {first - 1}, and"
        f" {named(history, int(made.call[place]))} wrote version {last + 1}"
        + made_or_lost(amount, history.decimals),
        settled.asked(*_pair(made, place)),
        account,
        amount,
    )


def _pair(made: Chains, place: int) -> tuple[int, ...]:
    source = int(made.source[place])
    calls = () if source == OPENING else (int(made.call[source]),)
    return (*calls, int(made.call[place]))


def lost_update(settled: Settled, made: Chains, place: int, source: int) -> Violation:
    """The write at `place` began from what `source` left, although others wrote in between."""
    history, account = settled.history, int(made.account[place])
    start = int(np.searchsorted(made.account, account))
    since = source + 1 if source != OPENING else start
    lost = since + int(np.argmax(made.writes[since:place]))
    amount = int(made.before[place]) - int(made.held[place])
    digits, name = history.decimals, shown_account(history, account)
    loser, winner = int(made.call[lost]), int(made.call[place])
    more = int(made.writes[lost:place].sum()) - 1
    others = f" and {more:,} more" if more else ""
    began = show(int(made.before[place]), digits)
    message = (
        f"{name}: {named(history, winner)} began from {began} and overwrote"
        f" {named(history, loser)}{others}, which had left {show(int(made.held[place]), digits)}"
        + made_or_lost(amount, digits)
    )
    links = (
        Link(winner, loser, f"read {name} before version {made.version[lost]} was written"),
        Link(loser, winner, f"wrote version {made.version[lost]} of {name} before it"),
    )
    return Violation(
        Break.MONEY,
        "lost update",
        message,
        settled.asked(loser, winner),
        account,
        amount,
        asked_links(settled, links),
    )


def asked_links(settled: Settled, links: tuple[Link, ...]) -> tuple[Link, ...]:
    """The same cycle, its calls named as in the history that was asked about, if they all can."""
    if any(settled.calls[end] < 0 for link in links for end in (link.earlier, link.later)):
        return ()
    return tuple(
        Link(int(settled.calls[link.earlier]), int(settled.calls[link.later]), link.why)
        for link in links
    )


def _ends(settled: Settled, made: Chains) -> list[Violation]:
    """Accounts that hold something else in the end than the last change left."""
    return [_wrong_end(settled, end) for end in _differing_ends(settled, made, decided=True)]


class _End(NamedTuple):
    """How an account should end, and the call that left it so, -1 for the opening."""

    account: int
    writer: int
    balance: int
    version: int


def _differing_ends(settled: Settled, made: Chains, *, decided: bool) -> Iterator[_End]:
    """Ends that are not as they should be, of accounts on which everything is decided, or not."""
    history = settled.history
    accounts = np.arange(len(history.accounts))
    writer = np.full(len(accounts), OPENING)
    balance, version = history.openings.copy(), history.opening_versions.copy()
    if len(made):
        last = np.flatnonzero(np.append(made.start[1:], True))
        at = made.account[last]
        written = np.where(made.writes[last], last, made.source[last])
        writer[at] = np.where(written == OPENING, OPENING, made.call[written])
        balance[at] = np.where(made.writes[last], made.after[last], made.held[last])
        version[at] = np.where(made.writes[last], made.version[last], made.stood[last])
    final, final_version = history.finals, history.final_versions
    wrong = (final != MISSING) & (balance != MISSING) & (final != balance)
    wrong |= (final_version != MISSING) & (version != MISSING) & (final_version != version)
    wrong &= settled.open_on != decided
    for account in np.flatnonzero(wrong).tolist():
        yield _End(account, int(writer[account]), int(balance[account]), int(version[account]))


def _wrong_end(settled: Settled, end: _End) -> Violation:
    history, digits = settled.history, settled.history.decimals
    opened = end.writer == OPENING
    who = "the account opened with" if opened else f"{named(history, end.writer)} left"
    final = int(history.finals[end.account])
    amount = final - end.balance if MISSING not in (final, end.balance) else 0
    if amount:
        told = f"{who} {show(end.balance, digits)}, but in the end it holds {show(final, digits)}"
    else:
        told = (
            f"{who} version {end.version}, but in the end it is at version"
            f" {history.final_versions[end.account]}"
        )
    return Violation(
        Break.MONEY,
        "wrong balance",
        f"{shown_account(history, end.account)}: {told}" + made_or_lost(amount, digits),
        () if opened else settled.asked(end.writer),
        end.account,
        amount,
    )
