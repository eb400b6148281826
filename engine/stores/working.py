"""Work inside the locked section, such as the order check or remote call that real code makes.

It sits before the statement that writes: between the read and the write it costs whoever waits for
the strategy's lock, inside a transaction the rows or the write lock that it holds, and before
`guarded` or `group`, which check and write in one, nobody but the callers themselves.
"""

from collections.abc import Awaitable, Callable, Mapping

from engine.errors import WalletraceError
from engine.history import Receipt
from engine.ports import Call, Change, Dialect, Level, RowLocking, Snapshot, Store


class Working:
    """A Store whose every write comes after `work`, say `partial(asyncio.sleep, 0.002)`."""

    def __init__(self, inner: Store, work: Callable[[], Awaitable[None]]) -> None:
        self._inner = inner
        self._work = work

    @property
    def dialect(self) -> Dialect:
        return self._inner.dialect

    async def read(
        self, accounts: tuple[str, ...], key: str | None = None, *, lock: RowLocking = ""
    ) -> Snapshot:
        return await self._inner.read(accounts, key, lock=lock)

    async def write(
        self,
        call: Call,
        changes: tuple[Change, ...],
        *,
        if_version: bool = False,
        fence: Mapping[str, int] | None = None,
    ) -> Receipt:
        await self._work()
        return await self._inner.write(call, changes, if_version=if_version, fence=fence)

    async def take(self, key: str, owner: str) -> int:
        return await self._inner.take(key, owner)

    async def give(self, key: str, owner: str) -> None:
        await self._inner.give(key, owner)

    async def decide(self, key: str, value: str) -> str:
        return await self._inner.decide(key, value)

    async def guarded(self, call: Call) -> Receipt:
        await self._work()
        return await self._inner.guarded(call)

    async def group(self, calls: tuple[Call, ...]) -> tuple[Receipt | WalletraceError, ...]:
        await self._work()
        return await self._inner.group(calls)

    async def advisory(self, keys: tuple[str, ...]) -> None:
        await self._inner.advisory(keys)

    async def begin(self, level: Level, *, nowait: bool = False) -> None:
        await self._inner.begin(level, nowait=nowait)

    async def commit(self) -> None:
        await self._inner.commit()

    async def rollback(self) -> None:
        await self._inner.rollback()
