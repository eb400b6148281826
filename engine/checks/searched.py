"""Histories without versions: made ready for layers that search for an order, and which those are.

What is undecided may still happen there, at any time.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.checks.anomalies import check_graph
from engine.checks.blackbox import check_blackbox
from engine.checks.chain import chains
from engine.checks.events import check_events
from engine.checks.events_versions import infer_versions
from engine.checks.links import check_links
from engine.checks.settle import Settled, settle
from engine.checks.verdict import Budget, CannotSay, Found, Layer, Link, together
from engine.checks.versions import check_versions
from engine.histories.columns import FOREVER, MISSING, PER_CALL, PER_ENTRY, History, Ints
from engine.recording import Ended, Kind

Mask = NDArray[np.bool_]

SEARCHES = EVENTS, BLACK_BOX, GENERAL = "event order", "black box", "general search"


def for_search(settled: Settled, *, contested: bool) -> tuple[History, Ints]:
    """Calls to be ordered, by invocation, and for each its place in the history asked about.

    Undecided calls are unknown and never answered. Keys are settled, and gone; but if `contested`,
    the key of a refusal that must come before its key's effect is an account of its own: there is
    nothing on it until that effect.
    """
    asked = settled.source
    history, calls = _as_told(settled)
    if len(settled.undecided):
        mask = np.zeros(asked.calls, np.bool_)
        mask[settled.undecided] = True
        open_ended = asked.keep(mask)
        unknown = np.full(open_ended.calls, int(Ended.UNKNOWN))
        forever = np.full(open_ended.calls, FOREVER)
        history = _joined(history, replace(open_ended, ended=unknown, completed=forever))
        calls = np.append(calls, settled.undecided)
    if contested and len(settled.contested):
        history = _with_keys(history, np.isin(calls, settled.contested))
    history = replace(history, key=np.full(history.calls, -1), events=None)
    order = np.argsort(history.invoked, kind="stable")
    if (order[1:] > order[:-1]).all():
        return history, calls
    return _ordered(history, order), calls[order]


def _as_told(settled: Settled) -> tuple[History, Ints]:
    """Without what the arithmetic found wrong with calls by themselves: a search finds the rest.

    A change counts as what it found and left. What changed nothing is left out.
    """
    history, of = settled.history, settled.history.call_of_entry()
    seen = (history.before != MISSING) & (history.after != MISSING)
    moved = history.after - history.before
    short = (history.before != MISSING) & (history.need > 0) & (history.before < history.need)
    refused = history.ended == Ended.REFUSED
    unfit = short & ~refused[of] & (history.kind == Kind.CHECK)[of] | seen & (moved != 0)
    unseen = (history.before == MISSING) & (history.need != 0)
    excused = of[short | unseen | (history.need == MISSING)]
    covered = refused & (np.diff(history.first) > 0) & ~_among(history, excused)
    left_out = (covered | _among(history, of[unfit])) & ~_among(history, of[settled.writes])
    odd = settled.writes & seen & ((history.amount != moved) | short)
    if odd.any():
        amount, need = np.where(odd, moved, history.amount), np.where(odd, 0, history.need)
        history = replace(history, amount=amount, need=need)
    if not left_out.any():
        return history, settled.calls
    return history.keep(~left_out), settled.calls[~left_out]


def _among(history: History, calls: Ints) -> Mask:
    mask = np.zeros(history.calls, np.bool_)
    mask[calls] = True
    return mask


def _joined(history: History, more: History) -> History:
    columns: dict[str, Any] = {
        name: np.concatenate((getattr(history, name), getattr(more, name)))
        for name in (*PER_CALL, *PER_ENTRY)
    }
    first = np.concatenate((history.first, more.first[1:] + history.entries))
    return replace(history, first=first, **columns)


def _with_keys(history: History, contested: Mask) -> History:
    """The keys of these refusals as accounts without a name."""
    keys = np.unique(history.key[contested])
    effects = np.isin(history.key, keys) & (history.ended != Ended.REFUSED)
    calls = np.flatnonzero(contested | effects)
    found = np.where(contested[calls], 0, MISSING)
    more = {
        "account": len(history.accounts) + np.searchsorted(keys, history.key[calls]),
        "amount": np.where(contested[calls], 0, 1),
        "need": np.zeros(len(calls), np.int64),
        "before": found,
        "after": found,
        "version": np.full(len(calls), MISSING),
    }
    of = np.concatenate((history.call_of_entry(), calls))
    order = np.argsort(of, kind="stable")
    columns: dict[str, Any] = {
        name: np.concatenate((getattr(history, name), more[name]))[order] for name in PER_ENTRY
    }
    first = np.concatenate(([0], np.cumsum(np.bincount(of, minlength=history.calls))))
    nowhere = np.full(len(keys), MISSING)
    return replace(
        history,
        first=first,
        accounts=(*history.accounts, *[""] * len(keys)),
        openings=np.append(history.openings, np.zeros(len(keys), np.int64)),
        opening_versions=np.append(history.opening_versions, nowhere),
        finals=np.append(history.finals, nowhere),
        final_versions=np.append(history.final_versions, nowhere),
        **columns,
    )


def _ordered(history: History, order: Ints) -> History:
    width = np.diff(history.first)[order]
    first = np.concatenate(([0], np.cumsum(width)))
    entries = np.repeat(history.first[order] - first[:-1], width) + np.arange(history.entries)
    columns: dict[str, Any] = {name: getattr(history, name)[order] for name in PER_CALL}
    columns |= {name: getattr(history, name)[entries] for name in PER_ENTRY}
    return replace(history, first=first, **columns)


def searches(settled: Settled, *, short_of_all: bool) -> Iterator[tuple[str, Layer]]:
    """Searches for an order, cheapest first; what finds none of several cannot say."""
    known = settled.history.before[settled.writes] != MISSING
    if len(known) and not known.any():
        yield BLACK_BOX, check_blackbox
    else:
        yield EVENTS, check_events
        yield "transaction graph", _by_forced_versions
    if short_of_all:
        # Loaded when it is needed: it is the last resort.
        from engine.checks.search_history import check_search

        yield GENERAL, check_search


def _by_forced_versions(history: History, budget: Budget) -> Found:
    """The layers of versions, on the only versions that there can be."""
    forced = infer_versions(history)
    if forced is None:
        raise CannotSay("several orders are possible, so versions cannot be inferred")
    nowhere = np.full(len(history.accounts), MISSING)
    settled = settle(replace(forced, log=None, final_versions=nowhere))
    made = chains(settled)
    return together(
        check_links(settled, made, budget),
        check_versions(settled, made, budget),
        check_graph(settled, made, budget),
    )


def renamed(found: Found, calls: Ints) -> Found:
    """The same, its calls named as in the history asked about."""

    def asked(places: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(int(calls[place]) for place in places if calls[place] >= 0)

    violations = [
        replace(
            each,
            calls=asked(each.calls),
            links=tuple(
                Link(int(calls[link.earlier]), int(calls[link.later]), link.why)
                for link in each.links
            ),
        )
        for each in found.violations
    ]
    return replace(found, violations=violations)
