"""Wrappers that note where the time of a call goes; what they wrap knows nothing of clocks.

`Watched` brackets a lock strategy, opens the call's `Timings` and tells the monitor how it ended;
`TimedRuntime` and `TimedStore` note the waits for locks into the Timings of the current call and,
where they are collected, the steps at the boundaries of locks and transactions.
"""

import asyncio
from collections.abc import Awaitable, Coroutine, Mapping
from time import perf_counter_ns
from typing import Any, TypeVar

from engine.errors import BusinessError, SystemFault, WalletraceError
from engine.history import Outcome, Receipt
from engine.ports import (
    Call,
    Change,
    Dialect,
    Level,
    LockStrategy,
    Monitor,
    Mutex,
    RowLocking,
    Runtime,
    Snapshot,
    Store,
    Sweepable,
)
from engine.recording import Step
from engine.timings import CURRENT, Timings, note, saw

T = TypeVar("T")
# What stands for SQLite's one write lock among the names of locks.
DATABASE = "the database"


def _store_wait_ns() -> int:
    timings = CURRENT.get()
    return timings.store_wait_ns if timings is not None else 0


def _granted(asked_ns: int, *, stored_ns: int = 0) -> None:
    """Note a lock asked for at `asked_ns`; `stored_ns` of the wait were the store's own."""
    timings = CURRENT.get()
    if timings is not None:
        timings.acquired_ns = perf_counter_ns()
        timings.requested_ns = timings.requested_ns or asked_ns
        timings.lock_wait_ns += timings.acquired_ns - asked_ns - stored_ns
        timings.locks += 1


def _released() -> None:
    timings = CURRENT.get()
    if timings is not None:
        timings.released_ns = perf_counter_ns()


def _committed() -> None:
    timings = CURRENT.get()
    if timings is not None:
        timings.committed_ns = perf_counter_ns()


async def _locking(statement: Awaitable[T], *names: str) -> T:
    """The answer of a statement that takes these locks, its wait noted."""
    note(Step.LOCK_ASKED, *names)
    asked_ns, stored_ns = perf_counter_ns(), _store_wait_ns()
    answer = await statement
    _granted(asked_ns, stored_ns=_store_wait_ns() - stored_ns)
    note(Step.LOCK_GRANTED, *names)
    return answer


class _TimedMutex:
    __slots__ = ("_inner", "_name")

    def __init__(self, inner: Mutex, name: str) -> None:
        self._inner = inner
        self._name = name

    async def __aenter__(self) -> None:
        note(Step.LOCK_ASKED, self._name)
        asked_ns = perf_counter_ns()
        await self._inner.__aenter__()
        _granted(asked_ns)
        note(Step.LOCK_GRANTED, self._name)

    async def __aexit__(self, *exc: object) -> None:
        # Noted before: the next one may have it as soon as it is released.
        note(Step.LOCK_RELEASED, self._name)
        await self._inner.__aexit__(*exc)
        _released()


class TimedRuntime:
    """A Runtime whose mutexes note their waits and whose back-offs count as retries."""

    def __init__(self, inner: Runtime) -> None:
        self._inner = inner

    def mutex(self, name: str) -> Mutex:
        return _TimedMutex(self._inner.mutex(name), name)

    async def backoff(self, attempt: int) -> None:
        timings = CURRENT.get()
        if timings is not None:
            timings.retries += 1
        await self._inner.backoff(attempt)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        # Its time is not the caller's, who does not wait for it.
        token = CURRENT.set(None)
        self._inner.spawn(work)
        CURRENT.reset(token)

    def __getattr__(self, name: str) -> Any:  # cell, now_ms, new_id are the inner's own
        return getattr(self._inner, name)


