"""What a judge will ask about the past, kept in every state: the real-time order of the calls.

Only calls in one group of accounts need an order between them, because linearizability is local;
`independence` has the argument. So clients that have nothing to do with each other do not multiply
each other's states. The groups are learned: where a call joins two, the search begins again.
"""

from dataclasses import replace
from graphlib import TopologicalSorter

from engine.explore.automaton import Node, Outcome
from engine.explore.faults import Faults
from engine.explore.frozen import LearnedMore, Unfit
from engine.explore.independence import Learned, Thing, things_of
from engine.explore.steps import Step
from engine.history import CallRecord

CALLS_MAX = 16  # of one client; each call is one bit
Masks = tuple[tuple[Thing, int], ...]
Before = tuple[tuple[int, int], ...]


class Past:
    """The calls answered so far, as bits, group by group; for each call those of its group that
    were answered before it was invoked (left out if there were none); and what is left of the
    faults. Each exists once in a graph, so that states compare it by identity; `later` are those
    known to follow it.
    """

    __slots__ = ("before", "calm", "done", "faults", "later")

    def __init__(self, done: Masks, before: Before, faults: Faults) -> None:
        self.done = done
        self.before = before
        self.faults = faults
        self.calm = faults.none
        self.later: dict[object, Past] = {}


def remembered(
    past: Past, node: Node, step: Step, outcome: Outcome, learned: Learned
) -> tuple[Masks, Before]:
    """The past with the calls that were invoked and answered in this move."""
    first = node.order * CALLS_MAX
    if max((*outcome.opened, *outcome.closed), default=0) >= CALLS_MAX:
        raise Unfit(f"{node.name} makes more than {CALLS_MAX} calls")
    before = past.before
    if outcome.opened:
        seen = _seen(past.done, step, learned)
        if seen:
            news = tuple((first + number, seen) for number in outcome.opened)
            before = tuple(sorted(before + news))
    done = dict(past.done)
    for number in outcome.closed:
        call = outcome.node.calls[number]
        group = learned.connect(things_of(call.request, call.key))
        done[group] = done.get(group, 0) | 1 << (first + number)
    if learned.news:
        raise LearnedMore
    return tuple(sorted(done.items(), key=repr)), before


def _seen(done: Masks, step: Step, learned: Learned) -> int:
    """The answered calls that come before one invoked now: those of its group, if that is known."""
    request = step.args[0] if step.kind == "invoke" else None
    group = None if request is None else learned.connect(things_of(request))
    seen = 0
    for other, mask in done:
        if request is None or other == group:
            seen |= mask
    return seen


def on_a_line(nodes: tuple[Node, ...], past: Past, learned: Learned) -> tuple[CallRecord, ...]:
    """All calls, with moments of invocation and answer that have the order the past kept."""
    before = dict(past.before)
    calls = {
        node.order * CALLS_MAX + number: call
        for node in nodes
        for number, call in enumerate(node.calls)
    }
    group = {bit: learned.connect(things_of(c.request, c.key)) for bit, c in calls.items()}
    line: TopologicalSorter[tuple[int, bool]] = TopologicalSorter()
    for bit in calls:
        line.add((bit, _ANSWERED), (bit, _INVOKED))
        if bit - 1 in calls and bit % CALLS_MAX:
            line.add((bit, _INVOKED), (bit - 1, _ANSWERED))
        for other, call in calls.items():
            if other == bit or group[other] != group[bit] or call.completed_ns is None:
                continue
            if before.get(bit, 0) >> other & 1:
                line.add((bit, _INVOKED), (other, _ANSWERED))
            else:
                line.add((other, _ANSWERED), (bit, _INVOKED))
    when = {event: moment for moment, event in enumerate(line.static_order())}
    return tuple(
        replace(
            call,
            invoked_ns=when[bit, _INVOKED],
            completed_ns=None if call.completed_ns is None else when[bit, _ANSWERED],
        )
        for bit, call in calls.items()
    )


_INVOKED, _ANSWERED = False, True
