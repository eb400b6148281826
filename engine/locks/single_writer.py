"""One writer for each shard of accounts: callers queue, and their calls are committed in groups.

Group commit: while a group is being committed the next one gathers, so the busier it is, the fewer
commits each call costs. The writer runs beside its callers, who come and go: one that is cancelled
takes its call out of the queue, or, where the call is under way already, goes once it has landed.
Nobody else's answer depends on it. Several processes have a writer each, and their groups are
database transactions, so they stay right beside each other.
"""

from typing import NamedTuple
from zlib import crc32

from engine.errors import StoreUnavailable
from engine.history import Receipt
from engine.locks.body import UNDONE, retried
from engine.operations import Operation
from engine.ports import Call, Mutex, Runtime, Store

BATCH_MAX = 256
# SQLite has one writer anyway; elsewhere shards commit beside each other.
SHARDS = {"sqlite": 1, "postgres": 4}


class _Waiting(NamedTuple):
    """A call in the queue. Its `gate` is closed until its answer is there."""

    id: str
    operation: Operation
    key: str | None
    gate: Mutex


class SingleWriter:
    """The first call to find no writer at work starts one, which goes when the queue is empty."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._answers = runtime.cell("answers", dict[str, Receipt | Exception])

    async def run(self, call: Call, store: Store) -> Receipt:
        shard = crc32(call.accounts[0].encode()) % SHARDS[store.dialect]
        queue = self._runtime.cell(f"queue {shard}", list[_Waiting]).value
        at_work = self._runtime.cell(f"writer {shard} at work", bool)
        waiting = _Waiting(call.id, call.operation, call.key, self._runtime.mutex("its gate"))
        await waiting.gate.__aenter__()
        queue.append(waiting)
        if not at_work.value:
            at_work.value = True
            self._runtime.spawn(self._write(shard, store))
        try:
            async with waiting.gate:
                answer = self._answers.value.pop(call.id)
        except BaseException:
            await self._leave(queue, waiting)
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _leave(self, queue: list[_Waiting], waiting: _Waiting) -> None:
        """Cancelled: what nobody has begun is not begun, what is under way is waited out."""
        if waiting in queue:
            queue.remove(waiting)
            await waiting.gate.__aexit__(None, None, None)
        else:
            async with waiting.gate:
                self._answers.value.pop(waiting.id, None)

    async def _write(self, shard: int, store: Store) -> None:
        """Commit group after group until the queue is empty."""
        queue = self._runtime.cell(f"queue {shard}", list[_Waiting]).value
        at_work = self._runtime.cell(f"writer {shard} at work", bool)
        try:
            while queue:
                group = queue[:BATCH_MAX]
                del queue[:BATCH_MAX]
                await self._commit(group, store)
        finally:
            at_work.value = False

    async def _commit(self, group: list[_Waiting], store: Store) -> None:
        calls = tuple(Call(each.id, each.operation, each.key) for each in group)
        # What they are told if the writer itself is ended, with its service.
        stopped = StoreUnavailable("the writer was stopped", "ask what has happened")
        answers: tuple[Receipt | Exception, ...] = (stopped,) * len(group)
        try:
            answers = await retried(self._runtime, lambda: store.group(calls), UNDONE)
        except Exception as failed:  # it is each caller's to bear, and the writer goes on
            answers = (failed,) * len(group)
        finally:
            for each, answer in zip(group, answers, strict=True):
                self._answers.value[each.id] = answer
                await each.gate.__aexit__(None, None, None)
