"""The state graph of a setting: what can happen next, and what each thing leads to.

A state is where every client stands, what they share (database, mutexes, memory, caches), and what
a judge will ask about the past: for each call, which calls had been answered before it was invoked.
Clients that have ended in the same way are one place. So schedules that lead to the same state
share their future, and a question about real-time order still gets its exact answer.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from engine.explore.automaton import Automaton, Birth, Node, Outcome
from engine.explore.faults import Facts, Faults, How, fault_moves, told
from engine.explore.frozen import MutexId, Unfit
from engine.explore.memory import buried, can_go, expired, holds_lease, performed, rolled_back
from engine.explore.solo import CANCELLED, Input, Memory
from engine.explore.steps import Step
from engine.explore.tables import Database, Pairs, lookup, opened, stored
from engine.explore.world import Setting
from engine.ports import Row

CALLS_MAX = 16  # of one client; each call is one bit


class Shared(NamedTuple):
    """What all clients share. `held` are mutexes and who holds them."""

    db: Database
    held: tuple[tuple[MutexId, str], ...] = ()
    memories: tuple[tuple[int, Memory], ...] = ()
    caches: tuple[tuple[int, Pairs[Row]], ...] = ()


class Common:
    """A `Shared` that exists once, with the moves that are known from it."""

    __slots__ = ("memories", "moves", "shared")

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.memories: Mapping[int, Memory] = dict(shared.memories)
        self.moves: dict[Node, Gone | None] = {}


class Past(NamedTuple):
    """The calls answered so far, as bits; for each call those answered before it was invoked
    (calls that began before any answer are left out); and what is left of the faults."""

    done: int
    before: tuple[tuple[int, int], ...]
    faults: Faults


class State(NamedTuple):
    """One place of the whole. Background work that goes on follows the clients, by name."""

    nodes: tuple[Node, ...]
    common: Common
    past: Past


class Gone(NamedTuple):
    """A step that was taken. `plain`: nothing but this client's place and the common changed."""

    plain: bool
    node: Node
    common: Common
    outcomes: tuple[Outcome, ...]
    step: Step
    result: Any
    freed: tuple[MutexId, ...]


class Taken(NamedTuple):
    """A move and the state it leads to."""

    lane: int
    how: How
    state: State
    gone: Gone | None


