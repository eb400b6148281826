"""The state graph of a setting: what can happen next, and what each thing leads to.

A state is where every client stands, what they share (database, mutexes, memory, caches), and what
a judge will ask about the past: for each call, which calls had been answered before it was invoked.
Clients that have ended in the same way are one place. So schedules that lead to the same state
share their future, and a question about real-time order still gets its exact answer.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from engine.explore.automaton import Automaton, Birth, Node, Outcome, awake
from engine.explore.controller import SPINS_MAX
from engine.explore.faults import CANCELS, GO, Faults, How, fault_moves, told
from engine.explore.frozen import MutexId
from engine.explore.independence import Learned
from engine.explore.leases import expired
from engine.explore.moves import Common, Gone, State, Taken
from engine.explore.past import Past, Pasts, remembered
from engine.explore.rules import RULES, in_ring
from engine.explore.shared import (
    Shared,
    acquired,
    affected,
    cached,
    facts_of,
    recalling,
    stored_in,
    without,
)
from engine.explore.solo import CANCELLED
from engine.explore.steps import BESIDE_DATABASE
from engine.explore.tables import opened
from engine.explore.world import Setting


class Graph:
    """Everything that can happen in one setting. `close` it in the end."""

    def __init__(self, setting: Setting, faults: Faults, learned: Learned) -> None:
        self.scenario = setting.scenario
        self.faults = faults
        self.faulted = faults != setting.scenario.faults
        self.learned = learned
        self.automaton = Automaton(setting, learned)
        self.rules = RULES[setting.dialect]
        self._can_go_on, self._performed = self.rules.can_go, self.rules.performed
        self._commons: dict[Shared, Common] = {}
        self._clients = len(setting.scenario.programs)
        self._coarse = len(learned.coarse)
        self._pasts: dict[Faults, Pasts] = {}
        self.ends: dict[object, Any] = {}
        common = self.common(Shared(opened(setting.scenario.openings, keep_log=False)))
        self.start: State = (self.automaton.roots, common, self.pasts(faults).one((), ()))

    @property
    def outdated(self) -> bool:
        """A cell is looked at in another way now, so clients stand elsewhere than was thought."""
        return len(self.learned.coarse) != self._coarse

    def forget_past(self) -> None:
        """Begin again with the groups of accounts that are known now. What clients do is kept."""
        self._forget_pasts()
        self.ends.clear()
        nodes, common, _ = self.start
        self.start = nodes, common, self.pasts(self.faults).one((), ())

    def close(self) -> None:
        """End all coroutines, and let go of everything that leads back to itself."""
        self.automaton.close()
        self._forget_pasts()
        for common in self._commons.values():
            common.moves.clear()

    def _forget_pasts(self) -> None:
        for kin in self._pasts.values():
            kin.known.clear()
        self._pasts.clear()

    def common(self, shared: Shared) -> Common:
        """The one object for what is shared."""
        found = self._commons.get(shared)
        if found is None:
            rings = self.rules.has_victims and len(shared.db.open) > 1
            found = self._commons[shared] = Common(shared, rings=rings)
        return found

    def pasts(self, faults: Faults) -> Pasts:
        """All pasts with so much left of the faults."""
        if faults not in self._pasts:
            self._pasts[faults] = Pasts(faults)
        return self._pasts[faults]

    def gone(self, node: Node, common: Common) -> Gone | None:
        """The client's step, taken; None where it would have to wait."""
        if node not in common.moves:
            common.moves[node] = self._go(node, common)
        return common.moves[node]

    def successors(self, state: State) -> list[Taken]:
        """Every move from here; none if all have ended, or nobody can go on."""
        nodes, common, past = state
        if self.automaton.particular or common.rings or not past.calm:
            return self._all_moves(state)
        # The same without back-offs, faults and whoever waits for others' end: the inner loop.
        found: list[Taken] = []
        known, others = common.moves, list(nodes)
        for lane, node in enumerate(nodes):
            if node.ended:
                continue
            gone = known.get(node)
            if gone is None and node not in known:
                gone = known[node] = self._go(node, common)
            if gone is None:
                continue
            if gone.alone:
                later = past
                if gone.news:
                    later = past.later.get(gone.outcome) or self.later(past, node, gone)
                others[lane] = gone.node
                after = tuple(others), gone.common, later
                others[lane] = node
            else:
                after = self.after(state, lane, gone, past.faults)
            found.append((lane, GO, after, gone))
        return found

    def _all_moves(self, state: State) -> list[Taken]:
        nodes, common, past = state
        waiting = self.waiting(state)
        moves = self._steps(state, waiting)
        if not moves:
            able = [n for n in waiting if nodes[n].tired and nodes[n].backoffs <= SPINS_MAX]
            moves = [(n, gone) for n in able if (gone := self.gone(awake(nodes[n]), common))]
        found: list[Taken] = [
            (lane, GO, self.after(state, lane, gone, past.faults), gone) for lane, gone in moves
        ]
        return found if not moves or past.calm else [*found, *self._faults(state)]

    def waiting(self, state: State) -> list[int]:
        """Clients that have a step to take."""
        nodes = state[0]
        return [
            lane
            for lane, node in enumerate(nodes)
            if not (node.ended or (node.after and not all(nodes[n].ended for n in node.after)))
        ]

    def _steps(self, state: State, waiting: list[int]) -> list[tuple[int, Gone]]:
        """The steps that clients can take at once, be it as a deadlock's victim."""
        nodes, common, _ = state
        able = [lane for lane in waiting if not nodes[lane].tired]
        steps = [(lane, gone) for lane in able if (gone := self.gone(nodes[lane], common))]
        if len(steps) == len(able) or not common.rings:
            return steps
        known, pending = dict(steps), {nodes[lane].name: nodes[lane].step for lane in able}
        for lane in able:
            node = nodes[lane]
            if lane not in known and in_ring(self.rules, common.shared.db, node.name, pending):
                victim = self._go(node, common, victim=True)
                steps += [(lane, victim)] if victim else []
        return sorted(steps, key=lambda step: step[0])

    def _go(self, node: Node, common: Common, *, victim: bool = False) -> Gone | None:
        shared, step, name = common.shared, node.step, node.name
        assert step is not None
        answer: Any = None
        if step.kind not in BESIDE_DATABASE:
            if not (victim or self._can_go_on(shared.db, name, step)):
                return None
            shared, answer = stored_in(shared, name, step, self._performed)
        elif step.kind == "acquire":
            locked = acquired(shared, step.args[0].mutex_id, name)
            if locked is None:
                return None
            shared = locked
        elif step.kind.startswith("cache"):
            shared, answer = cached(shared, node, step)
        return self._resumed(node, common, shared, answer)

    def _resumed(
        self, node: Node, common: Common, shared: Shared, answer: Any, *, cancelled: bool = False
    ) -> Gone:
        """The client goes on with its answer, or cancelled; work that it starts beside begins."""
        given = CANCELLED if cancelled else answer
        outcome = self.automaton.resume(node, given, common.memory, shield=cancelled)
        did, born = outcome.did, tuple[Outcome, ...]()
        if did.released or did.changed:
            shared = affected(shared, did)
        if outcome.births:
            shared, born = self._born(shared, outcome.births)
        return Gone(
            not (born or (node.background and outcome.node.ended)),
            bool(did.opened or did.closed),
            outcome.node,
            common if shared is common.shared else self.common(shared),
            outcome,
            born,
            answer,
            did.released + tuple([mutex for one in born for mutex in one.did.released]),
        )

    def _born(self, shared: Shared, births: Sequence[Birth]) -> tuple[Shared, tuple[Outcome, ...]]:
        """The work beside begins, and what it begins."""
        waiting, born = list(births), list[Outcome]()
        while waiting:
            one = self.automaton.born(waiting.pop(0), dict(shared.memory))
            shared = affected(shared, one.did)
            born.append(one)
            waiting += one.births
        return shared, tuple(born)

    def after(self, state: State, lane: int, gone: Gone, faults: Faults) -> State:
        """The state after the move, where others rest and background work comes and goes."""
        was, _, past = state
        if gone.news or faults is not past.faults:
            past = self.later(past, was[lane], gone, faults)
        if gone.alone and not self.automaton.particular:
            return (*was[:lane], gone.node, *was[lane + 1 :]), gone.common, past
        nodes = [awake(node) for node in was]
        nodes[lane] = gone.node
        beside = nodes[self._clients :]
        beside += [awake(born.node) for born in gone.born]
        going = sorted((n for n in beside if not n.ended), key=lambda node: node.name)
        return (*nodes[: self._clients], *going), gone.common, past

    def later(self, past: Past, node: Node, gone: Gone, faults: Faults | None = None) -> Past:
        """The past with what has just become of it; `faults` are what is left then."""
        outcome = gone.outcome
        faults = past.faults if faults is None else faults
        key = outcome if faults is past.faults else (outcome, faults)
        later = past.later.get(key)
        if later is None:
            kin = past.kin if faults is past.faults else self.pasts(faults)
            later = past.later[key] = kin.one(*remembered(past, node, outcome, self.learned))
        return later

    def _faults(self, state: State) -> Iterator[Taken]:
        nodes, common, past = state
        waiting = self.waiting(state)
        ready = dict(self._steps(state, waiting))
        facts = [facts_of(common.shared, nodes[lane], lane in ready) for lane in waiting]
        numbers = {nodes[lane].name: lane for lane in waiting}
        for name, how in fault_moves(facts, past.faults):
            lane = numbers[name]
            left = past.faults.after(how)
            match how:
                case How.CRASH:
                    yield lane, how, self._crashed(state, lane, left), None
                case How.EXPIRE | How.SWEEP:
                    shared = self._beside(nodes[lane], common, how)
                    rested = tuple(awake(node) for node in nodes)
                    same = self.pasts(left).one(past.done, past.before)
                    yield lane, how, (rested, self.common(shared), same), None
                case _:
                    gone = self._struck(nodes[lane], common, how)
                    yield lane, how, self.after(state, lane, gone, left), gone

    def _beside(self, node: Node, common: Common, how: How) -> Shared:
        """What happens to what is shared while the client's own step stays."""
        if how is How.EXPIRE:
            return common.shared._replace(db=expired(common.shared.db, node.name))
        assert node.instance is not None
        swept = self.automaton.swept(node, common.memory)
        return recalling(common.shared, swept)

    def _struck(self, node: Node, common: Common, how: How) -> Gone:
        """The step with a fault: what the code under test is given instead of its answer."""
        shared, step = common.shared, node.step
        assert step is not None
        if how in (How.LOSE, How.UNHEARD):
            shared, _ = stored_in(shared, node.name, step, self._performed)
        if how in (How.DROP, How.UNHEARD):
            shared = shared._replace(db=self.rules.hung_up(shared.db, node.name))
        elif how is How.BUSY:
            shared = shared._replace(db=self.rules.failed(shared.db, node.name))
        return self._resumed(node, common, shared, told(how), cancelled=how in CANCELS)

    def _crashed(self, state: State, lane: int, left: Faults) -> State:
        """All that talk to the instance are dead; its memory and its mutexes are gone."""
        was, common, past = state
        number = was[lane].instance
        shared = common.shared
        db, nodes, freed = shared.db, list[Node](), set[MutexId]()
        for node in was:
            if node.ended or node.instance != number:
                nodes.append(awake(node))
                continue
            db = self.rules.buried(db, node.name)
            if not node.background:
                dead, lets_go = self.automaton.killed(node)
                nodes.append(dead)
                freed |= set(lets_go)
        assert number is not None
        left_over = without(shared._replace(db=db), number, freed)
        same = self.pasts(left).one(past.done, past.before)
        return tuple(nodes), self.common(left_over), same
