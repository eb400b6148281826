"""Lock strategies that keep their memory where no explorer can see it, each in another place.

Each forgets its mutex for a call of A that comes after one of B.
"""

import array
import functools
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from engine.ports import Call
from tests.engine.explore.both_ways import Sometimes

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
    @functools.cache  # noqa: B019
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
