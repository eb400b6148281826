"""Parts broken on purpose, in the ways that reviews miss: each turns its matrix cell red."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest

from engine.cached_reads import CachedReads, Changed
from engine.catalog import MakeLock
from engine.errors import InsufficientFunds, VersionChanged
from engine.explore.cells import worlds
from engine.explore.client import Client, Parts
from engine.explore.faults import Faults
from engine.explore.search import Budget, Explored, explore
from engine.explore.world import Setting
from engine.history import Entry, Receipt
from engine.locks.body import changes, read_apply_write, retried
from engine.locks.db_write import DbWrite
from engine.locks.leases import FencedLease, Lease
from engine.locks.lock_map import LockMap
from engine.locks.per_user import PerUserLock, PerUserUnsortedLock
from engine.locks.single_writer import SingleWriter
from engine.locks.version_cas import VersionCas
from engine.operations import accounts_of
from engine.ports import Call, Mutex, RowLocking, Runtime, Snapshot, Store
from engine.verdicts import Break, Verdict
from scenarios.catalogue import SCENARIOS
from tests.engine.explore.both_ways import asks, by_plan, in_turn, setting_of, withdraws

pytestmark = pytest.mark.slow


def found(scenario: str, parts: Parts, store: str, faults: str = "") -> Explored:
    async def search() -> Explored:
        setting = Setting(SCENARIOS[scenario], "one-service", parts)
        struck = Faults.parse(faults) if faults else setting.scenario.faults
        async with worlds(setting, store) as open_world:
            return await explore(setting, open_world, faults=struck, budget=Budget())

    return asyncio.run(search())


class UnlocksBeforeCommit(PerUserLock):
    """Reads and computes under the lock, writes after it."""

    async def run(self, call: Call, store: Store) -> Receipt:
        async with self.locks.hold(call.accounts[0]):
            seen = await store.read(call.accounts, call.key)
            changed = changes(call, seen.rows)
        return await store.write(call, changed)


class EvictsHeldLocks(PerUserLock):
    """Its lock map forgets every lock that is swept, held or not."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.locks = ForgetfulMap(runtime)


class ForgetfulMap(LockMap):
    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.runtime = runtime
        self.mutexes: dict[str, Mutex] = {}

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        if name not in self.mutexes:
            self.mutexes[name] = self.runtime.mutex(name)
        async with self.mutexes[name]:
            yield

    def sweep(self, idle_s: float) -> int:
        self.mutexes.clear()
        return 1


class ReadsBeforeTheLock(PerUserLock):
    """Trusts a balance that it read before it waited: what a cache would have told it."""

    async def run(self, call: Call, store: Store) -> Receipt:
        seen = await store.read(call.accounts, call.key)
        async with self.locks.hold(call.accounts[0]):
            return await read_apply_write(call, Stale(store, seen))


class Stale:
    def __init__(self, inner: Store, seen: Snapshot) -> None:
        self.inner = inner
        self.seen = seen

    async def read(
        self, accounts: tuple[str, ...], key: str | None = None, *, lock: RowLocking = ""
    ) -> Snapshot:
        return self.seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Unversioned(VersionCas):
    """Optimistic without a look at the version: retries, and never has to."""

    async def run(self, call: Call, store: Store) -> Receipt:
        return await retried(
            self._runtime, lambda: read_apply_write(call, store), (VersionChanged,)
        )


class AnswersBeforeCommit(SingleWriter):
    """A single writer that answers from what it read, and commits the group after that."""

    async def _commit(self, group: list[Any], store: Store) -> None:
        for each in group:
            seen = await store.read(accounts_of(each.operation))
            after = changes(Call(each.id, each.operation), seen.rows)
            entries = tuple(Entry(c.account, c.before, c.after, c.version + 1) for c in after)
            self._answers.value[each.id] = Receipt(each.id, entries)
            await each.gate.__aexit__(None, None, None)
        await store.group(tuple(Call(each.id, each.operation, each.key) for each in group))


class GoesAtOnce(SingleWriter):
    """A single writer whose cancelled callers do not wait until what is under way has landed."""

    async def _leave(self, queue: list[Any], waiting: Any) -> None:
        if waiting in queue:
            await super()._leave(queue, waiting)


class RollsNothingBack(DbWrite):
    """Leaves its transaction open when the call is refused or cancelled."""

    async def run(self, call: Call, store: Store) -> Receipt:
        await store.begin("immediate")
        receipt = await read_apply_write(call, store)
        await store.commit()
        return receipt


