"""Balances kept near at hand: filled too early, in the wrong order, or once in each process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.cached_reads import CachedReads, Changed, DirectReads
from engine.errors import VersionChanged
from engine.explore.client import Parts
from engine.explore.faults import Faults
from engine.history import Receipt
from engine.locks.body import changes, read_apply_write
from engine.locks.db_row import RowLock
from engine.locks.global_lock import GlobalLock
from engine.ports import Cache, Call, Cell, Row, Runtime, Store
from engine.verdicts import Break
from scenarios.zoo.exhibit import RACE, add, ask, exhibit, in_turn, withdraw
from scenarios.zoo.parts import Immediate, transaction


def _rows(runtime: Runtime) -> Cell[dict[str, Row]]:
    """The process's cache, which its strategy and its reads share."""
    return runtime.cell("cached rows", dict[str, Row])


class CachedBeforeCommit:
    """Puts the new balance into the cache as soon as it is written; the commit comes after."""

    def __init__(self, runtime: Runtime) -> None:
        self._rows = _rows(runtime)

    async def run(self, call: Call, store: Store) -> Receipt:
        async with transaction(store, "immediate"):
            receipt = await read_apply_write(call, store)
            for entry in receipt.entries:
                self._rows.value[entry.account] = Row(entry.after, entry.version)
            return receipt


class CellReads:
    """Answers from the process's cache, else from the database."""

    def __init__(self, cache: Cache, sessions: Callable[[], Store], runtime: Runtime) -> None:
        self._database = DirectReads(sessions)
        self._rows = _rows(runtime)

    async def row(self, account: str) -> Row | None:
        """The wallet's row."""
        return self._rows.value.get(account) or await self._database.row(account)

    @contextmanager
    def changing(self, accounts: tuple[str, ...]) -> Iterator[Changed]:
        """The strategy fills the cache itself."""
        yield lambda receipt: None


class LastPutWins:
    """A cache that does not look at versions. Each put goes over its one connection."""

    def __init__(self, cache: Cache, runtime: Runtime) -> None:
        self.ttl_s = cache.ttl_s
        self._rows = _rows(runtime)
        self._connection = runtime.mutex("the cache's connection")

    async def get(self, account: str) -> Row | None:
        """What was put last."""
        return self._rows.value.get(account)

    async def put(self, account: str, row: Row) -> None:
        """Remember `row`, whatever is there."""
        async with self._connection:
            self._rows.value[account] = row


def _last_put_wins(cache: Cache, sessions: Callable[[], Store], runtime: Runtime) -> CachedReads:
    return CachedReads(LastPutWins(cache, runtime), sessions, runtime)


def _uncached(cache: Cache, sessions: Callable[[], Store], runtime: Runtime) -> DirectReads:
    return DirectReads(sessions)


class RowsRemembered:
    """Keeps the rows it wrote and does not read them again: fast, and blind to other processes.

    Its memory is a plain attribute on purpose, as most people's is: the one exhibit whose state
    the explorer cannot see.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._mutex = runtime.mutex("wallet")
        self._rows: dict[str, Row] = {}

    async def run(self, call: Call, store: Store) -> Receipt:
        async with self._mutex:
            return await self._book(call, store, checked=False)

    async def _book(self, call: Call, store: Store, *, checked: bool) -> Receipt:
        if not self._rows.keys() >= set(call.accounts):
            self._rows |= (await store.read(call.accounts)).rows
        planned = changes(call, self._rows)
        receipt = await store.write(call, planned, if_version=checked)
        self._rows |= {entry.account: Row(entry.after, entry.version) for entry in receipt.entries}
        return receipt


class RowsVerified(RowsRemembered):
    """Remembers rows too, writes only if they are still current, and else reads them again."""

    async def run(self, call: Call, store: Store) -> Receipt:
        async with self._mutex:
            try:
                return await self._book(call, store, checked=True)
            except VersionChanged:
                self._rows.clear()
                return await self._book(call, store, checked=True)


CACHED_BEFORE_COMMIT = exhibit(
    "cached-before-commit",
    "The cache is filled before the commit; the commit never comes, the cached balance stays.",
    number=5,
    breaks=Break.READS,
    clients={"A": withdraw("500.00"), "B": ask()},
    cached=True,
    faults=Faults(cancel=1),
    wrong=Parts(CachedBeforeCommit, make_reads=CellReads),
    right=Parts(Immediate, make_reads=CachedReads),
)
REFRESHES_SWAPPED = exhibit(
    "refreshes-swapped",
    "Two refreshes after two commits arrive in the other order, and the older balance stays.",
    number=5,
    breaks=Break.READS,
    clients={**RACE, "C": ask()},
    after={"C": "B"},
    cached=True,
    wrong=Parts(GlobalLock, make_reads=_last_put_wins),
    right=Parts(GlobalLock, make_reads=CachedReads),
)
CACHE_OF_ONE_PROCESS = exhibit(
    "cache-of-one-process",
    "Each process caches for itself: a payment through one is not seen through the other.",
    breaks=Break.READS,
    clients={"A": in_turn(ask(), withdraw("500.00"), ask())},
    cached=True,
    topology="two-processes",
    wrong=Parts(RowLock, make_reads=CachedReads),
    right=Parts(RowLock, make_reads=_uncached),
)
ROWS_REMEMBERED = exhibit(
    "rows-remembered",
    "A strategy books on the row it remembers, which another process has changed since.",
    breaks=Break.MONEY,
    clients={"A": in_turn(withdraw("500.00"), add("300.00"), withdraw("100.00"))},
    correct={"alice": 700_00},
    topology="two-processes",
    wrong=RowsRemembered,
    right=RowsVerified,
)

EXHIBITS = (CACHED_BEFORE_COMMIT, REFRESHES_SWAPPED, CACHE_OF_ONE_PROCESS, ROWS_REMEMBERED)
