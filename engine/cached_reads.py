"""Balances for questions: from the cache first, and never a stale one within one service instance.

Mutations do not come here: they read the database under their lock. They only tell this module
what they are about to change. While a change is under way its accounts are *doubtful* and read from
the database. After the commit the cache is refreshed beside the answer, which does not wait; the
version decides, so that a late refresh never replaces a newer balance. If the cache fails, it is
left alone until every entry it might still hold has expired.
"""

import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from engine.errors import BusinessError, CacheUnavailable, SystemFault
from engine.history import Receipt
from engine.ports import Cache, Monitor, Row, Runtime, Store

Changed = Callable[[Receipt], None]
log = logging.getLogger("walletrace.cache")


class BalanceReads(Protocol):
    """How the wallet reads balances for questions, and tells that it changes some."""

    async def row(self, account: str) -> Row | None:
        """The wallet's row, or None where there is no such wallet."""
        ...

    def changing(self, accounts: tuple[str, ...]) -> AbstractContextManager[Changed]:
        """Bracket a change of `accounts`; call what it yields with the receipt of this change."""
        ...


async def _read(store: Store, account: str) -> Row | None:
    return (await store.read((account,))).rows.get(account)


class DirectReads:
    """No cache: every question reads the database."""

    def __init__(self, sessions: Callable[[], Store]) -> None:
        self._sessions = sessions

    async def row(self, account: str) -> Row | None:
        return await _read(self._sessions(), account)

    @contextmanager
    def changing(self, accounts: tuple[str, ...]) -> Iterator[Changed]:
        yield lambda receipt: None


class CachedReads:
    """Cache first."""

    def __init__(
        self,
        cache: Cache,
        sessions: Callable[[], Store],
        runtime: Runtime,
        monitor: Monitor | None = None,
    ) -> None:
        self._cache = cache
        self._sessions = sessions
        self._runtime = runtime
        self._monitor = monitor
        self._doubts = runtime.cell("doubts", dict[str, int])
        self._distrusted_until_ms = runtime.cell("distrusted until", int)

    async def row(self, account: str) -> Row | None:
        if self._trusted(account):
            try:
                row = await self._cache.get(account)
                self._count("miss" if row is None else "hit")
                # Asked again after the wait: a change may have begun meanwhile.
                if row is not None and self._trusted(account):
                    return row
            except CacheUnavailable as error:
                self._failed(error)
        row = await _read(self._sessions(), account)
        if row is not None and self._trusted(account):
            await self._put(account, row)
        return row

    @contextmanager
    def changing(self, accounts: tuple[str, ...]) -> Iterator[Changed]:
        doubts = self._doubts.value
        for account in accounts:
            doubts[account] = doubts.get(account, 0) + 1
        receipts: list[Receipt] = []
        try:
            yield receipts.append
        except BusinessError:
            self._settle(accounts)
            raise
        except BaseException:
            # Nobody knows whether it happened: the database does.
            self._beside(lambda: self._reread(accounts), accounts)
            raise
        else:
            if receipts:
                self._beside(lambda: self._refresh(receipts[0]), accounts)
            else:
                self._beside(lambda: self._reread(accounts), accounts)

    def _beside(
        self, work: Callable[[], Coroutine[Any, Any, None]], accounts: tuple[str, ...]
    ) -> None:
        async def settle_after() -> None:
            try:
                await work()
            finally:
                self._settle(accounts)

        self._runtime.spawn(settle_after())

    async def _refresh(self, receipt: Receipt) -> None:
        for entry in receipt.entries:
            await self._put(entry.account, Row(entry.after, entry.version))

    async def _reread(self, accounts: tuple[str, ...]) -> None:
        try:
            rows = (await self._sessions().read(accounts)).rows
        except SystemFault as error:
            self._failed(error)
            return
        for account, row in rows.items():
            await self._put(account, row)

    async def _put(self, account: str, row: Row) -> None:
        try:
            await self._cache.put(account, row)
        except CacheUnavailable as error:
            self._failed(error)

    def _trusted(self, account: str) -> bool:
        return (
            account not in self._doubts.value
            and self._runtime.now_ms() >= self._distrusted_until_ms.value
        )

    def _settle(self, accounts: tuple[str, ...]) -> None:
        doubts = self._doubts.value
        for account in accounts:
            doubts[account] -= 1
            if not doubts[account]:
                del doubts[account]

    def _failed(self, error: SystemFault) -> None:
        self._distrusted_until_ms.value = self._runtime.now_ms() + int(self._cache.ttl_s * 1000) + 1
        log.warning("cache failed, reading the database instead: %s", error)
        self._count("failed")

    def _count(self, event: Any) -> None:
        if self._monitor is not None:
            self._monitor.cache(event)
