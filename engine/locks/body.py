"""What lock strategies share: read, apply, write; leases and transactions around it; retries."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TypeVar

from engine.errors import Conflict, DeadlockVictim, SerializationFailed, SystemFault
from engine.history import Receipt
from engine.ports import Call, Change, Level, Row, RowLocking, Runtime, Store, applied

T = TypeVar("T")

RETRIES_MAX = 10
# What a database answers once it has undone a whole transaction.
UNDONE = (SerializationFailed, DeadlockVictim)


def changes(call: Call, rows: Mapping[str, Row]) -> tuple[Change, ...]:
    """The new absolute balances, computed from `rows`; raises what `apply` raises."""
    after = applied(call.operation, rows)
    absent = Row(0, 0)
    return tuple(
        Change(account, (row := rows.get(account, absent)).balance, after[account], row.version)
        for account in sorted(after)
    )


async def read_apply_write(
    call: Call,
    store: Store,
    *,
    lock: RowLocking = "",
    if_version: bool = False,
    fence: Mapping[str, int] | None = None,
) -> Receipt:
    """The balance is read here, from the database, and never taken from a cache.

    The key is looked up in the same snapshot as the balances: a look-up of its own, before, would
    answer "insufficient funds" to a success that landed between the two.
    """
    seen = await store.read(call.accounts, call.key, lock=lock)
    if seen.earlier is not None:
        return seen.earlier.answer(call)
    return await store.write(call, changes(call, seen.rows), if_version=if_version, fence=fence)


@asynccontextmanager
async def transaction(store: Store, level: Level, *, nowait: bool = False) -> AsyncIterator[None]:
    """Begin, and commit in the end; whatever is raised on the way undoes all of it.

    A commit whose answer is lost is neither undone nor repeated: what it raises says so.
    """
    try:
        # Inside: a begin that was cancelled may have happened.
        await store.begin(level, nowait=nowait)
        yield
        await store.commit()
    except BaseException:
        await store.rollback()
        raise


async def retried(
    runtime: Runtime,
    attempt: Callable[[], Awaitable[T]],
    again: tuple[type[SystemFault], ...],
) -> T:
    """The answer of the first attempt that others do not undo; Conflict after RETRIES_MAX.

    Only what says that nothing was changed may be retried: `again` holds no error that may hide
    a success.
    """
    assert not any(error.may_have_happened for error in again)
    for number in range(RETRIES_MAX):
        try:
            return await attempt()
        except again:
            await runtime.backoff(number)
    raise Conflict(f"others were in the way of all {RETRIES_MAX} attempts", "try again")


@asynccontextmanager
async def leased(store: Store, keys: tuple[str, ...], owner: str) -> AsyncIterator[dict[str, int]]:
    """Leases on all `keys`, in the order given; yields their fencing tokens."""
    fence: dict[str, int] = {}
    # A stack, so that a `give` that is cancelled does not keep the other leases from theirs.
    async with AsyncExitStack() as held:
        for key in keys:
            # Noted before it is asked for: a take that was cancelled may have happened.
            held.push_async_callback(_give, store, key, owner)
            fence[key] = await store.take(key, owner)
        yield fence


async def _give(store: Store, key: str, owner: str) -> None:
    # The write stands whether or not this succeeds: "busy, nothing was changed" would be a lie.
    # A lease that could not be given back runs out by itself.
    with suppress(SystemFault):
        await store.give(key, owner)
