"""What a replay means: whether the kept outcome came again, and whether the code is still the same.

| recurs | code      | said                                                            | exit |
|--------|-----------|-----------------------------------------------------------------|------|
| yes    | unchanged | it recurs                                                       | 0    |
| yes    | changed   | it recurs although the code changed: not mended                 | 0    |
| no     | changed   | mended, as far as this schedule goes; explore for the others    | 1    |
| no     | unchanged | hidden state in the code under test, or another walletrace      | 1    |
"""

import shlex
from dataclasses import dataclass
from typing import Any

from engine.explore.cells import dialect_of
from engine.explore.controller import ScheduleMismatch
from engine.results import Witness
from scenarios.console import witness_json
from scenarios.saved import Saved, version

_PARTS = {"scenario": "the scenario", "lock": "the lock strategy", "wallet": "the wallet"}


@dataclass(frozen=True, slots=True)
class Recurrence:
    """`changed` names the parts whose code is another; it is None where that is not known."""

    recurs: bool
    changed: tuple[str, ...] | None
    says: str
    next: str = ""


def compared(
    kept: Saved, witness: Witness, code: dict[str, str], store: str, *, mismatch: str = ""
) -> Recurrence:
    """The kept run beside its replay.

    `mismatch` says why the schedule could not be followed to the letter; `witness` then followed
    it as far as possible, which is no recurrence whatever came out.
    """
    recurs = not mismatch and witness.outcome == kept.outcome
    changed: tuple[str, ...] | None = None
    if kept.code:
        parts = sorted(kept.code.keys() | code.keys())
        changed = tuple(part for part in parts if kept.code.get(part) != code.get(part))
    if recurs:
        return Recurrence(True, changed, _recurs(changed))
    again = _explore(kept)
    if witness.findings:
        kind = witness.findings[0].kind
        says = f"it does not recur, yet the run is still wrong: {kind}" + _since(changed)
        return Recurrence(False, changed, says, again)
    if changed is None:
        says = "it does not recur; the file does not say which code it was recorded with"
        return Recurrence(False, changed, says, again)
    if changed:
        says = "it does not recur: mended, as far as this schedule goes" + _since(changed)
        return Recurrence(False, changed, says, again)
    return Recurrence(False, changed, _unchanged(kept, store), again)


def mismatch(error: ScheduleMismatch, kept: Saved, store: str) -> str:
    """Why the schedule cannot be followed to the letter."""
    found, now = dialect_of(kept.store), dialect_of(store)
    if found == now:
        return str(error)
    return (
        f"found under the rules of {found}, it has other steps or waits under those of {now}"
        f" ({error.args[0].partition(';')[0]})"
    )


def replay_json(kept: Saved, witness: Witness, found: Recurrence, mismatch: str) -> dict[str, Any]:
    """A replay as JSON: `code` is "unchanged", "changed" or "unknown"; then the run's own words.

    `mismatch` is empty if the schedule was followed to the letter.
    """
    known = "changed" if found.changed else "unchanged"
    return {
        "recurs": found.recurs,
        "recorded": kept.outcome,
        "code": "unknown" if found.changed is None else known,
        "changed": list(found.changed or ()),
        "says": found.says,
        "next": found.next,
        "mismatch": mismatch,
        **witness_json(witness),
    }


def _recurs(changed: tuple[str, ...] | None) -> str:
    if changed is None:
        return "it recurs"
    if not changed:
        return "it recurs; the code is unchanged"
    return f"it recurs, although {_named(changed)} changed since: not mended"


def _since(changed: tuple[str, ...] | None) -> str:
    return f" ({_named(changed)} changed since it was kept)" if changed else ""


def _unchanged(kept: Saved, store: str) -> str:
    why = ["the code under test has state that no step shows (keep it in Runtime.cell)"]
    if kept.walletrace != version():
        why.append(f"walletrace itself changed ({kept.walletrace} then, {version()} now)")
    if kept.store != store:
        why.append(f"{store} differs from {kept.found_in}, where it was found")
    return f"it does not recur, though the code is unchanged: {', or '.join(why)}"


def _named(changed: tuple[str, ...]) -> str:
    return " and ".join(_PARTS.get(part, part) for part in changed)


def _explore(kept: Saved) -> str:
    """The command that explores the whole cell again."""
    words = ["walletrace", "explore", kept.scenario]
    options = {
        "--lock": kept.lock if kept.lock != kept.wallet else None,
        "--wallet": kept.wallet,
        "--topology": kept.topology if kept.topology != "one-service" else None,
        "--faults": kept.faults,
        "--store": kept.store if kept.store != "memory" else None,
    }
    words += [word for name, value in options.items() if value for word in (name, value)]
    return shlex.join(words)
