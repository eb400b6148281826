"""PostgreSQL under the gate: who would have to wait is asked of the server before a step is let go.

Only a lock that another client's open transaction holds can be in the way, so mostly there is
nothing to ask; where there is, one round trip tells who holds what. A step that was let go and has
to wait all the same ends the exploration: either somebody outside holds a lock, or we were wrong.
"""

from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from asyncpg import Connection

from engine.errors import (
    DeadlockVictim,
    LockTaken,
    LockTimeout,
    SerializationFailed,
    StoreBusy,
    StoreUnavailable,
)
from engine.explore import live_postgres_sql as sql
from engine.explore.deadlock import Deadlock, Waiter
from engine.explore.live import Books
from engine.explore.locking import statement
from engine.explore.row_locks import (
    Lock,
    Obstacle,
    circle,
    claimed,
    inserted,
    looks_first,
    obstacle,
    wanted,
)
from engine.explore.stage import Lane
from engine.explore.steps import Step
from engine.explore.tables import Lease, Tables
from engine.history import LogRow
from engine.ports import Row, Store
from engine.stores.postgres import PostgresDatabase, PostgresStore
from engine.stores.postgres_statements import earlier_of

# Answers after which only a rollback is of use.
_FAILED = (SerializationFailed, DeadlockVictim, LockTaken, StoreBusy, StoreUnavailable)
_KEEPS_SNAPSHOT = ("repeatable-read", "serializable")


@dataclass(slots=True)
class _Open:
    """An open transaction: what it may hold, and what it has inserted.

    `over`: it has failed, or its connection is lost; who asks it for anything is told at once.
    """

    session: PostgresStore
    level: str
    claims: set[Lock] = field(default_factory=set)
    inserted: set[Lock] = field(default_factory=set)
    has_snapshot: bool = False
    over: bool = False

    @property
    def connection(self) -> "Connection[Any]":
        connection = self.session.pinned
        assert connection is not None, "a transaction without a connection"
        return connection

    @property
    def pid(self) -> int:
        pid: int = self.connection.get_server_pid()
        return pid


