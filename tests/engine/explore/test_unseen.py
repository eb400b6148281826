"""Memory that the explorer cannot see: noticed, told, and explored another way; never called safe.

Each strategy forgets its mutex when the second client comes first. Real runs drawn by luck would
find that too; so the refusal must say what was seen, not that a run came out otherwise.
"""

import array
import functools
import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

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
    Sometimes,
    adds,
    by_brute_force,
    by_graph,
    by_plan,
    setting_of,
    summary,
    withdraws,
)

RARE = "BA"


class InAList(Sometimes):
    def begin(self) -> None:
        self.seen: list[str] = []

    def careless(self, call: Call) -> bool:
        self.seen.append(call.id[0])
        return "".join(self.seen) == RARE


class InADecimal(Sometimes):
    def begin(self) -> None:
        self.seen = Decimal(0)

    def careless(self, call: Call) -> bool:
        self.seen = self.seen * 10 + "AB".index(call.id[0]) + 1
        return self.seen == 21


class Text(str):
    """A plain value's subclass."""


class InASubclass(Sometimes):
    def begin(self) -> None:
        self.seen = Text()

    def careless(self, call: Call) -> bool:
        self.seen = Text(self.seen + call.id[0])
        return self.seen == RARE


class InAnError(Sometimes):
    def begin(self) -> None:
        self.seen = ValueError("")

    def careless(self, call: Call) -> bool:
        self.seen = ValueError(self.seen.args[0] + call.id[0])
        return self.seen.args[0] == RARE


class InPrivateSlots(Sometimes):
    class Box:
        __slots__ = ("__seen",)

        def __init__(self) -> None:
            self.__seen = ""

        def add(self, name: str) -> str:
            self.__seen += name
            return self.__seen

    def begin(self) -> None:
        self.box = self.Box()

    def careless(self, call: Call) -> bool:
        return self.box.add(call.id[0]) == RARE


class InAFunction(Sometimes):
    """`remember` is a function; what it holds on to is the memory."""

    remember: Callable[[str], str]

    def careless(self, call: Call) -> bool:
        return self.remember(call.id[0]) == RARE


class InAClosure(InAFunction):
    def begin(self) -> None:
        seen = ""

        def remember(name: str) -> str:
            nonlocal seen
            seen += name
            return seen

        self.remember = remember


class InADefault(InAFunction):
    def begin(self) -> None:
        def remember(name: str, seen: list[str] = []) -> str:  # noqa: B006
            seen.append(name)
            return "".join(seen)

        self.remember = remember


class InAPartial(InAFunction):
    def begin(self) -> None:
        self.remember = functools.partial(_added, [])


def _added(seen: list[str], name: str) -> str:
    seen.append(name)
    return "".join(seen)


class InAFunctionsAttribute(InAFunction):
    def begin(self) -> None:
        def remember(name: str) -> str:
            of: Any = remember
            of.seen = getattr(of, "seen", "") + name
            return str(of.seen)

        self.remember = remember


class InABoundMethod(InAFunction):
    def begin(self) -> None:
        self.remember = functools.partial(self._through, deque[str]().append)

    @staticmethod
    def _through(append: Any, name: str) -> str:
        append(name)
        return "".join(append.__self__)


class InAMethodsCache(InAFunction):
    @functools.cache
    def box(self) -> list[str]:
        return []

    def careless(self, call: Call) -> bool:
        return _added(self.box(), call.id[0]) == RARE


class InAGenerator(Sometimes):
    def begin(self) -> None:
        self.turns = self.turn()
        next(self.turns)

    def turn(self) -> Iterator[bool]:
        seen = ""
        while True:
            seen += yield seen == RARE  # type: ignore[misc]

    def careless(self, call: Call) -> bool:
        return bool(self.turns.send(call.id[0]))  # type: ignore[attr-defined]


class InACounter(Sometimes):
    def begin(self) -> None:
        self.turns = itertools.count()

    def careless(self, call: Call) -> bool:
        return next(self.turns) == 1 and call.id[0] == "A"


class InAnArray(Sometimes):
    def begin(self) -> None:
        self.seen = array.array("u")

    def careless(self, call: Call) -> bool:
        self.seen.append(call.id[0])
        return self.seen.tounicode() == RARE


class InACellsAlias(InAFunction):
    """Memory in a cell, but a function holds on to what is in it."""

    def begin(self) -> None:
        self.remember = functools.partial(_added, self.runtime.cell("seen", list[str]).value)


class InAListOfACell(Sometimes):
    """A list inside the dict in a cell may change without the cell being told."""

    def careless(self, call: Call) -> bool:
        held = self.runtime.cell("held", dict[str, list[str]]).value
        return _added(held.setdefault("seen", []), call.id[0]) == RARE


class InAReplacedContainer(Sometimes):
    def careless(self, call: Call) -> bool:
        cell = self.runtime.cell("seen", list[str])
        cell.value = [*cell.value, call.id[0]]
        return "".join(cell.value) == RARE


class InAReplacedContainerWhoseRefusalIsLost(InAReplacedContainer):
    """Code that catches everything would also catch the explorer's refusal."""

    def careless(self, call: Call) -> bool:
        try:
            return super().careless(call)
        except Exception:
            return False


class InACellsFirstValue(Sometimes):
    """Who asks first decides what the cell begins with."""

    def careless(self, call: Call) -> bool:
        first = self.runtime.cell("first", lambda: call.id[0]).value
        return first == "B" and call.id[0] != "B"


UNSEEN = [
    *(InAList, InADecimal, InASubclass, InAnError, InPrivateSlots),
    *(InAClosure, InADefault, InAPartial, InAFunctionsAttribute, InABoundMethod, InAMethodsCache),
    *(InAGenerator, InACounter, InAnArray),
    *(InACellsAlias, InAListOfACell, InAReplacedContainer),
    *(InAReplacedContainerWhoseRefusalIsLost, InACellsFirstValue),
]


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
