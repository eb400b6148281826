"""The strongest level a history satisfies, read off the cycles of its transaction graph.

| no cycle of                          | level               | source                   |
|--------------------------------------|---------------------|--------------------------|
| ww, wr, rw and real time             | strict serializable | Papadimitriou, 1979      |
| ww, wr, rw                           | serializable        | Adya, 1999: PL-3         |
| the same, without two rw in a row    | snapshot isolation  | Cerone and Gotsman, 2018 |
| ww, wr                               | read committed      | Adya, 1999: PL-2         |
"""

from dataclasses import dataclass, replace

import numpy as np

from engine.checks.graph import Edge, Edges, components, within
from engine.checks.verdict import Level
from engine.histories.columns import Ints


@dataclass(frozen=True, slots=True)
class Stage:
    """Edges on cycles that a level forbids, and for each the component that it lies in."""

    inner: Edges
    component: Ints
    lone_rw: bool = False


def strongest(given: Edges) -> tuple[Level, tuple[Stage, ...]]:
    """The level, and the edges whose cycles forbid the next one, then those of real time."""
    everything = _stage(given)
    if everything is None:
        return Level.STRICT_SERIALIZABLE, ()
    timeless = _stage(everything.inner.only(everything.inner.why != Edge.TIME))
    if timeless is None:
        return Level.SERIALIZABLE, (everything,)
    single = _without_two_rw(timeless.inner)
    if single is None:
        return Level.SNAPSHOT_ISOLATION, (timeless, everything)
    committed = _stage(timeless.inner.only(timeless.inner.why != Edge.RW))
    if committed is None:
        return Level.READ_COMMITTED, (single, everything)
    return Level.NONE, (committed, everything)


def _stage(given: Edges) -> Stage | None:
    label = components(given)
    inner = within(given, label)
    return Stage(inner, label[inner.earlier]) if len(inner.earlier) else None


def _without_two_rw(given: Edges) -> Stage | None:
    """Cycles in a graph of two floors: an rw edge leads up, and only others lead on from there."""
    rw = given.why == Edge.RW
    plain = np.flatnonzero(~rw)
    up = given.nodes
    edge = np.concatenate((np.flatnonzero(rw), plain, plain))
    earlier = given.earlier[edge]
    later = given.later[edge] + np.where(rw[edge], up, 0)
    earlier[len(edge) - len(plain) :] += up
    floors = replace(
        given,
        earlier=earlier,
        later=later,
        why=given.why[edge],
        place=given.place[edge],
        nodes=2 * up,
    )
    label = components(floors)
    inner = within(floors, label)
    if not len(inner.earlier):
        return None
    flat = replace(inner, earlier=inner.earlier % up, later=inner.later % up, nodes=up)
    return Stage(flat, label[inner.earlier], lone_rw=True)
