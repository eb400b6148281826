"""What a judge will ask about the past, kept in every state: the real-time order of the calls.

Only calls in one group of accounts need an order between them, because linearizability is local;
`independence` has the argument. So clients that have nothing to do with each other do not multiply
each other's states. The groups are learned: where a call joins two, the search begins again.
"""

from collections.abc import Mapping

from engine.explore.automaton import Node, Outcome
from engine.explore.faults import Faults
from engine.explore.frozen import LearnedMore, Unfit
from engine.explore.independence import Learned, Thing, things_of
from engine.explore.steps import Step
from engine.history import CallRecord

CALLS_MAX = 256  # of one client; each call is one bit
Masks = tuple[tuple[Thing, int], ...]
Before = tuple[tuple[int, int], ...]


class Past:
    """The calls answered so far, as bits, group by group; for each call those of its group that
    were answered before it was invoked (left out if there were none); and what is left of the
    faults, `calm` if nothing. Each exists once in a graph, so that states compare it by identity;
    `later` are those known to follow it, `kin` all with the same faults.
    """

    __slots__ = ("before", "calm", "done", "faults", "kin", "later")

    def __init__(self, done: Masks, before: Before, kin: "Pasts") -> None:
        self.done = done
        self.before = before
        self.faults, self.calm = kin.faults, kin.calm
        self.kin = kin
        self.later: dict[object, Past] = {}


class Pasts:
    """All pasts of one graph in which so much is left of the faults."""

    __slots__ = ("calm", "faults", "known")

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.calm = faults.none
        self.known: dict[tuple[Masks, Before], Past] = {}

    def one(self, done: Masks, before: Before) -> Past:
        """The one object for this past."""
        past = self.known.get((done, before))
        if past is None:
            past = self.known[done, before] = Past(done, before, self)
        return past


def remembered(past: Past, node: Node, outcome: Outcome, learned: Learned) -> tuple[Masks, Before]:
    """The past with the calls that were invoked and answered in this move."""
    first = node.order * CALLS_MAX
    before, done = past.before, past.done
    did = outcome.did
    if did.opened:
        if did.opened[-1] >= CALLS_MAX:
            raise Unfit(f"{node.name} makes more than {CALLS_MAX} calls")
        seen = _seen(done, node.step, learned)
        if seen:
            news = tuple((first + number, seen) for number in did.opened)
            before = tuple(sorted(before + news))
    if did.closed:
        masks = dict(done)
        for number in did.closed:
            group = learned.connect(outcome.node.things[number])
            masks[group] = masks.get(group, 0) | 1 << (first + number)
        done = tuple(sorted(masks.items(), key=repr) if len(masks) > 1 else masks.items())
    if learned.news:
        raise LearnedMore
    return done, before


def _seen(done: Masks, step: Step | None, learned: Learned) -> int:
    """The answered calls that come before one invoked now: those of its group, if that is known."""
    request = step.args[0] if step is not None and step.kind == "invoke" else None
    group = None if request is None else learned.connect(things_of(request))
    seen = 0
    for other, mask in done:
        if request is None or other == group:
            seen |= mask
    return seen


def on_a_line(nodes: tuple[Node, ...], past: Past, learned: Learned) -> tuple[CallRecord, ...]:
    """All calls, with moments of invocation and answer that have the order the past kept."""
    calls = {
        node.order * CALLS_MAX + number: call
        for node in nodes
        for number, call in enumerate(node.calls)
    }
    when = _moments(calls, dict(past.before), learned)
    return tuple(
        CallRecord(
            call.client,
            call.request,
            when[bit, _INVOKED],
            None if call.completed_ns is None else when[bit, _ANSWERED],
            call.outcome,
            call.code,
            call.answer,
            call.key,
        )
        for bit, call in calls.items()
    )


def _moments(
    calls: Mapping[int, CallRecord], before: Mapping[int, int], learned: Learned
) -> dict[tuple[int, bool], int]:
    """When each call is invoked, and when it is answered: as early as the past allows."""
    group = {bit: learned.connect(things_of(c.request, c.key)) for bit, c in calls.items()}
    # A call is invoked after those that were answered before it, and its client's last one. It is
    # answered after those are invoked that overlap with it.
    answers, invocations = {}, {}
    present = sum(1 << bit for bit in calls)
    for bit, call in calls.items():
        own = 1 << bit - 1 if bit - 1 in calls and bit % CALLS_MAX else 0
        answers[bit] = before.get(bit, 0) & present | own
        invocations[bit] = 1 << bit
        for other in calls if call.completed_ns is not None else ():
            if group[other] == group[bit] and not before.get(other, 0) >> bit & 1:
                invocations[bit] |= 1 << other
    when: dict[tuple[int, bool], int] = {}
    invoked = answered = 0
    while len(when) < 2 * len(calls):
        known = len(when)
        for bit in calls:
            if not invoked >> bit & 1 and not answers[bit] & ~answered:
                when[bit, _INVOKED] = len(when)
                invoked |= 1 << bit
        for bit in calls:
            if not answered >> bit & 1 and not invocations[bit] & ~invoked:
                when[bit, _ANSWERED] = len(when)
                answered |= 1 << bit
        assert len(when) > known, "the past contradicts itself"
    return when


_INVOKED, _ANSWERED = False, True
