"""The first layer: every operation by itself must add up, whatever the others did.

after = before + amount, nothing below zero, transfers come to nothing, and "not enough" is said if
and only if too little was there.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine.checks.logged import in_several_places
from engine.checks.settle import Settled
from engine.checks.telling import made_or_lost, named, shown_account
from engine.checks.verdict import (
    VIOLATIONS_MAX,
    Budget,
    Found,
    Violation,
    nothing_satisfied,
    together,
)
from engine.histories.columns import MISSING, Ints
from engine.money import show
from engine.recording import Ended, Kind
from engine.verdicts import Break

Mask = NDArray[np.bool_]


def check_arithmetic(settled: Settled, budget: Budget) -> Found:
    """Judge each settled call by itself."""
    budget.check()
    history, of = settled.history, settled.history.call_of_entry()
    seen = history.before != MISSING
    moved = seen & (history.after != MISSING) & settled.writes
    wrong = moved & (history.after != history.before + history.amount)
    # Whoever begins below zero is not to blame for it.
    below = moved & (history.after < 0) & (history.amount < 0)
    # Who takes nothing needs nothing, wherever the account stood.
    short = seen & (history.need > 0) & (history.before < history.need)
    uncovered = short & (history.ended != Ended.REFUSED)[of]
    below |= uncovered & (settled.writes | (history.kind == Kind.CHECK)[of])
    changed = ~settled.writes & seen & (history.after != MISSING)
    changed &= history.after != history.before
    parts = (
        _told(settled, wrong, lambda entry: _wrong(settled, of, entry)),
        _told(settled, below & ~wrong, lambda entry: _overdrawn(settled, of, entry)),
        _told(settled, changed, lambda entry: _wrong(settled, of, entry)),
        _refusals(settled, of, short),
        _transfers(settled, of),
        _repeated(settled, of),
    )
    return nothing_satisfied(together(*parts))


def _told(settled: Settled, bad: Mask, tell: Callable[[int], Violation]) -> Found:
    entries = np.flatnonzero(bad)
    return Found([tell(int(entry)) for entry in entries[:VIOLATIONS_MAX]], len(entries))


def _wrong(settled: Settled, of: Ints, entry: int) -> Violation:
    history, call = settled.history, int(of[entry])
    before, after = int(history.before[entry]), int(history.after[entry])
    amount = after - before - (int(history.amount[entry]) if settled.writes[entry] else 0)
    account = int(history.account[entry])
    digits = history.decimals
    return Violation(
        Break.MONEY,
        "arithmetic",
        f"{shown_account(history, account)}: {named(history, call)} went from"
        f" {show(before, digits)} to {show(after, digits)}" + made_or_lost(amount, digits),
        settled.asked(call),
        account,
        amount,
    )


def _overdrawn(settled: Settled, of: Ints, entry: int) -> Violation:
    history, call = settled.history, int(of[entry])
    account, digits = int(history.account[entry]), history.decimals
    before, need = int(history.before[entry]), int(history.need[entry])
    who = f"{shown_account(history, account)}: {named(history, call)}"
    if settled.writes[entry]:
        told = f" was accepted, though {show(before, digits)} did not cover it"
    else:
        told = f" was answered yes, though {show(before, digits)} are less than"
        told += f" {show(need, digits)}"
    anomaly = "overdraft" if settled.writes[entry] else "wrong answer"
    kind = Break.MONEY if settled.writes[entry] else Break.READS
    return Violation(kind, anomaly, who + told, settled.asked(call), account)


def _refusals(settled: Settled, of: Ints, short: Mask) -> Found:
    """Calls that were refused although every account they needed was seen to hold enough."""
    history = settled.history
    refused = history.ended == Ended.REFUSED
    excused = np.zeros(history.calls, np.bool_)
    # What was not seen may have been too little; without entries nothing can be said.
    unseen = (history.before == MISSING) & (history.need != 0)
    excused[of[short | unseen | (history.need == MISSING)]] = True
    excused |= np.diff(history.first) == 0
    calls = np.flatnonzero(refused & ~excused)
    return Found([_covered(settled, int(call)) for call in calls[:VIOLATIONS_MAX]], len(calls))


def _covered(settled: Settled, call: int) -> Violation:
    history = settled.history
    entry = int(history.first[call])
    account, digits = int(history.account[entry]), history.decimals
    return Violation(
        Break.READS,
        "wrong refusal",
        f"{shown_account(history, account)}: {named(history, call)} was refused for too little,"
        f" though {show(int(history.before[entry]), digits)} covered it",
        settled.asked(call),
        account,
    )


def _transfers(settled: Settled, of: Ints) -> Found:
    """Transfers that do not come to nothing: money made or lost between two accounts."""
    history = settled.history
    transfers = history.kind == Kind.TRANSFER
    # In the books of a single account every transfer has its other side elsewhere.
    if not transfers.any() or len(history.accounts) == 1:
        return Found()
    known = settled.writes & (history.amount != MISSING)
    moved = np.where(known, history.amount, 0)
    sums = np.add.reduceat(np.append(moved, 0), history.first[:-1])
    sums[np.diff(history.first) == 0] = 0
    written = np.bincount(of[known], minlength=history.calls)
    entries = np.bincount(of[settled.writes], minlength=history.calls)
    # Of effects that should not be, somebody has told already.
    whole = transfers & (entries > 0) & (written == entries) & ~settled.extra
    torn = (sums != 0) | (entries < 2)
    calls = np.flatnonzero(whole & torn)
    found = [
        _torn(settled, int(call), int(entries[call]), int(sums[call]))
        for call in calls[:VIOLATIONS_MAX]
    ]
    return Found(found, len(calls))


def _repeated(settled: Settled, of: Ints) -> Found:
    """Calls that changed one account more than once by the same amount, as `logged` says of rows.

    By other amounts these are steps of one call, like a withdrawal and its fee.
    """
    history = settled.history
    entries = np.flatnonzero(settled.writes & (history.amount != MISSING) & (history.amount != 0))
    if (np.diff(of[entries]) != 0).all():
        return Found()
    pairs = of[entries] * len(history.accounts) + history.account[entries]
    several = in_several_places(pairs)
    pairs, amount = pairs[several], history.amount[entries[several]]
    order = np.lexsort((amount, pairs))
    same = (np.diff(pairs[order]) == 0) & (np.diff(amount[order]) == 0)
    again = np.sort(entries[several[order[1:][same]]])
    found = [_again(settled, int(of[entry]), int(entry)) for entry in again[:VIOLATIONS_MAX]]
    return Found(found, len(again))


def _again(settled: Settled, call: int, entry: int) -> Violation:
    history = settled.history
    account, amount = int(history.account[entry]), int(history.amount[entry])
    return Violation(
        Break.MONEY,
        "applied twice",
        f"{shown_account(history, account)}: {named(history, call)} changed it more than once by"
        f" {show(amount, history.decimals)}" + made_or_lost(amount, history.decimals),
        settled.asked(call),
        account,
        amount,
    )


def _torn(settled: Settled, call: int, sides: int, amount: int) -> Violation:
    digits = settled.history.decimals
    come = "one side that comes" if sides == 1 else f"{sides} sides that come"
    return Violation(
        Break.MONEY,
        "torn transfer",
        f"{named(settled.history, call)} has {come} to {show(amount, digits)}, not to nothing"
        + made_or_lost(amount, digits),
        settled.asked(call),
        -1,
        amount,
    )
