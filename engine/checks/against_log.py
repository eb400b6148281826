"""What was answered, beside the operation log: each effect in it once, and as it was answered."""

import numpy as np

from engine.checks.settle import Settled
from engine.checks.telling import made_or_lost, named, shown_account
from engine.checks.verdict import (
    VIOLATIONS_MAX,
    Budget,
    Found,
    Violation,
    nothing_satisfied,
    together,
)
from engine.histories.columns import MISSING, History
from engine.money import show
from engine.recording import Ended, Kind
from engine.verdicts import Break


def check_against_log(settled: Settled, budget: Budget) -> Found:
    """Judge what was answered by the log; without one there is nothing to say."""
    budget.check()
    log = settled.history.log
    if log is None:
        return Found()
    parts = [_otherwise(settled), _strays(settled)]
    if settled.source.complete:
        parts.append(_forgotten(settled))
    return nothing_satisfied(together(*parts))


def _forgotten(settled: Settled) -> Found:
    """Changes that were acknowledged, and of which the log knows nothing."""
    history = settled.history
    missing = (settled.writes & (settled.row < 0)) | settled.torn
    calls = np.unique(history.call_of_entry()[missing])
    found = []
    for call in calls[:VIOLATIONS_MAX].tolist():
        entry = int(history.first[call]) + int(np.argmax(missing[history.first[call] :]))
        account, amount = int(history.account[entry]), int(history.amount[entry])
        lost = 0 if amount == MISSING else -amount
        told = (
            f"the log has {named(history, call)}, but not on this account"
            if settled.torn[entry]
            else f"{named(history, call)} was acknowledged, but the log does not have it"
        )
        found.append(
            Violation(
                Break.MONEY,
                "torn transfer" if settled.torn[entry] else "forgotten",
                f"{shown_account(history, account)}: {told}" + made_or_lost(lost, history.decimals),
                settled.asked(call),
                account,
                lost,
            )
        )
    return Found(found, len(calls))


def _otherwise(settled: Settled) -> Found:
    """Entries that the log tells otherwise than the answer did."""
    history, log = settled.history, settled.history.log
    assert log is not None
    entries = np.flatnonzero(settled.row >= 0)
    rows = settled.row[entries]
    differs = np.zeros(len(entries), np.bool_)
    for name in ("amount", "before", "after", "version"):
        answered, told = getattr(history, name)[entries], getattr(log, name)[rows]
        differs |= (answered != told) & (answered != MISSING) & (told != MISSING)
    bad = entries[differs]
    of = history.call_of_entry()
    found = [_told_otherwise(settled, int(entry), int(of[entry])) for entry in bad[:VIOLATIONS_MAX]]
    return Found(found, len(bad))


def _told_otherwise(settled: Settled, entry: int, call: int) -> Violation:
    history, log = settled.history, settled.history.log
    assert log is not None
    account, row = int(history.account[entry]), int(settled.row[entry])
    for name in ("amount", "before", "after", "version"):
        answered, told = int(getattr(history, name)[entry]), int(getattr(log, name)[row])
        if answered != told and MISSING not in (answered, told):
            break
    if name != "version":
        shown = show(answered, history.decimals), show(told, history.decimals)
    else:
        shown = str(answered), str(told)
    return Violation(
        Break.MONEY,
        "told otherwise",
        f"{shown_account(history, account)}: {named(history, call)} was answered with"
        f" {name} {shown[0]}, but the log says {shown[1]}",
        settled.asked(call),
        account,
        told - answered if name == "amount" else 0,
    )


def _strays(settled: Settled) -> Found:
    """Rows of the log that nobody asked for, that were refused, or that stand in it again."""
    strays = settled.strays
    bad = np.flatnonzero(strays.wrong)
    found = [
        _stray(settled.source, int(strays.row[at]), int(strays.call[at]), bool(strays.again[at]))
        for at in bad[:VIOLATIONS_MAX]
    ]
    return Found(found, len(bad))


def _stray(asked: History, row: int, call: int, again: bool) -> Violation:
    log = asked.log
    assert log is not None
    account, amount = int(log.account[row]), int(log.amount[row])
    kind = Kind(int(log.kind[row]))
    signed = amount if kind is Kind.CHANGE else abs(amount)
    shown = "" if amount == MISSING else f" {show(signed, asked.decimals)}"
    who = f"{asked.operations[int(log.operation[row])]} ({kind.name.lower()}{shown})"
    if again:
        anomaly, told = "applied twice", "stands in the log more than once"
    elif call < 0:
        anomaly, told = "never asked", "stands in the log, but nobody asked for it"
    elif asked.ended[call] == Ended.REFUSED:
        anomaly, told = "refused yet applied", "was refused, but stands in the log"
    else:
        anomaly, told = "never asked", "stands in the log, but did not ask for this account"
    return Violation(
        Break.MONEY,
        anomaly,
        f"{shown_account(asked, account)}: {who} {told}",
        () if call < 0 else (call,),
        account,
        0 if amount == MISSING else amount,
    )
