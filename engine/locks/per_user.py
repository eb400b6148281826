"""One mutex for each account: the guide's cure. Right within one service instance."""

from contextlib import AsyncExitStack

from engine.history import Receipt
from engine.locks.body import read_apply_write
from engine.locks.lock_map import LockMap
from engine.ports import Call, Runtime, Store


class PerUserLock:
    """Locks the accounts of a call in sorted order, each once, and idle locks are swept."""

    def __init__(self, runtime: Runtime) -> None:
        self.locks = LockMap(runtime)

    def in_order(self, call: Call) -> tuple[str, ...]:
        # One order for everybody: two opposite transfers can then never wait for each other.
        return call.accounts

    async def run(self, call: Call, store: Store) -> Receipt:
        async with AsyncExitStack() as held:
            for account in self.in_order(call):
                await held.enter_async_context(self.locks.hold(account))
            return await read_apply_write(call, store)

    def sweep(self, idle_s: float) -> int:
        """Forget idle locks; how many went."""
        return self.locks.sweep(idle_s)


class PerUserUnsortedLock(PerUserLock):
    """A negative control: locks in the order the caller wrote, so opposite transfers deadlock."""

    def in_order(self, call: Call) -> tuple[str, ...]:
        return call.operation.written
