"""What a witness's picture says in words: steps, the step that went wrong, and who was in it."""

from collections.abc import Sequence

from engine.money import show_cents
from engine.results import WRITES, TimelineEvent, Witness
from engine.verdicts import Break
from reports.telling import numbered, what_broke


def step_words(event: TimelineEvent) -> str:
    """One step in a lane: short, for the lane says whose it is."""
    if event.kind == "invoke" and event.request and event.how == "go":
        return f"» {event.request}"
    return event.text


def wrong_words(witness: Witness, number: int) -> list[str]:
    """What stands below the step that went wrong; nothing below another one."""
    event = witness.events[number]
    if not event.wrong or not witness.findings:
        return []
    told = [f"✗ {what_broke(witness)} here"]
    source = source_of(witness.events, number)
    if source is not None:
        step = numbered(witness.events)[source] or "an earlier read"
        stale = [
            show_cents(cents)
            for account, cents in event.saw.items()
            if cents != witness.events[number - 1].balances.get(account, 0)
        ]
        told.insert(0, f"from {step}'s {', '.join(stale)}")
    return told


def source_of(events: Sequence[TimelineEvent], number: int) -> int | None:
    """Where the write at `number` got the balances that it should not have trusted any more."""
    event = events[number]
    if event.kind != "write" or not number:
        return None
    now = events[number - 1].balances
    stale = {name: cents for name, cents in event.saw.items() if cents != now.get(name, 0)}
    reads = [
        position
        for position, earlier in enumerate(events[:number])
        if earlier.client == event.client
        and earlier.kind in ("read", "cache_get")
        and any(earlier.saw.get(name, 0) == cents for name, cents in stale.items())
    ]
    return reads[-1] if reads and stale else None


def who_met_whom(witness: Witness) -> str:
    """A sentence that names the operations that met, where the explanation does not; or ""."""
    if not witness.findings or any(
        event.wrong and source_of(witness.events, number) is not None
        for number, event in enumerate(witness.events)
    ):
        return ""  # a lost update's explanation names both
    match witness.findings[0].kind:
        case Break.LIVENESS if waits := witness.events[-1].waits if witness.events else {}:
            asked = {event.client: event.request for event in witness.events}
            wanting = [f"{client} asked to {asked.get(client, '')}" for client in waits]
            return f"{'; '.join(wanting)}."
        case Break.READS:
            return _overtaken(witness)
        case Break.MONEY:
            numbers = numbered(witness.events)
            done = [
                f"{_wrote(event)} ({number})"
                for event, number in zip(witness.events, numbers, strict=True)
                if event.kind in WRITES and event.request and _took_effect(witness, event)
            ]
            return f"What was written: {'; '.join(done)}." if done else ""
    return ""


def _wrote(event: TimelineEvent) -> str:
    # A writer's group holds others' requests beside that of the client who started it.
    if event.kind == "group":
        return event.text
    return f"{event.client}'s request to {event.request}"


def _took_effect(witness: Witness, event: TimelineEvent) -> bool:
    return bool(event.step) and witness.events[event.step - 1].balances != event.balances


def _overtaken(witness: Witness) -> str:
    """Which write had made the answer at the marked step stale."""
    marked = next((event for event in witness.events if event.wrong), None)
    if marked is None:
        return ""
    numbers = numbered(witness.events)
    for event in reversed(witness.events[: marked.step]):
        changed = [name for name in marked.saw if name in event.saw and event.kind in WRITES]
        if changed and event.client != marked.client:
            made = show_cents(event.balances.get(changed[0], 0))
            return (
                f"{event.client}'s request to {event.request} had made it {made}"
                f" ({numbers[event.step]})."
            )
    return ""
