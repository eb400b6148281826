"""Money judges a run: what broke, from balances, operation log and answers alone."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from engine.checks.linearizable import explained
from engine.errors import SYSTEM_CODES
from engine.explore.controller import Run
from engine.explore.scenario import Scenario
from engine.history import CallRecord, LogRow, Outcome
from engine.money import show_cents
from engine.operations import Balance, CheckSufficient
from engine.verdicts import Break, Finding

WORST_FIRST = tuple(Break)


def judge(scenario: Scenario, run: Run, *, faulted: bool) -> tuple[Finding, ...]:
    """What is wrong with `run`; nothing if it is empty. `faulted`: somebody asked for faults."""
    if run.deadlocked:
        return (Finding(Break.LIVENESS, _deadlock(run)),)
    findings = [Finding(Break.LIVENESS, f"a client failed: {fault}") for fault in run.faults]
    findings += [
        Finding(Break.LIVENESS, f"{what} was never given back") for what in run.ending.leaked
    ]
    return (*_money(scenario, run, faulted), *findings)


def _money(scenario: Scenario, run: Run, faulted: bool) -> tuple[Finding, ...]:
    gaps = tuple(_gaps(run.ending.log))
    if gaps:
        return gaps
    if run.ending.gap:
        return (Finding(Break.MONEY, "the operation log's chain is broken"),)
    final = {account: row.balance for account, row in run.ending.rows.items()}
    # A conflict that is reported honestly is a cost, not a break: that call did not happen.
    answered = all(
        call.outcome is not Outcome.UNKNOWN and call.code not in SYSTEM_CODES
        for call in run.history
    )
    correct = scenario.correct
    if correct is not None and (scenario.always or (answered and not (faulted and run.excused))):
        held = {account: final.get(account, 0) for account in correct}
        if held != dict(correct):
            return (_wrong_balances(correct, held),)
    if explained(scenario.openings, run.history, final):
        return ()
    changes = [c for c in run.history if not isinstance(c.request, Balance | CheckSufficient)]
    if explained(scenario.openings, changes, final):
        return (_stale(scenario, run.history, final),)
    if explained(scenario.openings, changes, final, real_time=False):
        return (Finding(Break.ORDER, "no order of the calls fits real time"),)
    return (Finding(Break.MONEY, "no order of the calls explains the answers and balances"),)


def _gaps(log: Sequence[LogRow]) -> list[Finding]:
    """One finding for each row whose `before` is not what the row before it left."""
    return [
        Finding(Break.MONEY, _lost_update(earlier, later), later.before - earlier.after)
        for earlier, later in pairwise(sorted(log, key=lambda row: (row.account, row.version)))
        if earlier.account == later.account and earlier.after != later.before
    ]


def _lost_update(earlier: LogRow, later: LogRow) -> str:
    wrong = later.before - earlier.after
    return (
        f"{name(later)} had read {later.account} at {show_cents(later.before)} before"
        f" {name(earlier)} made it {show_cents(earlier.after)}, and wrote"
        f" {show_cents(later.after)} over it: {name(earlier)} is lost,"
        f" {show_cents(abs(wrong))} too {'much' if wrong > 0 else 'little'}"
    )


def name(row: LogRow) -> str:
    """ "A's withdrawal of 500.00", for people."""
    client = row.operation_id.partition(".")[0]
    verb = {"withdraw": "withdrawal", "add": "deposit"}.get(row.kind, row.kind)
    return f"{client}'s {verb} of {show_cents(abs(row.amount))}"


def _wrong_balances(correct: Mapping[str, int], held: Mapping[str, int]) -> Finding:
    shown = ", ".join(
        f"{account} should hold {show_cents(cents)}, holds {show_cents(held[account])}"
        for account, cents in correct.items()
        if held[account] != cents
    )
    return Finding(Break.MONEY, shown, sum(held.values()) - sum(correct.values()))


def _stale(scenario: Scenario, history: Sequence[CallRecord], final: Mapping[str, int]) -> Finding:
    """The answer without which everything can be explained, or else the last one."""
    asked = [call for call in history if isinstance(call.request, Balance | CheckSufficient)]
    stale = next(
        (
            call
            for call in asked
            if explained(scenario.openings, [c for c in history if c is not call], final)
        ),
        asked[-1],
    )
    assert isinstance(stale.request, Balance | CheckSufficient)
    told = show_cents(stale.answer) if type(stale.answer) is int else stale.answer
    return Finding(
        Break.READS,
        f"a stale answer: {stale.client} was told {stale.request.account} {told}, which was no"
        " longer so when it asked",
        client=stale.client,
    )


def _deadlock(run: Run) -> str:
    holders: dict[str, str] = {}
    for taken in run.taken:
        if taken.step.kind in ("acquire", "take"):
            wanted = taken.step.args[0]
            holders[getattr(wanted, "name", wanted)] = taken.move.lane
    stuck = zip(run.deadlocked, run.awaited, strict=True)
    return f"{_standstill(run)}: " + "; ".join(
        f"{lane} tries again and again"
        if wanted == "backoff"
        else f"{lane} waits for {wanted}{_held_by(holders.get(wanted))}"
        for lane, wanted in stuck
    )


def _held_by(holder: str | None) -> str:
    """Who holds a mutex or a lease; locks of the database itself are not in any step."""
    return f", held by {holder}" if holder else ""


def _standstill(run: Run) -> str:
    return "livelock" if "backoff" in run.awaited else "deadlock"


def outcome_label(run: Run, findings: Sequence[Finding]) -> str:
    """How a run ended, in words."""
    if run.deadlocked:
        return _standstill(run)
    held = ", ".join(
        f"{account}={show_cents(row.balance)}" for account, row in sorted(run.ending.rows.items())
    )
    kinds = [kind for kind in WORST_FIRST if any(f.kind is kind for f in findings)]
    return f"{held}: {', '.join(kinds)}" if kinds else held
