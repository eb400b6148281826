"""The version sweep: is each account linearizable? One sort, whatever the number of clients.

Versions force the order on one account (see `chain`), so there is nothing to search: what was seen
must be what the version held, and real time is violated if and only if a call returned before
another was invoked that stands earlier in the order (a running minimum from the end; compare
Gibbons and Korach, 1997, on histories with a known order of writes). Calls of different clocks have
no real-time order.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engine.checks.chain import NOWHERE, Chains, origin
from engine.checks.links import asked_links
from engine.checks.settle import Settled
from engine.checks.telling import named, short, shown_account
from engine.checks.verdict import VIOLATIONS_MAX, Budget, CannotSay, Found, Level, Link, Violation
from engine.histories.columns import FOREVER, MISSING, Ints
from engine.money import show
from engine.verdicts import Break

Mask = NDArray[np.bool_]


def check_versions(settled: Settled, made: Chains, budget: Budget) -> Found:
    """Reads against the chain, then real time. Strict serializability only where calls are alone.

    Accounts that are linearizable one by one make a history that is (Herlihy and Wing, 1990), but
    not where calls touch several, nor where several clocks each order only their own.
    """
    invented = _invented(settled, made)
    budget.check()
    late, witness = _out_of_order(settled, made)
    order = np.argsort(made.call[late], kind="stable")[:VIOLATIONS_MAX]
    told = [_reordered(settled, made, int(late[at]), int(witness[at])) for at in order]
    told += [_invented_read(settled, made, int(place)) for place in invented[:VIOLATIONS_MAX]]
    told.sort(key=Violation.moment)
    count = len(invented) + len(late)
    level = None if count or not single(settled) else Level.STRICT_SERIALIZABLE
    if len(invented):
        level = Level.NONE
    return Found(told[:VIOLATIONS_MAX], count, level)


def single(settled: Settled) -> bool:
    """Whether accounts can be judged one by one: calls touch one each, and share a clock."""
    history = settled.history
    alone = len(history.kind) == 0 or int(np.diff(history.first).max()) <= 1
    return alone and (history.calls == 0 or bool((history.clock == history.clock[0]).all()))


def _invented(settled: Settled, made: Chains) -> Ints:
    """Those that saw a version with a balance which no write ever left there."""
    doubtful = np.flatnonzero(~made.writes & (made.broken | made.gaps))
    if not len(doubtful):
        return doubtful
    found = origin(made, doubtful)
    unseen = made.before[doubtful] == MISSING
    invented = np.where(unseen, made.gaps[doubtful], found == NOWHERE)
    # A version that nobody is known to have written may be that of a call without an answer.
    excused = invented & made.gaps[doubtful]
    excused &= settled.open_on[made.account[doubtful]]
    if excused.any() and (excused == invented).all():
        raise CannotSay(f"answers with a version that nobody is known to write: {excused.sum():,}")
    return doubtful[invented & ~excused]


def _invented_read(settled: Settled, made: Chains, place: int) -> Violation:
    history, call, account = settled.history, int(made.call[place]), int(made.account[place])
    before, held = int(made.before[place]), int(made.held[place])
    saw = f"{named(history, call)} saw version {made.version[place]}"
    if before != MISSING:
        saw += f" with {show(before, history.decimals)}"
    if made.version[place] == made.stood[place]:
        told = f"which held {show(held, history.decimals)}"
    else:
        told = "which nobody wrote"
    aborted = _aborted_source(settled, account, before - held)
    if MISSING in (before, held) or aborted is None:
        anomaly, calls = "invented read", settled.asked(call)
    else:
        anomaly, calls = "G1a", (aborted, *settled.asked(call))
        told += f": so it would be after {named(settled.source, aborted)}, which never happened"
    return Violation(
        Break.READS,
        anomaly,
        f"{shown_account(history, account)}: {saw}, {told}",
        calls,
        account,
    )


def _aborted_source(settled: Settled, account: int, amount: int) -> int | None:
    """The first call that never happened and would have changed the account by so much."""
    source = settled.source
    aborted = np.repeat(settled.aborted, np.diff(source.first))
    hit = aborted & (source.account == account) & (source.amount == amount)
    if not amount or not hit.any():
        return None
    return int(np.searchsorted(source.first, np.argmax(hit), side="right")) - 1


def _out_of_order(settled: Settled, made: Chains) -> tuple[Ints, Ints]:
    """Places whose call began after a later one had returned, and for each the earliest such."""
    history = settled.history
    clock, invoked = history.clock[made.call], history.invoked[made.call]
    completed = history.completed[made.call]
    late, witness = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for places in _by_clock(clock):
        earlier, later = _sweep(made, places, invoked[places], completed[places])
        late.append(earlier)
        witness.append(later)
    return np.concatenate(late), np.concatenate(witness)


def _by_clock(clock: Ints) -> Iterator[Ints | slice]:
    if not len(clock):
        return
    if (clock == clock[0]).all():
        yield slice(None)
        return
    order = np.argsort(clock, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(clock[order])) + 1)


def _sweep(made: Chains, places: Ints | slice, invoked: Ints, completed: Ints) -> tuple[Ints, Ints]:
    account = made.account[places]
    position = (2 * made.version + ~made.writes)[places]
    soonest = _soonest_from_here(completed, account)
    # One group saw or wrote the same version: within it there is no order to violate.
    last = np.concatenate(((account[1:] != account[:-1]) | (position[1:] != position[:-1]), [True]))
    ends = np.flatnonzero(last)
    beyond = np.repeat(ends + 1, np.diff(np.concatenate(([-1], ends))))
    inside = np.append(account, -1)[beyond] == account
    late = np.flatnonzero(inside & (np.append(soonest, FOREVER)[beyond] < invoked))
    # Between two new minima the soonest to return is the one ahead.
    minima = np.flatnonzero(completed == soonest)
    witness = minima[np.searchsorted(minima, beyond[late])]
    whole = np.arange(len(made))[places]
    return whole[late], whole[witness]


def _soonest_from_here(completed: Ints, account: Ints) -> Ints:
    """For each place the earliest return from there to the end of its account."""
    finite = completed[completed < FOREVER]
    least, most = (int(finite.min()), int(finite.max())) if len(finite) else (0, 0)
    span = most - least + 2
    behind = np.cumsum(np.concatenate(([False], account[:0:-1] != account[-2::-1])))[::-1]
    if span * (int(behind[0]) + 1 if len(behind) else 1) < 2**62:
        capped = np.minimum(completed, most + 1) - least
        # Each account lies a whole span below those behind it, so that minima end with it.
        lifted = np.minimum.accumulate((capped - behind * span)[::-1])[::-1] + behind * span
        return np.where(lifted > most - least, FOREVER, lifted + least)
    values, ranks = np.unique(completed, return_inverse=True)
    lowered = np.minimum.accumulate((ranks - behind * len(values))[::-1])[::-1]
    return np.asarray(values[lowered + behind * len(values)])


def _reordered(settled: Settled, made: Chains, early: int, later: int) -> Violation:
    """The call at `early` began after the one at `later` had returned, whose version is higher."""
    history = settled.history
    overwriter = int(made.next_write()[early]) if not made.writes[early] else later
    if overwriter < len(made) and _returned_before(settled, made, overwriter, early):
        later = overwriter
    first, second = int(made.call[early]), int(made.call[later])
    account, name = int(made.account[early]), shown_account(history, int(made.account[early]))
    did = "wrote" if made.writes[later] else "saw"
    why = f"{named(history, second)} {did} version {made.version[later]}"
    if made.writes[early]:
        anomaly, kind = "order violation", Break.ORDER
        told = f"{named(history, first)} wrote version {made.version[early]}"
    else:
        anomaly, kind = "stale read", Break.READS
        told = f"{named(history, first)} saw version {made.version[early]}"
    links = (
        Link(first, second, f"{told} of {name}, {why}"),
        Link(second, first, "the one returned before the other was invoked"),
    )
    return Violation(
        kind,
        anomaly,
        f"{name}: {told}, but {why} and had returned before {short(history, first)} was invoked",
        settled.asked(first, second),
        account,
        links=asked_links(settled, links),
    )


def _returned_before(settled: Settled, made: Chains, one: int, other: int) -> bool:
    history, first, second = settled.history, int(made.call[one]), int(made.call[other])
    return bool(
        history.clock[first] == history.clock[second]
        and history.completed[first] < history.invoked[second]
    )