# Each is right without its part, so that the part alone is what the fault shows.
BROKEN_STRATEGIES = [
    (FencedLease, Lease, "expire=1", Break.MONEY),
    (VersionCas, Unversioned, "none", Break.MONEY),
    (SingleWriter, AnswersBeforeCommit, "crash=1", Break.MONEY),
    (DbWrite, RollsNothingBack, "cancel=1", Break.LIVENESS),
]


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize(("right", "wrong", "faults", "kind"), BROKEN_STRATEGIES)
def test_a_strategy_without_the_part_that_makes_it_right_turns_red(
    right: MakeLock, wrong: MakeLock, faults: str, kind: Break, store: str
) -> None:
    assert found("documented-race", Parts(right), store, faults).verdict is Verdict.SAFE
    broken = found("documented-race", Parts(wrong), store, faults)
    assert broken.verdict is Verdict.BROKEN
    assert kind in broken.kinds


async def looks_again(client: Client) -> None:
    with suppress(InsufficientFunds):
        await client.withdraw("alice", "8.00")
    await client.balance("alice")


def test_a_group_that_lands_after_its_caller_has_gone_makes_the_cache_stale() -> None:
    plays = (withdraws("8.00"), in_turn(asks(), looks_again))
    cancel = Faults(cancel=1)
    right = setting_of(SingleWriter, *plays, cached=True)
    assert by_plan(right, cancel).verdict is Verdict.SAFE
    wrong = by_plan(setting_of(GoesAtOnce, *plays, cached=True), cancel)
    assert wrong.kinds == (Break.READS,)


BROKEN_LOCKS = [
    ("documented-race", UnlocksBeforeCommit, Break.MONEY),
    ("documented-race", ReadsBeforeTheLock, Break.MONEY),
    ("crossing-transfers", PerUserUnsortedLock, Break.LIVENESS),
    ("batch-beside-transfer", PerUserUnsortedLock, Break.LIVENESS),
    ("idle-lock-sweep", EvictsHeldLocks, Break.MONEY),
]


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize(("scenario", "make_lock", "kind"), BROKEN_LOCKS)
def test_a_lock_broken_on_purpose_turns_its_cell_red(
    scenario: str, make_lock: MakeLock, kind: Break, store: str
) -> None:
    assert found(scenario, Parts(PerUserLock), store).verdict is Verdict.SAFE
    broken = found(scenario, Parts(make_lock), store)
    assert broken.verdict is Verdict.BROKEN
    assert broken.kinds == (kind,)


class RefreshesBeforeCommit(CachedReads):
    """Fills the cache with the balance it is about to write."""

    def __init__(self, cache: Any, sessions: Any, runtime: Any, monitor: Any = None) -> None:
        super().__init__(cache, self._spying(sessions), runtime, monitor)
        self.cache = cache

    def _spying(self, sessions: Any) -> Any:
        return sessions

    @contextmanager
    def changing(self, accounts: tuple[str, ...]) -> Iterator[Changed]:
        yield lambda receipt: None


class WritesItsCacheFirst(PerUserLock):
    """Puts the new balance into the cache inside the lock, then commits."""

    cache: Any = None

    async def run(self, call: Call, store: Store) -> Receipt:
        async with self.locks.hold(call.accounts[0]):
            seen = await store.read(call.accounts, call.key)
            changed = changes(call, seen.rows)
            for account, before, after, version in changed:
                entry = Entry(account, before, after, version + 1)
                await type(self).cache.put(account, _row(entry))
            return await store.write(call, changed)


def _row(entry: Entry) -> Any:
    from engine.ports import Row

    return Row(entry.after, entry.version)


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_a_cache_refreshed_before_the_commit_shows_money_that_was_never_paid(store: str) -> None:
    class Reads(RefreshesBeforeCommit):
        def __init__(self, cache: Any, sessions: Any, runtime: Any, monitor: Any = None) -> None:
            super().__init__(cache, sessions, runtime, monitor)
            WritesItsCacheFirst.cache = cache

    broken = found("stale-cache", Parts(WritesItsCacheFirst, Reads), store)
    assert broken.verdict is Verdict.BROKEN
    assert broken.kinds == (Break.READS,)
    assert found("stale-cache", Parts(PerUserLock), store).verdict is Verdict.SAFE


class ForgetsItsDoubts(CachedReads):
    """Refreshes after the commit, but trusts the old entry until then."""

    @contextmanager
    def changing(self, accounts: tuple[str, ...]) -> Iterator[Changed]:
        yield lambda receipt: self._runtime.spawn(self._refresh(receipt))


def test_a_cache_that_is_trusted_until_it_is_refreshed_shows_a_stale_balance() -> None:
    broken = found("stale-cache", Parts(PerUserLock, ForgetsItsDoubts), "memory")
    assert broken.kinds == (Break.READS,)
