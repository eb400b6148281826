"""From a history to a verdict: layer after layer, cheapest first, each as far as it can tell.

A layer that crashes, cannot say, or exceeds the budget leaves its part unknown, and with it the
verdict, unless another layer finds something wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic
from typing import TypeVar

import numpy as np

from engine.checks.against_log import check_against_log
from engine.checks.anomalies import check_graph
from engine.checks.arithmetic import check_arithmetic
from engine.checks.boundaries import check_boundaries
from engine.checks.chain import Chains, chains, seen_by_version
from engine.checks.keys import counted_as_one
from engine.checks.links import check_links
from engine.checks.searched import SEARCHES, for_search, renamed, searches
from engine.checks.settle import Settled, settle
from engine.checks.totals import check_totals, lost_on
from engine.checks.verdict import (
    VIOLATIONS_MAX,
    Budget,
    CannotSay,
    Exceeded,
    Found,
    Judgement,
    Level,
    Violation,
    together,
)
from engine.checks.versions import check_versions, single
from engine.histories.columns import MISSING, History, Ints
from engine.resident import memory_mb
from engine.verdicts import Verdict

ARITHMETIC, LEDGER, SWEEP, GRAPH = "arithmetic", "ledger", "version sweep", "transaction graph"
BOUNDARIES = "boundaries"


def judge(history: History, *, budget: Budget | None = None) -> Judgement:
    """The verdict on `history`, with evidence. Never raises for what is in the history.

    Layers in turn: each call by itself; the log and each account's chain; version sweep;
    transaction graph, where calls touch several accounts. Without versions: the event-ordered
    search, by balances or, where even these are missing, by answers alone.
    """
    started_s = monotonic()
    run = _Run(history, budget or Budget())
    run.attempt("judging", run.all)
    return replace(run.judgement(), seconds=monotonic() - started_s, memory_mb=memory_mb())


T = TypeVar("T")


@dataclass(slots=True)
class _Run:
    """One judgement while it is made."""

    history: History
    budget: Budget
    found: dict[str, Found] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    undecided: bool = False
    lost: Ints | None = None

    def all(self) -> None:
        settled = self.attempt("settling", lambda: settle(self.history))
        if settled is None:
            return
        self._open_ends(settled)
        self.lost = self.attempt("totals", lambda: lost_on(settled))
        if self.history.events is not None and len(self.history.events.call):
            self._layer(BOUNDARIES, lambda: check_boundaries(self.history, self.budget))
        try:
            made = chains(settled)
        except CannotSay as reason:
            self.notes.append(f"no versions to go by: {reason}")
            self._layer(ARITHMETIC, lambda: check_arithmetic(settled, self.budget))
            self._ledger(settled, lambda: check_totals(settled))
            self._search(settled, decides=True)
        else:
            self._versioned(seen_by_version(settled, made), made)

    def _versioned(self, settled: Settled, made: Chains) -> None:
        self._layer(ARITHMETIC, lambda: check_arithmetic(settled, self.budget))
        self._ledger(settled, lambda: check_links(settled, made, self.budget))
        invoked = settled.history.invoked
        timed = not len(invoked) or bool((invoked != MISSING).any())
        if timed:
            self._layer(SWEEP, lambda: check_versions(settled, made, self.budget))
        else:
            self.notes.append("no times are known: nothing can be said of real-time order")
        broken = any(found.count for found in self.found.values())
        if broken or not single(settled):
            self._layer(GRAPH, lambda: self._graph(settled, made, timed=timed))
        unplaced = int((~settled.writes & (settled.history.version == MISSING)).sum())
        if unplaced:
            self.notes.append(f"answers without a version, judged by balances alone: {unplaced:,}")
            self._search(settled, decides=False)

    def _ledger(self, settled: Settled, rest: Callable[[], Found]) -> None:
        """Keys and the log may be broken where links, or totals, leave something open."""
        log = self.attempt(LEDGER, lambda: check_against_log(settled, self.budget))
        ends = self.attempt(LEDGER, rest)
        parts = [settled.keys, *(each for each in (log, ends) if each is not None)]
        if len(parts) == 3 or any(part.count for part in parts):
            self._layer(LEDGER, lambda: together(*parts))

    def _graph(self, settled: Settled, made: Chains, *, timed: bool) -> Found:
        found = check_graph(settled, made, self.budget)
        if not timed and found.level is Level.STRICT_SERIALIZABLE:
            found = replace(found, level=Level.SERIALIZABLE)
        told = any(each.count for each in self.found.values())
        if not told:
            return found
        # What lies on one account, the layers before this one told of already, and better.
        new = [violation for violation in found.violations if violation.account < 0]
        return replace(found, violations=new, count=len(new))

    def _search(self, settled: Settled, *, decides: bool) -> None:
        """The first search that can say something; `decides`: nothing else does."""
        searched, calls = for_search(settled, contested=decides)
        contested, tried, notes = len(settled.contested), [], list(self.notes)
        for name, search in searches(settled, short_of_all=decides):
            tried.append(name)
            found = self.attempt(name, partial(search, searched, self.budget), decides=False)
            if found is not None:
                self.notes = notes
                self._layer(name, partial(renamed, found, calls))
                self.notes += counted_as_one(
                    self.history, {each.account for each in found.violations}
                )
                break
        else:
            if decides:
                self.undecided = True
                self.notes.append(_undecided_by(tried, self.budget))
        if contested and (found is None or not decides):
            # Searches for one account know no keys.
            self.undecided = True
            self.notes.append(
                f"refusals that may have come after their key's effect: {contested:,}"
            )

    def _open_ends(self, settled: Settled) -> None:
        count = len(settled.undecided)
        if count:
            self.notes.append(
                f"calls never answered, of which nothing tells whether they happened: {count:,}"
            )
        if not self.history.complete:
            self.notes.append("the final phase is incomplete: more may have happened")
        # In a complete history an order may leave them out, as the layers find.
        self.undecided = not self.history.complete

    def _layer(self, name: str, layer: Callable[[], Found], *, decides: bool = True) -> None:
        found = self.attempt(name, layer, decides=decides)
        if found is not None:
            new, before = self._untold(found), self.found.get(name)
            # A search that infers versions has a graph of its own, beside that of the known ones.
            self.found[name] = new if before is None else together(before, new)
            self.notes += found.notes

    def _untold(self, found: Found) -> Found:
        """The same without what a layer before it has told in other words."""
        told = {_gist(violation) for each in self.found.values() for violation in each.violations}
        new = [violation for violation in found.violations if _gist(violation) not in told]
        count = found.count - (len(found.violations) - len(new))
        return replace(found, violations=new, count=count)

    def attempt(self, name: str, act: Callable[[], T], *, decides: bool = True) -> T | None:
        try:
            return act()
        except (CannotSay, Exceeded) as reason:
            self.notes.append(f"{name}: {reason}")
        except Exception as error:
            self.notes.append(f"{name} failed: {type(error).__name__}: {error}")
        self.undecided |= decides
        return None

    def judgement(self) -> Judgement:
        broken = [name for name, found in self.found.items() if found.count]
        passed = tuple(name for name in self.found if name not in broken)
        strongest = [name for name in (GRAPH, SWEEP) if name in passed] or passed[-1:]
        violations = [violation for name in broken for violation in self.found[name].violations]
        unsure = Verdict.UNKNOWN if self.undecided else Verdict.CLEAN
        lost = np.array([MISSING]) if self.lost is None else self.lost
        astray = np.flatnonzero((lost != 0) & (lost != MISSING))
        return Judgement(
            verdict=Verdict.BROKEN if broken else unsure,
            layer=(*broken, *strongest, "")[0],
            level=self._level(broken),
            violations=tuple(violations[:VIOLATIONS_MAX]),
            count=sum(self.found[name].count for name in broken),
            passed=passed,
            notes=tuple(dict.fromkeys(self.notes)),
            lost=None if (lost == MISSING).any() else int(lost.sum()),
            operations=self.history.calls or len(self.history.log or ()),
            lost_on={place: int(lost[place]) for place in astray.tolist()},
            consistent=self._consistent(violations),
        )

    def _consistent(self, violations: Sequence[Violation]) -> int | None:
        if violations and not self.history.calls:
            return None
        moments = (each.moment() for each in violations if each.calls)
        return min(moments, default=self.history.calls or len(self.history.log or ()))

    def _level(self, broken: Sequence[str]) -> Level | None:
        levels = [found.level for found in self.found.values() if found.level is not None]
        # A search that finds no order does not say which weaker level would have one.
        lost = [name for name in SEARCHES if name in broken]
        if any(self.found[name].level is None for name in lost):
            return None
        lowest = min(levels, default=None)
        if self.undecided and lowest is not Level.NONE:
            # Of what did not run to its end, nobody knows what it would have found.
            return None
        # Where lock and transaction disagree, the order of the calls may yet be right.
        out_of_order = lowest is Level.STRICT_SERIALIZABLE and set(broken) - {BOUNDARIES}
        return None if out_of_order else lowest


def _undecided_by(tried: Sequence[str], budget: Budget) -> str:
    """What was tried, and how to try longer, for a history that no search decided."""
    told = f"no search decided: tried {', '.join(tried)}"
    if not budget.late():
        return told
    return f"{told}, for {budget.seconds_max:g} s in all; --budget-s gives them more"


def _gist(violation: Violation) -> tuple[str, int, frozenset[int]]:
    return violation.anomaly, violation.account, frozenset(violation.calls)
