"""Clients as automata: where one stands is a function of what it has been answered so far.

A `Node` is such a place, with the step that is announced there. Its children are found by what it
is answered, and by its instance's memory where the code looked at that. The real coroutine runs
only the first time a place is reached; from then on its behaviour is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.explore.frozen import MutexId, Unfit
from engine.explore.independence import Learned, Thing, things_of
from engine.explore.recall import UNCHANGED, Item, Memory
from engine.explore.solo import NOT_THE_SAME, Answered, Resumed, Solo, same
from engine.explore.steps import Step
from engine.explore.world import Setting
from engine.history import CallRecord


class Node:
    """Where a client stands. `order` is its place among the clients, `step` what it does next."""

    __slots__ = (
        *("after", "background", "backoffs", "calls", "ended", "fault", "instance", "kids"),
        *("name", "order", "origin", "rested", "shielded", "solos", "step", "things", "tired"),
        "via",
    )

    name: str
    order: int
    step: Step | None
    instance: int | None
    background: bool
    shielded: bool
    after: tuple[int, ...]
    ended: bool
    fault: str
    calls: tuple[CallRecord, ...]
    # What connects each of them with others' calls.
    things: tuple[tuple[Thing, ...], ...]
    backoffs: int
    # A back-off can be taken once another client has moved since: then it is at `rested`.
    tired: bool
    rested: "Node | None"
    # Where it comes from: a client's beginning, work beside, or another node by way of an answer.
    origin: "int | Birth | Node"
    via: tuple[Any, Memory] | None
    kids: "Kids"
    solos: list[Solo]


@dataclass(frozen=True, slots=True, eq=False)
class Birth:
    """Background work that began when `parent` was resumed with `given`, the `number`-th then."""

    parent: "Node | Birth"
    order: int
    given: Any
    memory: Memory
    number: int
    kids: "Kids" = field(default_factory=dict)


# Not frozen as other values are: so many are made that it could be felt.
@dataclass(slots=True, eq=False)
class Outcome:
    """What a resumption did, where it leads to, and the work beside that it began. Exists once."""

    did: Resumed
    node: Node
    births: Sequence[Birth]


@dataclass(slots=True, eq=False)
class Look:
    """What comes next depends on what this item of memory holds."""

    item: Item
    kids: "Kids"


# By what a client was answered, or by what it found in memory: the next look, or the outcome.
Kids = dict[object, Outcome | Look]


class Automaton:
    """All places of all clients of one setting, as far as they have been reached."""

    def __init__(self, setting: Setting, learned: Learned) -> None:
        self._setting = setting
        self._learned = learned
        self._names = {p.name: number for number, p in enumerate(setting.scenario.programs)}
        self._ends: dict[object, Node] = {}
        self._solos: dict[Solo, None] = {}
        self._places: list[Node] = []
        self.runs = 0
        self.backoffs_max = 0
        # Somebody backs off, or waits for others to end: readiness then asks for all clients.
        self.particular = False
        self.roots = tuple(self._root(number) for number in range(len(self._names)))

    def resume(self, node: Node, given: Any, memory: Memory, *, shield: bool) -> Outcome:
        """Where the client stands after it was given that: an answer, or an exception to raise."""
        key = (type(given), given.args) if isinstance(given, BaseException) else given
        if shield:
            key = key, shield
        known = _known(node.kids, key, memory)
        if known is None:
            known = self._run(node, key, given, memory, shield=shield)
        return known

    def born(self, birth: Birth, memory: Memory) -> Outcome:
        """Where background work stands when it has just begun."""
        known = _known(birth.kids, None, memory)
        if known is None:
            known = self._run(birth, None, None, memory, shield=False)
        return known

    def killed(self, node: Node) -> tuple[Node, tuple[MutexId, ...]]:
        """The client's end when its service instance crashes, and the mutexes that it lets go."""
        solo = self._solo(node)
        freed = solo.end()
        return self._end(_copy(node), solo), freed

    def swept(self, node: Node, memory: Memory) -> Mapping[Item, Any]:
        """What changes in memory when the client's instance forgets its idle locks."""
        assert node.instance is not None
        solo = self._solo(node)
        changed = solo.sweep(node.instance, memory)
        node.solos.append(solo)
        return changed

    def close(self) -> None:
        """End all coroutines, and let go of all places at once: they refer to each other."""
        for solo in list(self._solos):
            self._let_go(solo)
        for node in self._places:
            node.kids.clear()
        self._places.clear()

    def _root(self, number: int) -> Node:
        solo = self._begin(number)
        solo.resume(None, {})
        program = self._setting.scenario.programs[number]
        node = Node()
        node.name, node.order, node.background = program.name, number, False
        node.after = tuple(self._names[name] for name in program.after)
        self.particular = self.particular or bool(node.after)
        node.shielded, node.backoffs = False, 0
        node.origin, node.via = number, None
        return self._end(node, solo) if solo.lane.ended else self._place(node, solo)

    def _begin(self, number: int) -> Solo:
        solo = Solo(self._setting, number, self._learned)
        self._solos[solo] = None
        self.runs += 1
        return solo

    def _let_go(self, solo: Solo) -> None:
        """The coroutine is no longer wanted. It and its stage refer to each other."""
        solo.end()
        vars(solo).clear()
        del self._solos[solo]

    def _run(
        self, origin: "Node | Birth", key: object, given: Any, memory: Memory, *, shield: bool
    ) -> Outcome:
        solo = self._solo(origin)
        did = solo.resume(given, memory)
        node = Node()
        node.name, node.order, node.background = solo.lane.name, origin.order, solo.lane.background
        node.after, node.shielded, node.backoffs = (), shield, 0
        if isinstance(origin, Node):
            node.shielded = shield or origin.shielded
            node.backoffs = origin.backoffs
        node.origin, node.via = origin, (given, memory)
        births: Sequence[Birth] = ()
        if did.births:
            births = [Birth(origin, node.order, given, memory, n) for n in range(did.births)]
        if solo.lane.ended:
            outcome = Outcome(did, self._end(node, solo), births)
            self._let_go(solo)
        else:
            outcome = Outcome(did, self._place(node, solo), births)
        _learn(origin.kids, key, did.looked, outcome)
        return outcome

    def _solo(self, at: "Node | Birth") -> Solo:
        """A coroutine that stands there: one that was left there, or one that is brought there."""
        if isinstance(at, Birth):
            solo = self._solo(at.parent)
            solo.replay(at.given, at.memory)
            solo.become(at.number)
            return solo
        if at.solos:
            return at.solos.pop()
        ahead: list[Answered] = []
        node = at
        while isinstance(node.origin, Node) and not node.solos:
            assert node.origin.step is not None
            assert node.via is not None
            ahead.append((node.origin.step, *node.via))
            node = node.origin
        given, memory = node.via or (None, {})
        if node.solos:
            solo = node.solos.pop()
            _, given, memory = ahead.pop()
        elif isinstance(node.origin, Birth):
            solo = self._solo(node.origin)
        else:
            assert isinstance(node.origin, int)
            solo = self._begin(node.origin)
        solo.replay(given, memory, ahead)
        if not same(solo.lane.pending, at.step):
            raise Unfit(NOT_THE_SAME)
        return solo

    def _place(self, node: Node, solo: Solo) -> Node:
        lane = solo.lane
        node.step, node.instance = lane.pending, lane.instance
        node.ended, node.fault, node.calls = False, "", solo.calls
        node.things = _things(node.calls)
        node.kids, node.solos = {}, [solo]
        node.tired, node.rested = node.step is not None and node.step.kind == "backoff", None
        if node.tired:
            self.particular = True
            node.backoffs += 1
            self.backoffs_max = max(self.backoffs_max, node.backoffs)
            node.rested = _rested(node)
        self._places.append(node)
        return node

    def _end(self, node: Node, solo: Solo) -> Node:
        """One place for all ends with the same calls: what led there no longer matters."""
        calls = solo.calls
        # Their times are left out: the past says what was before what.
        said = tuple((c.request, c.outcome, c.code, c.answer, c.key) for c in calls)
        key = (node.name, said, solo.lane.fault)
        known = self._ends.get(key)
        if known is not None:
            return known
        node.step, node.instance, node.ended, node.tired = None, None, True, False
        node.fault, node.calls, node.things = solo.lane.fault, calls, _things(calls)
        node.kids, node.solos, node.rested = {}, [], None
        self._ends[key] = node
        return node


def _things(calls: Sequence[CallRecord]) -> tuple[tuple[Thing, ...], ...]:
    return tuple([things_of(call.request, call.key) for call in calls]) if calls else ()


def awake(node: Node) -> Node:
    """The place as it is once somebody else has moved."""
    return node.rested or node


def _known(kids: Kids, key: object, memory: Memory) -> Outcome | None:
    found = kids.get(key)
    while isinstance(found, Look):
        found = found.kids.get(memory.get(found.item, UNCHANGED))
    return found


def _learn(kids: Kids, key: object, looked: Mapping[Item, Any], outcome: Outcome) -> None:
    """Keep the outcome under what led to it. The first look is always the same, the second one
    depends on what was found then, and so on."""
    for item, value in looked.items():
        look = kids.setdefault(key, Look(item, {}))
        if not isinstance(look, Look) or look.item != item:
            raise Unfit(NOT_THE_SAME)
        kids, key = look.kids, value
    kids[key] = outcome


def _rested(node: Node) -> Node:
    twin = _copy(node)
    twin.tired = False
    return twin


def _copy(node: Node) -> Node:
    twin = Node()
    for name in Node.__slots__:
        setattr(twin, name, getattr(node, name))
    return twin
