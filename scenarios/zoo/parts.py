"""What several exhibits are built of: locks used by hand, transactions, compare-and-set, a pool."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.errors import Conflict, VersionChanged
from engine.history import Receipt
from engine.locks.body import changes, read_apply_write
from engine.ports import Call, Level, Runtime, Store


class HandLock:
    """A mutex acquired and released by hand, as asyncio.Lock is where nobody writes `async with`.

    Like there, whoever calls `release` frees it, holder or not.
    """

    def __init__(self, runtime: Runtime, name: str) -> None:
        self._mutex = runtime.mutex(name)

    async def acquire(self) -> None:
        """Wait for the mutex."""
        await self._mutex.__aenter__()

    async def release(self) -> None:
        """Free it; this never waits."""
        await self._mutex.__aexit__(None, None, None)


class Pool:
    """So many permits: the connections of a pool, or a semaphore. Built from one mutex.

    Whoever takes the last permit keeps the gate shut until one comes back.
    """

    def __init__(self, runtime: Runtime, name: str, size: int) -> None:
        self._gate = HandLock(runtime, name)
        self._free = runtime.cell(f"{name} permits", lambda: size)

    @asynccontextmanager
    async def permit(self) -> AsyncIterator[None]:
        """Hold one permit."""
        await self._gate.acquire()
        self._free.value -= 1
        if self._free.value:
            await self._gate.release()
        try:
            yield
        finally:
            self._free.value += 1
            if self._free.value == 1:
                await self._gate.release()


@asynccontextmanager
async def transaction(store: Store, level: Level) -> AsyncIterator[None]:
    """Commit at the end, roll back on any error. `begin` and `commit` may be cut off too."""
    try:
        await store.begin(level)
        yield
        await store.commit()
    except BaseException:
        await store.rollback()
        raise


class Immediate:
    """BEGIN IMMEDIATE around read, apply, write: the writer's lock is taken before the snapshot."""

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        async with transaction(store, "immediate"):
            return await read_apply_write(call, store)


class CompareAndSet:
    """Optimistic: a write that holds only if the versions are those that were read."""

    ATTEMPTS_MAX = 3

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        for _ in range(self.ATTEMPTS_MAX):
            seen = await store.read(call.accounts, call.key)
            if seen.earlier is not None:
                return seen.earlier.answer(call)
            try:
                return await store.write(call, changes(call, seen.rows), if_version=True)
            except VersionChanged:
                continue
        raise Conflict(f"others kept changing {', '.join(call.accounts)}", "try again")
