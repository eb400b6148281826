"""Mistakes in the code under test are its failures, told with their line; never ours."""

import asyncio
from contextvars import ContextVar

import pytest

from engine.explore.cells import worlds
from engine.explore.client import Parts
from engine.explore.faults import Faults
from engine.explore.plan import Task, explore_task
from engine.explore.search import Budget, Explored
from engine.explore.world import Setting
from engine.history import Receipt
from engine.locks.body import read_apply_write
from engine.ports import Call, Runtime, Store
from engine.verdicts import Break, Verdict
from scenarios.catalogue import SCENARIOS

BOTH = pytest.mark.parametrize("store", ["memory", "sqlite"])
HELD: ContextVar[bool] = ContextVar("held", default=False)


def found(lock: type, store: str, faults: str = "") -> Explored:
    setting = Setting(SCENARIOS["documented-race"], "one-service", Parts(lock))

    async def explored() -> Explored:
        async with worlds(setting, store) as open_world:
            graph = store == "memory"
            task = Task(setting, open_world, graph, Faults.parse(faults), Budget())
            return await explore_task(task)

    return asyncio.run(explored())


class ReadsACall:
    def __init__(self, runtime: Runtime) -> None:
        pass

    async def run(self, call: Call, store: Store) -> Receipt:
        return await store.read(call)  # type: ignore[arg-type,return-value]


class WritesADict(ReadsACall):
    async def run(self, call: Call, store: Store) -> Receipt:
        return await store.write(call, {"alice": 1})  # type: ignore[arg-type]


class Exits(ReadsACall):
    async def run(self, call: Call, store: Store) -> Receipt:
        raise SystemExit(5)


@BOTH
@pytest.mark.parametrize(
    ("lock", "says"),
    [
        (ReadsACall, "TypeError: read takes a tuple of account names"),
        (WritesADict, "TypeError: write takes a Call and a tuple of Changes"),
        (Exits, "SystemExit: 5 (test_own_mistakes.py:"),
    ],
)
def test_a_mistake_is_a_client_that_failed(lock: type, says: str, store: str) -> None:
    broken = found(lock, store)
    assert (broken.verdict, broken.kinds) == (Verdict.BROKEN, (Break.LIVENESS,))
    assert broken.witness is not None
    assert says in broken.witness.explanation


class ReentrantByContext:
    """Knows by a context variable that this client holds the mutex already."""

    def __init__(self, runtime: Runtime) -> None:
        self.mutex = runtime.mutex("once")

    async def run(self, call: Call, store: Store) -> Receipt:
        if HELD.get():
            return await read_apply_write(call, store)
        async with self.mutex:
            token = HELD.set(True)
            try:
                return await self.run(call, store)
            finally:
                HELD.reset(token)


@BOTH
@pytest.mark.parametrize(("faults", "interleavings"), [("", 10), ("cancel=1", 98)])
def test_each_client_has_context_variables_of_its_own(
    faults: str, interleavings: int, store: str
) -> None:
    safe = found(ReentrantByContext, store, faults)
    assert (safe.verdict, safe.interleavings) == (Verdict.SAFE, interleavings)
