"""The chain of each account's changes: every one must begin where the one before it ended.

Where a change began from a balance that others had changed by then, their writes were lost.
"""

import numpy as np
from numpy.typing import NDArray

from engine.checks.chain import NOWHERE, OPENING, Chains, origin
from engine.checks.settle import Settled
from engine.checks.telling import made_or_lost, money, named, shown_account
from engine.checks.verdict import VIOLATIONS_MAX, Budget, Found, Level, Link, Violation
from engine.histories.columns import MISSING
from engine.verdicts import Break

Mask = NDArray[np.bool_]


def check_links(settled: Settled, made: Chains, budget: Budget) -> Found:
    """The first broken links, all of them counted; up to read committed for mere lost updates."""
    budget.check()
    gaps = made.writes & made.gaps & (made.version != made.stood)
    excused = settled.undecided_on[made.account] > 0
    broken = made.writes & (made.broken | (made.gaps & ~gaps)) & ~gaps
    ends = _ends(settled, made)
    bad = np.flatnonzero(broken | (gaps & ~excused))
    bad = bad[np.argsort(made.call[bad], kind="stable")]
    from_where = origin(made, bad) if len(bad) else bad
    told = [
        _told(settled, made, int(place), int(source))
        for place, source in zip(bad[:VIOLATIONS_MAX], from_where[:VIOLATIONS_MAX], strict=True)
    ]
    mere = not ends and bool(
        ((from_where != NOWHERE) & (from_where != made.source[bad]) & broken[bad]).all()
    )
    level = (Level.READ_COMMITTED if mere else Level.NONE) if len(bad) or ends else None
    notes = _notes(settled, gaps & excused)
    return Found((told + ends)[:VIOLATIONS_MAX], len(bad) + len(ends), level, notes)


def _notes(settled: Settled, gaps: Mask) -> tuple[str, ...]:
    if not gaps.any():
        return ()
    return (
        f"{gaps.sum():,} versions are missing, which {len(settled.undecided):,} calls without"
        " an answer may have written",
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
    held = money(int(made.held[place]), digits)
    if source == OPENING:
        return f"the account opened with {held}"
    return f"{named(settled.history, int(made.call[source]))} left {held}"


def _torn_chain(settled: Settled, made: Chains, place: int, amount: int) -> Violation:
    history, call, account = settled.history, int(made.call[place]), int(made.account[place])
    digits = history.decimals
    before, version = int(made.before[place]), int(made.version[place])
    if amount:
        told = f"but {named(history, call)} began from {money(before, digits)}"
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
    began = money(int(made.before[place]), digits)
    message = (
        f"{name}: {named(history, winner)} began from {began} and overwrote"
        f" {named(history, loser)}{others}, which had left {money(int(made.held[place]), digits)}"
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
    history = settled.history
    if not len(made):
        return _untouched(settled, np.ones(len(history.accounts), np.bool_))
    last = np.flatnonzero(np.append(made.start[1:], True))
    account = made.account[last]
    left = np.where(made.writes[last], made.after[last], made.held[last])
    stood = np.where(made.writes[last], made.version[last], made.stood[last])
    final, version = history.finals[account], history.final_versions[account]
    decided = settled.undecided_on[account] == 0
    wrong = (final != MISSING) & (left != MISSING) & (final != left)
    behind = (version != MISSING) & (stood != MISSING) & (version != stood)
    found = [
        _wrong_end(settled, made, int(last[at]), int(left[at]), int(stood[at]))
        for at in np.flatnonzero((wrong | behind) & decided)
    ]
    untouched = np.ones(len(history.accounts), np.bool_)
    untouched[account] = False
    return found + _untouched(settled, untouched)


def _wrong_end(settled: Settled, made: Chains, place: int, left: int, stood: int) -> Violation:
    history, account = settled.history, int(made.account[place])
    writer = place if made.writes[place] else int(made.source[place])
    calls = () if writer == OPENING else (int(made.call[writer]),)
    who = named(history, calls[0]) + " left" if calls else "the account opened with"
    final, version = int(history.finals[account]), int(history.final_versions[account])
    amount, digits = (final - left if final != MISSING else 0), history.decimals
    if amount:
        told = f"{who} {money(left, digits)}, but in the end it holds {money(final, digits)}"
    else:
        told = f"{who} version {stood}, but in the end it is at version {version}"
    return Violation(
        Break.MONEY,
        "wrong balance",
        f"{shown_account(history, account)}: {told}" + made_or_lost(amount, digits),
        settled.asked(*calls),
        account,
        amount,
    )


def _untouched(settled: Settled, mask: Mask) -> list[Violation]:
    """Accounts that nobody is known to have changed, and that hold another balance in the end."""
    history = settled.history
    mask = mask & (history.finals != MISSING) & (history.openings != MISSING)
    mask &= (history.finals != history.openings) & (settled.undecided_on == 0)
    return [
        Violation(
            Break.MONEY,
            "wrong balance",
            f"{shown_account(history, account)}: opened with"
            f" {money(int(history.openings[account]), history.decimals)}, holds"
            f" {money(int(history.finals[account]), history.decimals)} in the end, and nothing"
            " is known to have changed it",
            (),
            account,
            int(history.finals[account] - history.openings[account]),
        )
        for account in np.flatnonzero(mask).tolist()
    ]
