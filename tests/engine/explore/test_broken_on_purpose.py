"""Parts broken on purpose, in the ways that reviews miss: each turns its matrix cell red."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from engine.cached_reads import CachedReads, Changed
from engine.catalog import MakeLock
from engine.explore.cells import worlds
from engine.explore.client import Parts
from engine.explore.search import Budget, Explored, explore
from engine.explore.world import Setting
from engine.history import Entry, Receipt
from engine.locks.body import changes, read_apply_write
from engine.locks.lock_map import LockMap
from engine.locks.per_user import PerUserLock, PerUserUnsortedLock
from engine.ports import Call, Mutex, RowLocking, Runtime, Snapshot, Store
from engine.verdicts import Break, Verdict
from scenarios.catalogue import SCENARIOS

pytestmark = pytest.mark.slow


def found(scenario: str, parts: Parts, store: str) -> Explored:
    async def search() -> Explored:
        setting = Setting(SCENARIOS[scenario], "one-service", parts)
        async with worlds(setting, store) as open_world:
            return await explore(
                setting, open_world, faults=setting.scenario.faults, budget=Budget()
            )

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
