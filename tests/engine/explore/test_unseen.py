"""Memory that the explorer cannot see: noticed, told, and explored another way; never called safe.

Each strategy forgets its mutex when the second client comes first. Real runs drawn by luck would
find that too; so the refusal must say what was seen, not that a run came out otherwise.
"""

import itertools
from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal

import pytest

from engine.catalog import MakeLock
from engine.explore.frozen import Unfit
from engine.explore.plan import Counts
from engine.explore.unseen import changed, outline
from engine.history import Receipt
from engine.locks.body import read_apply_write
from engine.ports import Call, Runtime, Store
from engine.verdicts import Verdict
from tests.engine.explore.both_ways import (
    adds,
    by_brute_force,
    by_graph,
    by_plan,
    setting_of,
    summary,
    withdraws,
)
from tests.engine.explore.unseen_memory import UNSEEN


@pytest.mark.parametrize("make_lock", UNSEEN)
def test_memory_out_of_sight_is_refused_by_the_graph_and_explored_otherwise(
    make_lock: MakeLock,
) -> None:
    setting = setting_of(make_lock, withdraws(), adds())
    with pytest.raises(Unfit) as refused:
        by_graph(setting)
    assert "real run" not in str(refused.value)
    by_force = by_brute_force(setting)
    assert by_force.verdict is Verdict.BROKEN
    planned = by_plan(setting)
    assert summary(planned) == summary(by_force)
    assert planned.method == "schedule by schedule"
    assert str(refused.value) in planned.note


@pytest.mark.parametrize("make_lock", UNSEEN)
def test_memory_out_of_sight_is_not_safe_when_nothing_is_counted(make_lock: MakeLock) -> None:
    setting = setting_of(make_lock, withdraws(), adds())
    assert by_plan(setting, counts=Counts.NONE).verdict is Verdict.BROKEN


class SharesWithWorkBeside:
    """What the work beside has done, its parent sees in a variable of both."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.mutex = runtime.mutex("m")

    async def run(self, call: Call, store: Store) -> Receipt:
        done = False

        async def beside() -> None:
            nonlocal done
            await store.read(call.accounts)
            done = True

        self.runtime.spawn(beside())
        await self.runtime.backoff(0)
        if done:
            return await read_apply_write(call, store)
        async with self.mutex:
            return await read_apply_write(call, store)


class HandsWorkAList(SharesWithWorkBeside):
    """The same with a list that is handed over."""

    async def run(self, call: Call, store: Store) -> Receipt:
        done: list[bool] = []

        async def beside(done: list[bool]) -> None:
            await store.read(call.accounts)
            done.append(True)

        self.runtime.spawn(beside(done))
        await self.runtime.backoff(0)
        if done:
            return await read_apply_write(call, store)
        async with self.mutex:
            return await read_apply_write(call, store)


@pytest.mark.parametrize("make_lock", [SharesWithWorkBeside, HandsWorkAList])
def test_what_work_beside_shares_with_its_parent_is_noticed(make_lock: MakeLock) -> None:
    with pytest.raises(Unfit, match=r"keeps memory outside Runtime\.cell"):
        by_graph(setting_of(make_lock, withdraws(), adds()))


@dataclass
class Box:
    """An object with a memory."""

    held: object


def test_an_outline_tells_values_that_are_equal_but_not_the_same() -> None:
    told = {outline(Box(held)) for held in (1, True, 1.0, Decimal(1), Decimal("1.0"))}
    assert len(told) >= 3
    assert outline(Box(Decimal(1))) != outline(Box(Decimal("1.0")))
    assert outline(Box(OrderedDict(a=1, b=2))) != outline(Box(OrderedDict(b=2, a=1)))


def test_something_that_begins_to_hide_what_it_holds_has_changed() -> None:
    box = Box(None)
    watched = [(box, outline(box))]
    assert not changed(watched)
    box.held = itertools.count()
    assert changed(watched)


def test_a_circle_of_objects_has_an_outline() -> None:
    box = Box(None)
    box.held = box
    assert outline(box) == outline(box)
