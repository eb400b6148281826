"""What every strategy that locks does under its lock: read, apply, write."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from engine.errors import SystemFault
from engine.history import Receipt
from engine.ports import Call, Change, Row, Store


def changes(call: Call, rows: Mapping[str, Row]) -> tuple[Change, ...]:
    """The new absolute balances, computed from `rows`; raises what `apply` raises."""
    after = call.operation.apply({account: row.balance for account, row in rows.items()})
    absent = Row(0, 0)
    return tuple(
        Change(account, (row := rows.get(account, absent)).balance, after[account], row.version)
        for account in sorted(after)
    )


async def read_apply_write(
    call: Call, store: Store, *, if_version: bool = False, fence: Mapping[str, int] | None = None
) -> Receipt:
    """The balance is read here, from the database, and never taken from a cache.

    The key is looked up in the same snapshot as the balances: a look-up of its own, before, would
    answer "insufficient funds" to a success that landed between the two.
    """
    seen = await store.read(call.accounts, call.key)
    if seen.earlier is not None:
        return seen.earlier.answer(call)
    return await store.write(call, changes(call, seen.rows), if_version=if_version, fence=fence)


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
