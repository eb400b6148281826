"""The transaction graph: one node for each call, edges where one must come before another.

Versions give the order of writes, so every dependency is known (Adya, 1999): ww from a write to
the next, wr from a write to those who saw it, rw from those who saw it to the next write. Real time
adds, per clock, a line of barrier nodes: calls that returned lead into a barrier, barriers lead on,
and to the calls invoked after them; so linearly many edges say what quadratically many would. The
history is strictly serializable if and only if the graph has no cycle.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from engine.checks.chain import NOWHERE, OPENING, Chains, origin
from engine.checks.settle import Settled
from engine.histories.columns import FOREVER, Ints

Mask = NDArray[np.bool_]


class Edge(IntEnum):
    """Why one node comes before another."""

    WW = 0
    WR = 1
    RW = 2
    TIME = 3


@dataclass(frozen=True, slots=True)
class Edges:
    """Edges between `nodes` nodes; those from `calls` on are barriers.

    `place`: the later access in the chains, which says the account and version (-1 for TIME).
    """

    earlier: Ints
    later: Ints
    why: Ints
    place: Ints
    nodes: int
    calls: int

    def only(self, chosen: Mask | Ints) -> "Edges":
        """These edges alone: a mask, or places."""
        return Edges(
            self.earlier[chosen],
            self.later[chosen],
            self.why[chosen],
            self.place[chosen],
            self.nodes,
            self.calls,
        )


def edges(settled: Settled, made: Chains) -> Edges:
    """All edges of the settled history's graph."""
    calls = settled.history.calls
    parts = [_dependencies(made)]
    nodes = calls
    for of_clock in _calls_by_clock(settled):
        part, nodes = _barriers(settled, of_clock, nodes)
        parts.append(part)
    earlier, later, why, place = (np.concatenate(column) for column in zip(*parts, strict=True))
    apart = earlier != later
    return Edges(earlier[apart], later[apart], why[apart], place[apart], nodes, calls)


_Columns = tuple[Ints, Ints, Ints, Ints]


def _dependencies(made: Chains) -> _Columns:
    source, following, last = found_at(made), made.next_write(), made.source
    odd = source != last
    ww = np.flatnonzero(made.writes & (last >= 0))
    # What a write saw was written before it: its ww edge says so. Where that is what it overwrote,
    # an rw edge would be a loop.
    wr = np.flatnonzero((source >= 0) & ~made.writes)
    rw = np.flatnonzero((source != NOWHERE) & (odd | ~made.writes))
    overwriter = following[rw]
    astray = np.flatnonzero(odd[rw])
    overwriter[astray] = _first_since(made, rw[astray], source[rw[astray]])
    rw, overwriter = rw[overwriter < len(made)], overwriter[overwriter < len(made)]
    return (
        np.concatenate((made.call[last[ww]], made.call[source[wr]], made.call[rw])),
        np.concatenate((made.call[ww], made.call[wr], made.call[overwriter])),
        np.repeat([int(Edge.WW), int(Edge.WR), int(Edge.RW)], (len(ww), len(wr), len(rw))),
        np.concatenate((ww, wr, overwriter)),
    )


def found_at(made: Chains) -> Ints:
    """For each access the place of the write that it saw; OPENING, or NOWHERE if there is none."""
    found = made.source.copy()
    odd = np.flatnonzero(made.broken | (made.gaps & ~made.writes))
    if not len(odd):
        return found
    found[odd] = origin(made, odd)
    # Where a version is missing, whoever wrote it may have left what was found.
    skips = made.writes & made.gaps & (made.version > made.stood)
    holed = np.isin(made.account[odd], made.account[skips])
    found[odd[holed & made.writes[odd]]] = NOWHERE
    return found


def _first_since(made: Chains, places: Ints, sources: Ints) -> Ints:
    """The first write after what these places saw was left; the length where there is none."""
    start = np.searchsorted(made.account, made.account[places])
    since = np.where(sources == OPENING, start, sources + 1)
    writes = np.append(np.flatnonzero(made.writes), len(made))
    first = writes[np.searchsorted(writes, since)]
    same = np.append(made.account, -1)[first] == made.account[places]
    return np.where(same, first, len(made))


def _calls_by_clock(settled: Settled) -> list[Ints]:
    clock = settled.history.clock
    return [np.flatnonzero(clock == value) for value in np.unique(clock)]


def _barriers(settled: Settled, calls: Ints, nodes: int) -> tuple[_Columns, int]:
    """The real-time edges of one clock's calls, over new nodes from number `nodes` on."""
    history = settled.history
    invoked, completed = history.invoked[calls], history.completed[calls]
    returned = np.flatnonzero(completed < FOREVER)
    returned = returned[np.argsort(completed[returned], kind="stable")]
    # How many had returned when each was invoked: calls between the same two share a barrier.
    before = np.searchsorted(completed[returned], invoked)
    counts = np.unique(before[before > 0])
    after = np.flatnonzero(before > 0)
    barrier_of = np.searchsorted(counts, before[after])
    next_barrier = np.searchsorted(counts, np.arange(len(returned)), side="right")
    leads = next_barrier < len(counts)
    line = np.arange(nodes, nodes + len(counts) - 1)
    earlier = np.concatenate((calls[returned[leads]], line, nodes + barrier_of))
    later = np.concatenate((nodes + next_barrier[leads], line + 1, calls[after]))
    why, place = np.full(len(earlier), int(Edge.TIME)), np.full(len(earlier), -1)
    return (earlier, later, why, place), nodes + len(counts)


def components(given: Edges) -> Ints:
    """For each node its strongly connected component, -1 where that is the node alone."""
    # Loaded when it is needed: many a process that judges has nothing but single accounts.
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    ends, size = (given.earlier, given.later), given.nodes
    ones = np.ones(len(given.earlier), np.bool_)
    graph = csr_array((ones, ends), (size, size))  # type: ignore[no-untyped-call]
    count, label = connected_components(graph, directed=True, connection="strong")
    if count == given.nodes:
        return np.full(given.nodes, -1)
    sizes = np.bincount(label, minlength=count)
    return np.where(sizes[label] > 1, label, -1)


def within(given: Edges, label: Ints) -> Edges:
    """The edges that stay inside of one component: only they can lie on a cycle."""
    same = label[given.earlier] == label[given.later]
    return given.only(same & (label[given.earlier] >= 0))
