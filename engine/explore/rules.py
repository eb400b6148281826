"""Whose rules the model's database follows: one set of pure functions for each dialect.

Each takes a `Database` and a lane, and gives the next `Database` or says something of this one.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from engine.explore import leases, memory, memory_postgres
from engine.explore.row_locks import wanted
from engine.explore.stage import Lane
from engine.explore.steps import Step
from engine.explore.tables import Database, Tables, lookup, opened
from engine.ports import Dialect


class Rules(NamedTuple):
    """`has_victims`: the database ends deadlocks, and `waits_for` tells who waits for whom.

    `failed` is what a statement does that was stopped half-way, `hung_up` a lost connection,
    `buried` the death of a lane, `locks_of` what its transaction holds.
    """

    has_victims: bool
    can_go: Callable[[Database, str, Step], bool]
    performed: Callable[[Database, str, Step], tuple[Database, Any]]
    waits_for: Callable[[Database, str, Step], str | None]
    failed: Callable[[Database, str], Database]
    hung_up: Callable[[Database, str], Database]
    buried: Callable[[Database, str], Database]
    locks_of: Callable[[Database, str], tuple[str, ...]]


RULES: dict[Dialect, Rules] = {
    "sqlite": Rules(
        False,
        memory.can_go,
        memory.performed,
        waits_for=lambda db, lane, step: None,  # no ring: who would close one is told BUSY
        failed=lambda db, lane: db,
        hung_up=memory.rolled_back,
        buried=memory.buried,
        locks_of=memory.locks_of,
    ),
    "postgres": Rules(
        True,
        memory_postgres.can_go,
        memory_postgres.performed,
        memory_postgres.waits_for,
        memory_postgres.failed,
        memory_postgres.hung_up,
        memory_postgres.buried,
        memory_postgres.locks_of,
    ),
}


def in_ring(rules: Rules, db: Database, lane: str, steps: Mapping[str, Step | None]) -> bool:
    """Whether the lane waits, by way of others, for itself. `steps` are those about to be taken.

    Then the database may undo its transaction, so that its step can be taken: it is the victim.
    """
    at: str | None = lane
    for _ in db.open:
        step = steps.get(at) if at is not None else None
        at = None if step is None or at is None else rules.waits_for(db, at, step)
        if at == lane:
            return True
    return False


class MemoryDatabase:
    """The database of one run, with its whole operation log."""

    def __init__(self, openings: Mapping[str, int], dialect: Dialect) -> None:
        self.state = opened(openings, keep_log=True)
        self._rules = RULES[dialect]

    @property
    def tables(self) -> Tables:
        return self.state.tables

    def ready(self, lane: Lane, lanes: list[Lane]) -> bool:
        """Whether the lane's step can be taken; `lanes` are all of them."""
        assert lane.pending is not None
        if self._rules.can_go(self.state, lane.name, lane.pending):
            return True
        steps = {other.name: other.pending for other in lanes}
        return in_ring(self._rules, self.state, lane.name, steps)

    def awaits(self, lane: Lane) -> str:
        """The lock that the lane's step waits for; "" if it waits for none."""
        step, rules = lane.pending, self._rules
        if step is None or rules.can_go(self.state, lane.name, step):
            return ""
        holder = rules.waits_for(self.state, lane.name, step)
        held = () if holder is None else rules.locks_of(self.state, holder)
        return next((str(lock) for lock in wanted(step) if str(lock) in held), "the write lock")

    def perform(self, lane: Lane, step: Step) -> Any:
        """Take the step; its answer, or the error it is answered with is raised."""
        self.state, answer = self._rules.performed(self.state, lane.name, step)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def leaked(self) -> list[str]:
        return leases.leaked(self.state)

    def fail(self, lane: Lane) -> None:
        """The database has stopped the lane's statement."""
        self.state = self._rules.failed(self.state, lane.name)

    def bury(self, lane: Lane) -> None:
        """The lane's connection is gone: its transaction is rolled back, its leases run out."""
        self.state = self._rules.buried(self.state, lane.name)

    def hang_up(self, lane: Lane) -> None:
        """The lane's connection is lost: its transaction is rolled back, its leases stay."""
        self.state = self._rules.hung_up(self.state, lane.name)

    def in_transaction(self, lane: Lane) -> bool:
        return lookup(self.state.open, lane.name) is not None

    def holds_lease(self, lane: Lane) -> bool:
        return leases.holds_lease(self.state, lane.name)

    def locks_of(self, lane: Lane) -> tuple[str, ...]:
        """The database's locks that the lane's transaction holds."""
        return self._rules.locks_of(self.state, lane.name)

    def expire(self, lane: Lane) -> None:
        """The clock has run past the lane's leases."""
        self.state = leases.expired(self.state, lane.name)