class Graph:
    """Everything that can happen in one setting. `close` it in the end."""

    def __init__(self, setting: Setting, faults: Faults, in_order: set[str]) -> None:
        self.scenario = setting.scenario
        self.faulted = faults != setting.scenario.faults
        self.automaton = Automaton(setting, in_order)
        self._commons: dict[Shared, Common] = {}
        self._clients = len(setting.scenario.programs)
        start = self.common(Shared(opened(setting.scenario.openings, keep_log=False)))
        self.start = State(self.automaton.roots, start, Past(0, (), faults))

    def close(self) -> None:
        """End all coroutines."""
        self.automaton.close()

    def common(self, shared: Shared) -> Common:
        """The one object for what is shared."""
        found = self._commons.get(shared)
        if found is None:
            found = self._commons[shared] = Common(shared)
        return found

    def gone(self, node: Node, common: Common) -> Gone | None:
        """The client's step, taken; None where it would have to wait."""
        try:
            return common.moves[node]
        except KeyError:
            gone = common.moves[node] = self._go(node, common)
            return gone

    def successors(self, state: State) -> Iterator[Taken]:
        """Every move from here; none if all have ended, or nobody can go on."""
        able = [lane for lane in self.waiting(state) if self._can_go(state, lane)]
        if not able:
            able = [i for i in self.waiting(state) if state.nodes[i].tired]
        for lane in able:
            node = state.nodes[lane]
            gone = self.gone(node.other if node.tired else node, state.common)
            assert gone is not None
            yield Taken(lane, How.GO, self.after(state, lane, gone, state.past.faults), gone)
        if able and not state.past.faults.none:
            yield from self._faults(state)

    def waiting(self, state: State) -> list[int]:
        """Clients that have a step to take."""
        nodes = state.nodes
        return [
            lane
            for lane, node in enumerate(nodes)
            if not node.ended and all(nodes[other].ended for other in node.after)
        ]

    def _can_go(self, state: State, lane: int) -> bool:
        node = state.nodes[lane]
        return not node.tired and self.gone(node, state.common) is not None

    def _go(self, node: Node, common: Common) -> Gone | None:
        shared, step, name = common.shared, node.step, node.name
        assert step is not None
        answer: Any = None
        match step.kind:
            case "invoke" | "sweep" | "backoff":
                pass
            case "acquire":
                mutex_id = step.args[0].mutex_id
                if any(held == mutex_id for held, _ in shared.held):
                    return None
                shared = shared._replace(held=tuple(sorted([*shared.held, (mutex_id, name)])))
            case "cache_get" | "cache_put":
                shared, answer = _cached(shared, node, step)
            case _:
                if not can_go(shared.db, name, step):
                    return None
                db, answer = performed(shared.db, name, step)
                shared = shared._replace(db=db)
        given = Input(error=answer) if isinstance(answer, Exception) else Input(answer)
        return self._resumed(node, common, shared, given, step, answer)

    def _resumed(
        self,
        node: Node,
        common: Common,
        shared: Shared,
        given: Input,
        step: Step,
        answer: Any,
        *,
        shield: bool = False,
    ) -> Gone:
        """The client goes on with what it was given, and the work it starts beside begins."""
        outcome = self.automaton.resume(node, given, common.memories, shield=shield)
        outcomes = [outcome]
        shared = _affected(shared, outcome)
        births = list(outcome.births)
        while births:
            born = self.automaton.born(births.pop(0), dict(shared.memories))
            shared = _affected(shared, born)
            outcomes.append(born)
            births += born.births
        freed = tuple(mutex for each in outcomes for mutex in each.released)
        news = outcome.opened or outcome.closed or len(outcomes) > 1
        return Gone(
            not news and not (node.background and outcome.node.ended),
            outcome.node,
            self.common(shared),
            tuple(outcomes),
            step,
            answer,
            freed,
        )

    def after(self, state: State, lane: int, gone: Gone, faults: Faults) -> State:
        """The state after the move, where others rest and background work comes and goes."""
        nodes = [node.other if node.tired else node for node in state.nodes]
        nodes[lane] = gone.node
        beside = nodes[self._clients :]
        beside += [born.node.other for born in gone.outcomes[1:]]
        going = sorted((n for n in beside if not n.ended), key=lambda node: node.name)
        clients = tuple(nodes[: self._clients])
        past = state.past
        outcome = gone.outcomes[0]
        if outcome.opened or outcome.closed:
            past = _remembered(past, state.nodes[lane], outcome)
        if faults is not past.faults:
            past = past._replace(faults=faults)
        return State(clients + tuple(going), gone.common, past)

    def _faults(self, state: State) -> Iterator[Taken]:
        nodes = state.nodes
        waiting = self.waiting(state)
        facts = [self._facts(nodes[lane], state) for lane in waiting]
        numbers = {nodes[lane].name: lane for lane in waiting}
        for name, how in fault_moves(facts, state.past.faults):
            lane = numbers[name]
            left = state.past.faults.after(how)
            match how:
                case How.CRASH:
                    yield Taken(lane, how, self._crashed(state, lane, left), None)
                case How.EXPIRE:
                    shared = state.common.shared._replace(db=expired(db, name))
                    yield Taken(lane, how, self._beside(state, shared, left), None)
                case How.SWEEP:
                    shared = self._swept(state, nodes[lane])
                    yield Taken(lane, how, self._beside(state, shared, left), None)
                case _:
                    gone = self._struck(nodes[lane], state.common, how)
                    yield Taken(lane, how, self.after(state, lane, gone, left), gone)

    def _facts(self, node: Node, state: State) -> Facts:
        db = state.common.shared.db
        assert node.step is not None
        rests = node.tired
        return Facts(
            node.name,
            node.step.kind,
            node.instance,
            node.background,
            node.shielded,
            not rests and self.gone(node, state.common) is not None,
            lookup(db.open, node.name) is not None,
            holds_lease(db, node.name),
        )

    def _struck(self, node: Node, common: Common, how: How) -> Gone:
        """The step with a fault: what the code under test is given instead of its answer."""
        shared, step = common.shared, node.step
        assert step is not None
        if how in (How.LOSE, How.UNHEARD):
            db, _ = performed(shared.db, node.name, step)
            shared = shared._replace(db=db)
        if how in (How.DROP, How.UNHEARD):
            shared = shared._replace(db=rolled_back(shared.db, node.name))
        error = told(how)
        cancelled = how in (How.CANCEL, How.LOSE)
        given = CANCELLED if cancelled else Input(error=error)
        return self._resumed(node, common, shared, given, step, error, shield=cancelled)

    def _beside(self, state: State, shared: Shared, left: Faults) -> State:
        nodes = [node.other if node.tired else node for node in state.nodes]
        past = state.past._replace(faults=left)
        return State(tuple(nodes), self.common(shared), past)

    def _swept(self, state: State, node: Node) -> Shared:
        assert node.instance is not None
        swept = self.automaton.swept(node, state.common.memories)
        return _remembering(state.common.shared, node.instance, swept)

    def _crashed(self, state: State, lane: int, left: Faults) -> State:
        """All that talk to the instance are dead; its memory and its mutexes are gone."""
        number = state.nodes[lane].instance
        shared = state.common.shared
        db, nodes = shared.db, []
        for node in state.nodes:
            if node.ended or node.instance != number:
                nodes.append(node.other if node.tired else node)
                continue
            db = buried(db, node.name)
            if not node.background:
                nodes.append(self.automaton.killed(node))
        left_over = Shared(
            db,
            tuple(held for held in shared.held if held[0].instance != number),
            tuple(memory for memory in shared.memories if memory[0] != number),
            tuple(cache for cache in shared.caches if cache[0] != number),
        )
        return State(tuple(nodes), self.common(left_over), state.past._replace(faults=left))