class PostgresLive:
    """A database whose schema `walletrace` is ours, and a probe that looks on."""

    def __init__(self, database: PostgresDatabase, probe: "Connection[Any]") -> None:
        self._database = database
        self._probe = probe
        self._openings: Mapping[str, int] = {}
        self._restored = False
        self._begin_run()

    def _begin_run(self) -> None:
        self._open: dict[Lane, _Open] = {}
        self._obstacles: dict[Lane, Obstacle] = {}
        self._owned: Set[str] = frozenset()
        self._leases_moved = False
        self._deadlock: Deadlock | None = None

    def session(self) -> Store:
        return self._database.session()

    async def reset(self, openings: Mapping[str, int]) -> None:
        self._begin_run()
        if not self._restored or openings != self._openings:
            await self._database.reset(openings)
        self._openings, self._restored = openings, False

    def ready(self, lane: Lane, step: Step) -> bool:
        # In a circle anybody can go on, as its victim.
        return lane not in self._obstacles or bool(circle(lane, self._obstacles))

    def awaits(self, lane: Lane) -> str:
        return str(self._obstacles[lane].lock) if lane in self._obstacles else ""

    def leases(self) -> Set[str]:
        return self._owned

    async def locks(self, lane: Lane) -> tuple[str, ...]:
        if lane not in self._open:
            return ()
        holders = await self._holders()
        return tuple(sorted(str(lock) for lock, lanes in holders.items() if lane in lanes))

    async def prepare(self, lane: Lane, session: Store | None, step: Step) -> None:
        self._leases_moved = step.kind in ("take", "give")
        if step.kind == "begin":
            assert isinstance(session, PostgresStore)
            self._open[lane] = _Open(session, step.args[0])
        elif ring := circle(lane, self._obstacles):
            others = [self._waiter(other) for other in ring[1:]]
            victim = self._open[lane].connection
            self._deadlock = await Deadlock.prepare(self._probe, victim, others)

    def _waiter(self, lane: Lane) -> Waiter:
        lock, holder = self._obstacles[lane]
        is_new = lock in self._open[holder].inserted
        return Waiter(self._open[lane].connection, lock, is_new)

    async def moved(self, lane: Lane, step: Step, result: Any) -> None:
        if self._deadlock is not None:
            deadlock, self._deadlock = self._deadlock, None
            await deadlock.end()
            assert result is None or isinstance(result, DeadlockVictim), f"no deadlock: {result!r}"
        elif isinstance(result, LockTimeout):
            raise await self._explained(lane, step)
        elif isinstance(result, StoreUnavailable):
            await self._probe.fetchval("SELECT 1")  # raises if the server is gone
        transaction = self._open.get(lane)
        if transaction is not None and lane.in_transaction:
            transaction.claims.update(claimed(step))
            transaction.inserted.update(inserted(step, result))
            transaction.has_snapshot = step.kind != "begin"
            transaction.over = transaction.over or isinstance(result, _FAILED)

    async def fail(self, lane: Lane) -> None:
        transaction = self._open.get(lane)
        if transaction is not None and not transaction.over:
            transaction.over = True
            with suppress(asyncpg.QueryCanceledError):
                await transaction.connection.rows(sql.STOPPED)

    async def hang_up(self, lane: Lane, sessions: Sequence[Store]) -> None:
        transaction = self._open.get(lane)
        if transaction is None or transaction.connection.is_closed():
            return
        transaction.over = True
        pid = transaction.pid
        await self._probe.fetchval(sql.HANG_UP, pid)
        transaction.connection.terminate()
        while await self._probe.fetchval(sql.IS_THERE, pid):
            pass  # its locks go with it

    async def look(self, lanes: Sequence[Lane]) -> None:
        for lane in [lane for lane in self._open if not lane.in_transaction]:
            del self._open[lane]
        self._obstacles = {}
        steps = {lane: step for lane in lanes if (step := lane.pending) and not self._is_over(lane)}
        if not (self._leases_moved or self._is_contested(steps)):
            return
        self._leases_moved = False
        advisory = [lock.name for step in steps.values() for lock in wanted(step)]
        holders = await self._holders(advisory)
        for lane, step in steps.items():
            met = obstacle(lane, wanted(step), holders)
            if met is not None and looks_first(step):
                met = obstacle(lane, await self._taken(lane, step), holders)
            if met is not None and not await self._is_outdated(lane, met.lock):
                self._obstacles[lane] = met

    def _is_over(self, lane: Lane) -> bool:
        return lane in self._open and self._open[lane].over

    def _is_contested(self, steps: Mapping[Lane, Step]) -> bool:
        """Whether somebody wants what another one may hold."""
        return any(
            other is not lane and not transaction.claims.isdisjoint(wanted(step))
            for lane, step in steps.items()
            for other, transaction in self._open.items()
        )

    async def _holders(self, names: Sequence[str] = ()) -> dict[Lock, set[Lane]]:
        """Who holds what, those advisory locks included that are claimed or have one of `names`."""
        lanes = {
            transaction.pid: lane
            for lane, transaction in self._open.items()
            if not transaction.connection.is_closed()
        }
        claims = {lock for transaction in self._open.values() for lock in transaction.claims}
        advisory = {*names, *(name for kind, name in claims if kind == "advisory")}
        found = await self._probe.fetch(sql.LOOK, list(lanes), list(advisory))
        self._owned = {name for kind, name, _ in found if kind == "owned"}
        holders: dict[Lock, set[Lane]] = {}
        for kind, name, pid in found:
            if kind == "open":  # so what it has inserted is there still
                for lock in self._open[lanes[pid]].inserted:
                    holders.setdefault(lock, set()).add(lanes[pid])
            elif kind != "owned":
                holders.setdefault(Lock(kind, name), set()).add(lanes[pid])
        return holders

    async def _taken(self, lane: Lane, step: Step) -> tuple[Lock, ...]:
        """Those of the wanted locks that the step's statement takes on the tables that it sees."""
        transaction, connection = self._open.get(lane), self._probe
        if transaction is not None and transaction.has_snapshot:
            if transaction.level == "serializable":
                return wanted(step)  # what is read there may decide who is undone
            connection = transaction.connection
        found = await connection.fetch(sql.TABLES)
        rows = tuple(
            (each["name"], Row(each["number"], each["version"])) for each in _of("row", found)
        )
        keys = tuple((each["name"], earlier_of(each)) for each in _of("key", found))
        leases = tuple((each["name"], Lease(token=each["number"])) for each in _of("lease", found))
        locks = statement(Tables(rows, keys), leases, step).locks
        return tuple(lock for lock in wanted(step) if str(lock) in locks)

    async def _is_outdated(self, lane: Lane, lock: Lock) -> bool:
        """Whether the lane's snapshot shows an older row: then it fails, and does not wait."""
        transaction = self._open.get(lane)
        if transaction is None or not transaction.has_snapshot or lock.kind != "row":
            return False
        if transaction.level not in _KEEPS_SNAPSHOT:
            return False
        seen = await transaction.connection.fetchval(sql.VERSION, lock.name)
        return bool(seen != await self._probe.fetchval(sql.VERSION, lock.name))

    async def run_out(self, key: str) -> None:
        await self._probe.execute(sql.RUN_OUT, key)

    async def balances(self) -> Mapping[str, Row]:
        found = await self._probe.fetch(sql.BALANCES)
        return {account: Row(balance, version) for account, balance, version in found}

    async def books(self, lanes: Sequence[Lane]) -> Books:
        # While somebody has a transaction open, rows may be locked.
        self._restored = not any(lane.in_transaction for lane in lanes)
        if self._restored:
            names, cents = list(self._openings), list(self._openings.values())
            found = await self._probe.fetch(sql.BOOKS_AND_RESTORE, names, cents)
        else:
            found = await self._probe.fetch(sql.BOOKS)
        rows = {row[1]: Row(row[5], row[6]) for row in found if row[0] is None}
        return Books(rows, tuple(LogRow(*row) for row in found if row[0] is not None))

    async def _explained(self, lane: Lane, step: Step) -> Exception:
        ours = [self._probe.get_server_pid(), *(each.pid for each in self._open.values())]
        strangers = await self._probe.fetch(sql.STRANGERS, ours)
        if not strangers:
            return AssertionError(f"{lane.name} had to wait, and nobody saw it come: {step}")
        who = ", ".join(f"{name or 'process'} ({pid})" for pid, name in strangers)
        return StoreBusy(
            f"{lane.name}'s {step.kind} had to wait for a lock that none of the clients holds",
            f"see who else works in this database: {who}",
        )


def _of(kind: str, found: Sequence[Any]) -> list[Any]:
    return [each for each in found if each["kind"] == kind]
