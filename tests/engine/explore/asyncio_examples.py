"""Lock strategies that users would write with asyncio's own means, right and wrong ones."""

import asyncio
from collections import defaultdict

from engine.errors import Timeout
from engine.history import Receipt
from engine.locks.body import leased, read_apply_write
from engine.operations import Batch
from engine.ports import Call, Runtime, Store


class OneLock:
    """An asyncio.Lock for everybody: right within one service instance."""

    def __init__(self, runtime: Runtime) -> None:
        self.lock = asyncio.Lock()

    async def run(self, call: Call, store: Store) -> Receipt:
        async with self.lock:
            return await read_apply_write(call, store)


class LockForEachUser:
    """asyncio.Lock for each account, in the order the caller wrote them: opposite ones deadlock."""

    def __init__(self, runtime: Runtime) -> None:
        self.locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def run(self, call: Call, store: Store) -> Receipt:
        first, *more = call.operation.written
        async with self.locks[first]:
            for other in more:
                async with self.locks[other]:
                    return await read_apply_write(call, store)
            return await read_apply_write(call, store)


class TwoAtOnce(OneLock):
    """A semaphore of two taken for a mutex."""

    def __init__(self, runtime: Runtime) -> None:
        self.lock = asyncio.Semaphore(2)  # type: ignore[assignment]


class SingleWriter:
    """All calls go through a queue to one worker task, which is started when first needed."""

    def __init__(self, runtime: Runtime) -> None:
        self.queue: asyncio.Queue[tuple[Call, Store, asyncio.Future[Receipt]]] = asyncio.Queue()
        self.worker: asyncio.Task[None] | None = None

    async def run(self, call: Call, store: Store) -> Receipt:
        if self.worker is None:
            self.worker = asyncio.create_task(self.work())
        answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self.queue.put_nowait((call, store, answer))
        return await answer

    async def work(self) -> None:
        while True:
            call, store, answer = await self.queue.get()
            try:
                answer.set_result(await read_apply_write(call, store))
            except Exception as error:
                answer.set_exception(error)


class GoesOnWithoutTheLock:
    """A timeout around the lock only, and whoever comes too late goes on all the same."""

    def __init__(self, runtime: Runtime) -> None:
        self.lock = asyncio.Lock()

    async def run(self, call: Call, store: Store) -> Receipt:
        try:
            async with asyncio.timeout(5):
                await self.lock.acquire()
        except TimeoutError:
            return await read_apply_write(call, store)
        try:
            return await read_apply_write(call, store)
        finally:
            self.lock.release()


class ReleasesWhatItHasNot(OneLock):
    """Who runs out of time releases the lock on the way out, whoever holds it."""

    async def run(self, call: Call, store: Store) -> Receipt:
        try:
            async with asyncio.timeout(5):
                await self.lock.acquire()
            return await read_apply_write(call, store)
        except TimeoutError:
            raise Timeout("the lock did not come free", "ask again") from None
        finally:
            if self.lock.locked():
                self.lock.release()


class TimeoutAroundAll:
    """A lease, and a timeout around taking and using it: right, since the fence decides."""

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        try:
            async with asyncio.timeout(1), leased(store, call.accounts, call.id) as fence:
                return await read_apply_write(call, store, fence=fence)
        except TimeoutError:
            raise Timeout("too slow", "ask again") from None


class LegsInParallel:
    """The legs of a batch side by side in a TaskGroup, each a write of its own."""

    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        assert isinstance(call.operation, Batch)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(read_apply_write(Call(f"{call.id}.{number}", leg), store))
                for number, leg in enumerate(call.operation.legs)
            ]
        return Receipt(call.id, tuple(entry for task in tasks for entry in task.result().entries))


class FlagAcrossSleep:
    """Looks at a flag, lets others go first, then sets it."""

    def __init__(self, runtime: Runtime) -> None:
        self.busy = False

    async def run(self, call: Call, store: Store) -> Receipt:
        while self.busy:  # noqa: ASYNC110  (what users write)
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.busy = True
        try:
            return await read_apply_write(call, store)
        finally:
            self.busy = False


class Spins:
    """A flag that is looked at and set in one go: right, if wasteful. `pause_s` between looks."""

    pause_s: float = 0

    def __init__(self, runtime: Runtime) -> None:
        self.busy = False

    async def run(self, call: Call, store: Store) -> Receipt:
        while self.busy:  # noqa: ASYNC110  (what users write)
            await asyncio.sleep(self.pause_s)
        self.busy = True
        try:
            return await read_apply_write(call, store)
        finally:
            self.busy = False


class Polls(Spins):
    """As `Spins`, with a real pause."""

    pause_s = 0.01


class NeverFree(Spins):
    """Waits for a flag that nobody ever takes down."""

    def __init__(self, runtime: Runtime) -> None:
        self.busy = True


class GivesUp(Polls):
    """Asks five times whether the flag is down, then gives up."""

    def __init__(self, runtime: Runtime) -> None:
        self.busy = True

    async def run(self, call: Call, store: Store) -> Receipt:
        for _ in range(5):
            if not self.busy:
                break
            await asyncio.sleep(self.pause_s)
        else:
            raise Timeout("the flag is still up", "ask again")
        return await read_apply_write(call, store)


class HandsOver:
    """One at a time by asyncio.Condition."""

    def __init__(self, runtime: Runtime) -> None:
        self.turn = asyncio.Condition()
        self.busy = False

    async def run(self, call: Call, store: Store) -> Receipt:
        async with self.turn:
            await self.turn.wait_for(lambda: not self.busy)
            self.busy = True
        try:
            return await read_apply_write(call, store)
        finally:
            async with self.turn:
                self.busy = False
                self.turn.notify()


class WaitsFor(OneLock):
    """asyncio.wait_for around a call that is shielded from its own timeout."""

    async def run(self, call: Call, store: Store) -> Receipt:
        work = asyncio.ensure_future(super().run(call, store))
        try:
            return await asyncio.wait_for(asyncio.shield(work), 3)
        except TimeoutError:
            return await work


class NeverReleases(OneLock):
    """Forgets to release its lock."""

    async def run(self, call: Call, store: Store) -> Receipt:
        await self.lock.acquire()
        return await read_apply_write(call, store)


class DiesBeside(OneLock):
    """Starts a task that fails, and never looks at it again."""

    async def run(self, call: Call, store: Store) -> Receipt:
        self.task = asyncio.create_task(self.die())
        async with self.lock:
            return await read_apply_write(call, store)

    async def die(self) -> None:
        await asyncio.sleep(0)
        raise ValueError("nobody hears this")


class SharedByAll(OneLock):
    """Keeps its lock in the class."""

    forever = asyncio.Lock()

    def __init__(self, runtime: Runtime) -> None:
        self.lock = self.forever


RIGHT = [
    OneLock,
    LockForEachUser,
    SingleWriter,
    Spins,
    Polls,
    HandsOver,
    WaitsFor,
]
WRONG = [GoesOnWithoutTheLock, FlagAcrossSleep]
SMALL = [*RIGHT, *WRONG, NeverReleases, DiesBeside]
EVERY = [*SMALL, TimeoutAroundAll]
