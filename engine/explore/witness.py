"""From a losing run to evidence: what each step saw, did and held, and where it went wrong."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from engine.explore.controller import Seen
from engine.explore.faults import BESIDE, TAKES_EFFECT, How
from engine.explore.puppet import in_words
from engine.explore.steps import Step, SteppedMutex, awaited
from engine.explore.world import World
from engine.history import Receipt
from engine.money import show_cents
from engine.operations import (
    Add,
    Balance,
    Batch,
    CheckSufficient,
    Open,
    Operation,
    Question,
    Transfer,
    Withdraw,
)
from engine.results import WRITES, TimelineEvent
from engine.verdicts import Break, Finding


class Observer:
    """Collects the timeline of one run."""

    def __init__(self) -> None:
        self.events: list[TimelineEvent] = []
        self._leases: dict[str, list[str]] = {}
        self._asked: dict[str, str] = {}

    async def __call__(self, seen: Seen) -> None:
        lane, how, step = seen.lane, seen.move.how, seen.step
        leases = self._leases.setdefault(lane.name, [])
        if step.kind == "take" and how in TAKES_EFFECT:
            leases.append(step.args[0])
        elif how is How.EXPIRE:
            leases.clear()
        elif step.kind == "give" and how in TAKES_EFFECT and step.args[0] in leases:
            leases.remove(step.args[0])
        if step.kind == "invoke":
            self._asked[lane.name] = describe(step.args[0])
        before = self.events[-1].balances if self.events else None
        mutexes = [mutex.name for mutex in seen.world.stage.held_by(lane)]
        locks = await seen.world.locks(lane)
        self.events.append(
            TimelineEvent(
                step=len(self.events),
                client=lane.name,
                instance=seen.instance,
                kind=how if how in BESIDE else step.kind,
                how=_HOW[how],
                text=tell(step, seen.result, how),
                balances=dict(await seen.world.balances()),
                holds=(*mutexes, *leases, *locks),
                wrong=_overwrites(step, how, seen.result, before),
                # Background work of A, "A+1", goes on with what A had asked for.
                request=self._asked.get(lane.name.partition("+")[0], ""),
                saw=_saw(step, how, seen.result),
                leases=tuple(leases),
                waits=_waits(seen.world),
            )
        )


def _saw(step: Step, how: How, result: Any) -> dict[str, int]:
    """The balances a read was answered with, or those a write was computed from."""
    if how not in TAKES_EFFECT or isinstance(result, Exception):
        return {}
    match step.kind:
        case "read":
            rows = getattr(result, "rows", {})
            return {account: rows[account].balance for account in step.args[0] if account in rows}
        case "write":
            return {change.account: change.before for change in step.args[1]}
        case "guarded":
            return {entry.account: entry.before for entry in result.entries}
        case "group":
            receipts = [answer for answer in result if isinstance(answer, Receipt)]
            return {entry.account: entry.before for one in receipts for entry in one.entries}
        case "cache_get" if result is not None:
            return {step.args[1]: result.balance}
        case "cache_put":
            return {step.args[1]: step.args[2].balance}
    return {}


def _waits(world: World) -> dict[str, str]:
    """Which lock each client that cannot go on waits for."""
    waits = {}
    for lane in world.stage.waiting():
        step = lane.pending
        if step is None:
            continue
        if step.kind not in ("acquire", "take", "wait"):
            if lock := world.awaits(lane):
                waits[lane.name] = lock
        elif not world.ready(lane):
            waits[lane.name] = awaited(step)
    return waits


_HOW = {
    How.GO: "go",
    How.CANCEL: "cancelled",
    How.LOSE: "answer lost",
    How.CRASH: "crashed",
    How.BUSY: "busy",
    How.DROP: "connection lost",
    How.UNHEARD: "connection lost",
    How.NO_CACHE: "cache failed",
    How.EXPIRE: "expired",
    How.SWEEP: "swept",
}


def marked(
    events: Sequence[TimelineEvent], findings: Sequence[Finding]
) -> tuple[TimelineEvent, ...]:
    """The events with the step marked at which it went wrong, if no lost update marks one."""
    if not findings or not events or any(event.wrong for event in events):
        return tuple(events)
    looked_for = {
        Break.MONEY: WRITES,
        Break.READS: ("cache_get", "read"),
    }.get(findings[0].kind, ())
    fitting = [
        event
        for event in events
        if event.kind in looked_for and findings[0].client in ("", event.client)
    ]
    last = (fitting or events)[-1]
    return tuple(replace(event, wrong=event is last) for event in events)


def _overwrites(step: Step, how: How, result: Any, before: Any) -> bool:
    if step.kind != "write" or before is None or how not in TAKES_EFFECT:
        return False
    if isinstance(result, Exception):
        return False
    return any(change.before != before.get(change.account, 0) for change in step.args[1])


def tell(step: Step, result: Any, how: How) -> str:
    """One step in words."""
    match how:
        case How.CANCEL:
            return f"is cancelled before it {_verb(step, None)}"
        case How.CRASH:
            return "its service instance crashes"
        case How.DROP:
            return f"loses its connection before it {_verb(step, None)}"
        case How.EXPIRE:
            return "its leases run out, and it does not notice"
        case How.SWEEP:
            return "its service instance forgets its idle locks"
    text = _verb(step, None if isinstance(result, Exception) else result)
    if isinstance(result, Exception):
        text += f" → {result}"
    if how is How.UNHEARD:
        return f"{text}; that stands, but its connection is lost before the answer"
    return f"{text}; its answer is lost" if how is How.LOSE else text


def _verb(step: Step, result: Any) -> str:
    args = step.args
    match step.kind:
        case "invoke":
            return f"asks: {describe(args[0])}"
        case "sweep":
            return "sweeps idle locks"
        case "backoff":
            return "backs off"
        case "acquire":
            mutex: SteppedMutex = args[0]
            return f"locks {mutex.name}"
        case "cache_get":
            found = show_cents(result.balance) if result is not None else "nothing"
            return f"looks up {args[1]} in its cache: {found}"
        case "cache_put":
            return f"caches {args[1]} {show_cents(args[2].balance)}"
    told = _stores(step, result) or in_words(step)
    return told or (step.kind if not args else f"{step.kind} {args[0]}")


def _stores(step: Step, result: Any) -> str:
    """What a step asks of the database; "" where its kind says it all."""
    args = step.args
    match step.kind:
        case "read":
            rows = getattr(result, "rows", {})
            seen = [
                f"{account} {show_cents(rows[account].balance)}" if account in rows else account
                for account in args[0]
            ]
            return f"{'locks and reads' if step.options else 'reads'} {', '.join(seen)}"
        case "write":
            return "writes " + ", ".join(f"{c.account} {show_cents(c.after)}" for c in args[1])
        case "guarded":
            return f"in one statement: {describe(args[0].operation)}"
        case "group":
            return "commits together: " + "; ".join(describe(call.operation) for call in args[0])
        case "advisory":
            return f"takes the advisory lock on {', '.join(args[0])}"
        case "begin" if step.options:
            return f"begin {args[0]}, without waiting"
        case "take":
            return f"takes the lease on {args[0]}"
        case "give":
            return f"gives the lease on {args[0]} back"
        case "decide":
            return f"decides {args[0]}: {result or args[1]}"
    return ""


def describe(request: Operation | Question | None) -> str:
    """A request in words."""
    match request:
        case Withdraw(account, amount):
            return f"withdraw {show_cents(amount)} from {account}"
        case Add(account, amount):
            return f"add {show_cents(amount)} to {account}"
        case Transfer(source, target, amount):
            return f"transfer {show_cents(amount)} from {source} to {target}"
        case Batch(legs):
            return "batch: " + ", ".join(describe(leg) for leg in legs)
        case Open(account, opening):
            return f"open {account} with {show_cents(opening)}"
        case Balance(account):
            return f"what does {account} hold?"
        case CheckSufficient(account, amount):
            return f"does {account} hold {show_cents(amount)}?"
    return "create an order"
