"""The shortest cycle through a strongly connected part of the transaction graph."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from engine.checks.graph import Edge, Edges
from engine.checks.verdict import Budget
from engine.histories.columns import History, Ints

# Large components are searched from so many of their calls; small ones from all of them.
STARTS_MAX = 64


class Hop(NamedTuple):
    """One edge between two calls; barriers in between are one hop of TIME."""

    earlier: int
    later: int
    why: Edge
    place: int


def shortest_cycles(
    history: History, inner: Edges, component: Ints, budget: Budget, *, lone_rw: bool = False
) -> Iterator[list[Hop]]:
    """A shortest cycle for each component of these edges, each of which lies inside of one.

    `lone_rw`: only cycles without two adjacent rw edges count.
    """
    order = np.argsort(component, kind="stable")
    bounds = np.flatnonzero(np.diff(component[order])) + 1
    for part in np.split(order, bounds) if len(order) else []:
        budget.check()
        own = inner.only(part)
        yield _two(history, own, lone_rw) or _search(own, lone_rw, budget)


def _two(history: History, own: Edges, lone_rw: bool) -> list[Hop] | None:
    """The first cycle of two calls, if there is one."""
    calls = (own.earlier < own.calls) & (own.later < own.calls)
    direct = np.flatnonzero(calls)
    direct = direct[np.lexsort((own.why[direct], own.earlier[direct]))]
    forth = own.earlier[direct] * own.nodes + own.later[direct]
    back = own.later[direct] * own.nodes + own.earlier[direct]
    pairs = np.isin(forth, back)
    if lone_rw:
        plain = own.why[direct] != Edge.RW
        pairs &= plain | np.isin(forth, back[plain])
    if pairs.any():
        one = int(np.argmax(pairs))
        others = np.flatnonzero(back == forth[one])
        if lone_rw and own.why[direct[one]] == Edge.RW:
            others = others[own.why[direct[others]] != Edge.RW]
        return [_hop(own, int(direct[one])), _hop(own, int(direct[others[0]]))]
    if not (own.why == Edge.TIME).any():
        return None
    earlier, later = own.earlier[direct], own.later[direct]
    late = history.completed[later] < history.invoked[earlier]
    late &= history.clock[later] == history.clock[earlier]
    if not late.any():
        return None
    hop = _hop(own, int(direct[np.argmax(late)]))
    return [hop, Hop(hop.later, hop.earlier, Edge.TIME, -1)]


def _hop(own: Edges, edge: int) -> Hop:
    return Hop(
        int(own.earlier[edge]),
        int(own.later[edge]),
        Edge(int(own.why[edge])),
        int(own.place[edge]),
    )


# A node, and whether it was reached by an rw edge (told apart only where that matters).
_At = tuple[int, bool]


def _search(own: Edges, lone_rw: bool, budget: Budget) -> list[Hop]:
    """Breadth first from several calls; barriers cost nothing."""
    leads: dict[int, list[tuple[int, int]]] = {}
    for edge, (earlier, later) in enumerate(
        zip(own.earlier.tolist(), own.later.tolist(), strict=True)
    ):
        leads.setdefault(earlier, []).append((later, edge))
    rw = (own.why == Edge.RW).tolist()
    starts = [node for node in leads if node < own.calls][:STARTS_MAX]
    best: list[int] = []
    most = own.nodes + 1
    for start in starts:
        budget.check()
        found = _from(start, leads, rw, own.calls, most, lone_rw)
        if found is not None:
            most, best = found
    return _hops(own, best)


def _from(
    start: int,
    leads: dict[int, list[tuple[int, int]]],
    rw: list[bool],
    calls: int,
    most: int,
    lone_rw: bool,
) -> tuple[int, list[int]] | None:
    """The fewest calls (below `most`) on a cycle through `start`, and its edges."""
    # Begun as if by an rw edge as well: the cycle closes where it began.
    for begun in (False, True) if lone_rw else (False,):
        origin: _At = (start, begun)
        cost: dict[_At, int] = {origin: 0}
        came: dict[_At, tuple[_At, int]] = {}
        queue = deque([origin])
        while queue:
            at = queue.popleft()
            node, by_rw = at
            for later, edge in leads.get(node, ()):
                if lone_rw and by_rw and rw[edge]:
                    continue
                onto: _At = (later, lone_rw and rw[edge])
                paid = cost[at] + (later < calls)
                if paid >= most:
                    continue
                if onto == origin:
                    return paid, _path(came, at, edge)
                if paid < cost.get(onto, most):
                    cost[onto], came[onto] = paid, (at, edge)
                    (queue.append if later < calls else queue.appendleft)(onto)
    return None


def _path(came: dict[_At, tuple[_At, int]], at: _At, edge: int) -> list[int]:
    path = [edge]
    while at in came:
        at, edge = came[at]
        path.append(edge)
    return path[::-1]


def _hops(own: Edges, path: list[int]) -> list[Hop]:
    """The edges of a cycle, those over barriers joined."""
    hops: list[Hop] = []
    for hop in (_hop(own, edge) for edge in path):
        if hop.earlier >= own.calls:
            hops[-1] = hops[-1]._replace(later=hop.later)
        else:
            hops.append(hop)
    return hops
