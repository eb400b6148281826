"""Cycles of the transaction graph under the names that Adya (1999) and Elle (2020) gave them.

| name          | cycle of                                                   |
|---------------|------------------------------------------------------------|
| G0            | ww only                                                    |
| G1c           | ww and wr                                                  |
| lost update   | two calls on one account: one rw, back by ww (P4)          |
| G-single      | exactly one rw                                             |
| G-nonadjacent | several rw, no two in a row                                |
| write skew    | two calls, rw both ways (A5B)                              |
| G2-item       | several rw, two of them in a row                           |

`-realtime` where the cycle closes by the clock alone.
"""

from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from engine.checks.chain import Chains
from engine.checks.cycles import Hop, shortest_cycles
from engine.checks.graph import Edge, edges
from engine.checks.levels import Stage, strongest
from engine.checks.links import asked_links
from engine.checks.settle import Settled
from engine.checks.telling import short, shown_account
from engine.checks.verdict import VIOLATIONS_MAX, Budget, Found, Link, Violation
from engine.verdicts import Break

Mask = NDArray[np.bool_]


def check_graph(settled: Settled, made: Chains, budget: Budget) -> Found:
    """One shortest cycle for each tangle of calls, and the strongest level satisfied."""
    budget.check()
    level, stages = strongest(edges(settled, made))
    budget.check()
    told: list[Violation] = []
    count, tangled = 0, np.zeros(settled.history.calls, np.bool_)
    for stage in stages:
        fresh = _untold(stage, tangled)
        count += len(np.unique(fresh.component))
        cycles = shortest_cycles(
            settled.history, fresh.inner, fresh.component, budget, lone_rw=fresh.lone_rw
        )
        told += [_told(settled, made, hops) for hops in islice(cycles, VIOLATIONS_MAX - len(told))]
        inside = fresh.inner.earlier
        tangled[inside[inside < settled.history.calls]] = True
    return Found(told, count, level)


def _untold(stage: Stage, tangled: Mask) -> Stage:
    """The components in which no call lies on a cycle that was told of already."""
    calls = stage.inner.earlier < len(tangled)
    known = np.unique(stage.component[calls][tangled[stage.inner.earlier[calls]]])
    fresh = ~np.isin(stage.component, known)
    return Stage(stage.inner.only(fresh), stage.component[fresh], stage.lone_rw)


def name_of(hops: Sequence[Hop], accounts: int) -> str:
    """The name of a cycle whose dependencies lie on so many accounts.

    >>> name_of([Hop(0, 1, Edge.RW, 0), Hop(1, 0, Edge.WW, 0)], 1)
    'lost update'
    >>> name_of([Hop(0, 1, Edge.RW, 0), Hop(1, 0, Edge.TIME, -1)], 1)
    'G-single-realtime'
    """
    whys = [hop.why for hop in hops]
    rw, pair = whys.count(Edge.RW), len(hops) == 2
    adjacent = any(
        one is Edge.RW and other is Edge.RW
        for one, other in zip(whys, [*whys[1:], whys[0]], strict=True)
    )
    if rw == 0:
        name = "G1c" if Edge.WR in whys else "G0"
    elif rw == 1:
        name = "lost update" if pair and Edge.WW in whys and accounts == 1 else "G-single"
    elif not adjacent:
        name = "G-nonadjacent"
    else:
        name = "write skew" if pair else "G2-item"
    return name + ("-realtime" if Edge.TIME in whys else "")


def _told(settled: Settled, made: Chains, hops: list[Hop]) -> Violation:
    accounts = {int(made.account[hop.place]) for hop in hops if hop.why is not Edge.TIME}
    calls = [hop.earlier for hop in hops]
    links = tuple(Link(hop.earlier, hop.later, _why(settled, made, hop)) for hop in hops)
    anomaly = name_of(hops, len(accounts))
    return Violation(
        _kind(settled, anomaly, calls),
        anomaly,
        _sentence([link.why for link in links]),
        settled.asked(*calls),
        accounts.pop() if len(accounts) == 1 else -1,
        links=asked_links(settled, links),
    )


def _sentence(whys: Sequence[str]) -> str:
    return f"{', '.join(whys[:-1])}, and {whys[-1]}: a contradiction"


def _why(settled: Settled, made: Chains, hop: Hop) -> str:
    history = settled.history
    earlier, later = short(history, hop.earlier), short(history, hop.later)
    if hop.why is Edge.TIME:
        return f"{earlier} returned before {later} was invoked"
    account = shown_account(history, int(made.account[hop.place]))
    version, stood = int(made.version[hop.place]), int(made.stood[hop.place])
    if hop.why is Edge.WW:
        return f"{earlier} wrote version {stood} of {account} before {later} wrote {version}"
    if hop.why is Edge.RW:
        return f"{earlier} read version {stood} of {account} before {later} wrote {version}"
    return f"{earlier} wrote what {later} read of {account}"


def _kind(settled: Settled, anomaly: str, calls: Sequence[int]) -> Break:
    if anomaly == "lost update":
        return Break.MONEY
    history = settled.history
    wrote = [settled.writes[history.first[call] : history.first[call + 1]].any() for call in calls]
    return Break.ORDER if all(wrote) else Break.READS
