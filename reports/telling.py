"""A witness told in words and lanes, for the picture, the page and the terminal alike."""

from collections.abc import Mapping, Sequence

from engine.money import show_cents
from engine.results import WRITES, TimelineEvent, Witness
from engine.verdicts import Break

Lane = tuple[str, int]

# How the judge begins to tell of a client that an error of the code ended.
_FAILED = "a client failed: "


def numbered(events: Sequence[TimelineEvent]) -> list[str]:
    """T1, T2, … for the reads and writes, as the guide numbers them; "" for other steps."""
    numbers: list[str] = []
    for event in events:
        counted = event.kind in ("read", *WRITES)
        numbers.append(f"T{1 + sum(map(bool, numbers))}" if counted else "")
    return numbers


def timeline_lanes(events: Sequence[TimelineEvent]) -> list[Lane]:
    """The lane of each event: its client and the service instance it goes through.

    A step outside any instance (-1) stands in the lane of its client's step before it, or, where
    there is none, after it.
    """
    latest: dict[str, int] = {}
    for event in reversed(events):
        if event.instance >= 0:
            latest[event.client] = event.instance
    lanes: list[Lane] = []
    for event in events:
        if event.instance >= 0:
            latest[event.client] = event.instance
        lanes.append((event.client, latest.get(event.client, -1)))
    return lanes


def what_broke(witness: Witness) -> str:
    """What the marked step did, in a few words: "500.00 made"."""
    worst = min(witness.findings, key=lambda finding: list(Break).index(finding.kind))
    if worst.kind is Break.MONEY and worst.cents:
        return _made(worst.cents)
    return {
        Break.MONEY: "money goes wrong",
        Break.LIVENESS: "fails" if worst.message.startswith(_FAILED) else "stuck",
        Break.ORDER: "out of order",
        Break.READS: "stale",
    }[worst.kind]


def ending(witness: Witness) -> str:
    """How it ended against what would have been right, in words."""
    held = _balances(witness.final)
    if witness.correct is None:
        return f"In the end: {held}."
    wrong = [finding for finding in witness.findings if finding.kind is Break.MONEY]
    if not wrong:
        # What got stuck has lost nothing yet, though it is far from where it should have come.
        return f"In the end: {held}; correct: {_balances(witness.correct)}."
    cents = sum(finding.cents for finding in wrong)
    if cents and witness.correct.items() <= witness.final.items():
        # Both withdrawals were answered with ok, and only one left the wallet.
        told = f"{show_cents(abs(cents))} {'less' if cents > 0 else 'more'}"
        return (
            f"In the end: {held}, the correct balance; yet what was acknowledged leaves {told}:"
            f" {_made(cents)}."
        )
    made = sum(witness.final.get(name, 0) - right for name, right in witness.correct.items())
    much = f": {_made(made)}" if made else ""
    return f"In the end: {held}; correct: {_balances(witness.correct)}{much}."


def _balances(balances: Mapping[str, int]) -> str:
    return ", ".join(f"{account} {show_cents(cents)}" for account, cents in balances.items())


def _made(cents: int) -> str:
    return f"{show_cents(abs(cents))} {'made' if cents > 0 else 'lost'}"