def _affected(shared: Shared, outcome: Outcome) -> Shared:
    """What a resumption did to what is shared, beside its step."""
    if outcome.released:
        held = tuple(pair for pair in shared.held if pair[0] not in outcome.released)
        shared = shared._replace(held=held)
    if outcome.touched is not None:
        shared = _remembering(shared, *outcome.touched)
    return shared


def _remembering(shared: Shared, instance: int, memory: Memory) -> Shared:
    others = [pair for pair in shared.memories if pair[0] != instance]
    kept = [(instance, memory)] if memory else []
    return shared._replace(memories=tuple(sorted(others + kept, key=lambda pair: pair[0])))


def _cached(shared: Shared, node: Node, step: Step) -> tuple[Shared, Row | None]:
    """A cache's verb; newest wins, as in `engine.caches`."""
    assert node.instance is not None
    caches = dict(shared.caches)
    rows = caches.get(node.instance, ())
    held = lookup(rows, step.args[1])
    if step.kind == "cache_get":
        return shared, held
    row: Row = step.args[2]
    if held is None or held.version < row.version:
        caches[node.instance] = stored(rows, step.args[1], row)
    return shared._replace(caches=tuple(sorted(caches.items()))), None


def _remembered(past: Past, node: Node, outcome: Outcome) -> Past:
    """`past` with the calls that were invoked and answered in this move."""
    first = node.order * CALLS_MAX
    numbers = (*outcome.opened, *outcome.closed)
    if numbers and max(numbers) >= CALLS_MAX:
        raise Unfit(f"{node.name} makes more than {CALLS_MAX} calls")
    before = past.before
    if past.done and outcome.opened:
        seen = [(first + number, past.done) for number in outcome.opened]
        before = tuple(sorted([*before, *seen]))
    done = past.done
    for number in outcome.closed:
        done |= 1 << (first + number)
    return past._replace(done=done, before=before)


__all__ = ["Birth", "Common", "Gone", "Graph", "Past", "Shared", "State", "Taken"]
