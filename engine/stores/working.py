"""A declared delay inside the locked section: the order check or remote call that real code makes.

It sits between the read and the write, outside any write transaction of the database, so that it
costs whoever waits for the strategy's lock and nobody else.
"""

import asyncio
from collections.abc import Mapping

from engine.history import Receipt
from engine.ports import Call, Change, Level, Snapshot, Store


class Working:
    """A Store whose every write comes `work_s` later."""

    def __init__(self, inner: Store, work_s: float) -> None:
        self._inner = inner
        self._work_s = work_s

    async def read(self, accounts: tuple[str, ...], key: str | None = None) -> Snapshot:
        return await self._inner.read(accounts, key)

    async def write(
        self,
        call: Call,
        changes: tuple[Change, ...],
        *,
        if_version: bool = False,
        fence: Mapping[str, int] | None = None,
    ) -> Receipt:
        await asyncio.sleep(self._work_s)
        return await self._inner.write(call, changes, if_version=if_version, fence=fence)

    async def take(self, key: str, owner: str) -> int:
        return await self._inner.take(key, owner)

    async def give(self, key: str, owner: str) -> None:
        await self._inner.give(key, owner)

    async def decide(self, key: str, value: str) -> str:
        return await self._inner.decide(key, value)

    async def begin(self, level: Level) -> None:
        await self._inner.begin(level)

    async def commit(self) -> None:
        await self._inner.commit()

    async def rollback(self) -> None:
        await self._inner.rollback()