class TimedStore:
    """A Store whose locks note their waits, and whose writes the time of their commit."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self._begun = False
        self._until_end: tuple[str, ...] = ()  # locks that the transaction's end gives back

    @property
    def dialect(self) -> Dialect:
        return self._inner.dialect

    async def read(
        self, accounts: tuple[str, ...], key: str | None = None, *, lock: RowLocking = ""
    ) -> Snapshot:
        reading = self._inner.read(accounts, key, lock=lock)
        snapshot = await (self._until_the_end(reading, accounts) if lock else reading)
        saw(snapshot.rows)
        note(Step.SNAPSHOT)
        return snapshot

    async def write(
        self,
        call: Call,
        changes: tuple[Change, ...],
        *,
        if_version: bool = False,
        fence: Mapping[str, int] | None = None,
    ) -> Receipt:
        receipt = await self._inner.write(call, changes, if_version=if_version, fence=fence)
        _committed()
        note(Step.WRITTEN if self._begun else Step.COMMITTED)
        return receipt

    async def take(self, key: str, owner: str) -> int:
        return await _locking(self._inner.take(key, owner), key)

    async def give(self, key: str, owner: str) -> None:
        note(Step.LOCK_RELEASED, key)
        await self._inner.give(key, owner)
        _released()

    async def decide(self, key: str, value: str) -> str:
        return await self._inner.decide(key, value)

    async def guarded(self, call: Call) -> Receipt:
        receipt = await self._inner.guarded(call)
        _committed()
        note(Step.COMMITTED)
        return receipt

    async def group(self, calls: tuple[Call, ...]) -> tuple[Receipt | WalletraceError, ...]:
        return await self._inner.group(calls)

    async def advisory(self, keys: tuple[str, ...]) -> None:
        await self._until_the_end(self._inner.advisory(keys), keys)

    async def begin(self, level: Level, *, nowait: bool = False) -> None:
        beginning = self._inner.begin(level, nowait=nowait)
        if level == "immediate":
            await self._until_the_end(beginning, (DATABASE,))
        else:
            await beginning
        self._begun = True
        note(Step.BEGUN)

    async def commit(self) -> None:
        await self._inner.commit()
        _committed()
        self._ended(Step.COMMITTED)

    async def rollback(self) -> None:
        await self._inner.rollback()
        self._ended(Step.ROLLED_BACK)

    async def _until_the_end(self, statement: Awaitable[T], names: tuple[str, ...]) -> T:
        answer = await _locking(statement, *names)
        self._until_end += names
        return answer

    def _ended(self, how: Step) -> None:
        _released()
        if self._begun:
            note(how)
        if self._until_end:
            note(Step.LOCK_RELEASED, *self._until_end)
        self._begun, self._until_end = False, ()


class Watched:
    """A lock strategy whose every call is timed and reported to `monitor`."""

    def __init__(self, inner: LockStrategy, monitor: Monitor, *, boundaries: bool = False) -> None:
        self._inner = inner
        self._monitor = monitor
        self._boundaries = boundaries

    async def run(self, call: Call, store: Store) -> Receipt:
        timings = Timings(started_ns=perf_counter_ns(), steps=[] if self._boundaries else None)
        token = CURRENT.set(timings)
        outcome, code, receipt = Outcome.UNKNOWN, "fault", None
        try:
            receipt = await self._inner.run(call, TimedStore(store))
            outcome, code = Outcome.OK, ""
            return receipt
        except WalletraceError as error:
            if isinstance(error, BusinessError) and error.seen is not None:
                timings.seen = error.seen
            unknown = isinstance(error, SystemFault) and error.may_have_happened
            outcome, code = (Outcome.UNKNOWN if unknown else Outcome.REFUSED), error.code
            raise
        except asyncio.CancelledError:
            code = "cancelled"
            raise
        finally:
            CURRENT.reset(token)
            timings.finished_ns = perf_counter_ns()
            self._monitor.finished(call, outcome, code, receipt, timings)

    def sweep(self, idle_s: float) -> int:
        return self._inner.sweep(idle_s) if isinstance(self._inner, Sweepable) else 0
