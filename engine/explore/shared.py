"""What all clients of a run share, as a value."""

from collections.abc import Callable, Mapping, Set
from typing import Any, NamedTuple

from engine.explore.automaton import Node
from engine.explore.faults import Facts
from engine.explore.frozen import MutexId
from engine.explore.leases import holds_lease
from engine.explore.recall import Item, remembering
from engine.explore.solo import Resumed
from engine.explore.steps import Step
from engine.explore.tables import Database, Pairs, lookup, stored
from engine.ports import Row


class Shared(NamedTuple):
    """What all clients share. `held` are mutexes and who holds them."""

    db: Database
    held: tuple[tuple[MutexId, str], ...] = ()
    memory: frozenset[tuple[Item, Any]] = frozenset()
    caches: tuple[tuple[int, Pairs[Row]], ...] = ()


def acquired(shared: Shared, mutex_id: MutexId, lane: str) -> Shared | None:
    """With the mutex held by the lane; None if somebody holds it already."""
    for held, _ in shared.held:
        if held == mutex_id:
            return None
    held_now = tuple(sorted((*shared.held, (mutex_id, lane))))
    return Shared(shared.db, held_now, shared.memory, shared.caches)


def affected(shared: Shared, did: Resumed) -> Shared:
    """What a resumption did to what is shared, beside its step."""
    if did.released:
        held = tuple(pair for pair in shared.held if pair[0] not in did.released)
        shared = Shared(shared.db, held, shared.memory, shared.caches)
    return recalling(shared, did.changed)


def recalling(shared: Shared, changed: Mapping[Item, Any]) -> Shared:
    """With this changed in memory."""
    if not changed:
        return shared
    return shared._replace(memory=frozenset(remembering(dict(shared.memory), changed).items()))


def without(shared: Shared, instance: int, freed: Set[MutexId]) -> Shared:
    """The instance is gone, with its memory and its mutexes, and these others are free."""
    return Shared(
        shared.db,
        tuple(
            pair for pair in shared.held if pair[0].instance != instance and pair[0] not in freed
        ),
        frozenset(pair for pair in shared.memory if pair[0].instance != instance),
        tuple(cache for cache in shared.caches if cache[0] != instance),
    )


def facts_of(shared: Shared, node: Node, ready: bool) -> Facts:
    """What decides which faults may strike a client."""
    assert node.step is not None
    return Facts(
        node.name,
        node.step.kind,
        node.instance,
        node.background,
        node.shielded,
        ready,
        lookup(shared.db.open, node.name) is not None,
        holds_lease(shared.db, node.name),
    )


def cached(shared: Shared, node: Node, step: Step) -> tuple[Shared, Row | None]:
    """A cache's verb; newest wins, as in `engine.caches`."""
    assert node.instance is not None
    caches = dict(shared.caches)
    rows = caches.get(node.instance, ())
    held = lookup(rows, step.args[1])
    if step.kind == "cache_get":
        return shared, held
    row: Row = step.args[2]
    if held is None or held.version < row.version:
        caches[node.instance] = stored(rows, step.args[1], row)
    return shared._replace(caches=tuple(sorted(caches.items()))), None


def stored_in(
    shared: Shared,
    lane: str,
    step: Step,
    performed: Callable[[Database, str, Step], tuple[Database, Any]],
) -> tuple[Shared, Any]:
    """A verb of the database, with its answer. Wrong arguments are the caller's to bear."""
    try:
        db, answer = performed(shared.db, lane, step)
    except Exception as error:
        return shared, error
    return (shared if db is shared.db else Shared(db, *shared[1:])), answer
