"""The verdict on a load run, from wallets and operation log; statuses and counts prove nothing.

Two witnesses against the wallets: the operation log, which must explain every balance by itself,
and the sums that clients were told. A call of unknown outcome counts if the log has it. Where the
run was recorded, its history is a third, and names the operations that collided.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from engine.checks import verdict as history
from engine.checks.ledger import audit
from engine.history import LogRow
from engine.money import show_cents
from engine.ports import Row
from engine.verdicts import Break, Finding, Verdict


@dataclass(frozen=True, slots=True)
class Judgement:
    """`lost_cents`: what the wallets hold less (positive) or more than was acknowledged."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    lost_cents: int


def judge(
    balances: Mapping[str, Row],
    log: Sequence[LogRow],
    *,
    openings: Mapping[str, int],
    acknowledged: Mapping[str, int],
    unsettled: AbstractSet[str],
    said: history.Judgement | None = None,
) -> Judgement:
    """Broken with findings, clean if there are none, unknown if nothing was acknowledged.

    `said` is the verdict on the run's history. Undecided, it leaves no more than `unknown`; broken,
    it speaks for the operation log too, whose own findings would say the same with less.
    """
    due = {account: cents + acknowledged.get(account, 0) for account, cents in openings.items()}
    for row in log:
        if row.operation_id in unsettled:
            due[row.account] = due.get(row.account, 0) + row.amount
    found = _against_acknowledged(balances, due)
    found += (said is not None and findings_of(said)) or audit(balances, log)
    lost_cents = sum(due.values()) - sum(row.balance for row in balances.values())
    happened = any(acknowledged.values()) or len(log) > len(openings)
    undecided = said is not None and said.verdict is Verdict.UNKNOWN
    verdict = Verdict.CLEAN if happened and not undecided else Verdict.UNKNOWN
    return Judgement(Verdict.BROKEN if found else verdict, found, lost_cents)


def findings_of(said: history.Judgement) -> tuple[Finding, ...]:
    """What is wrong with a history, as other findings say it."""
    return tuple(Finding(each.kind, each.message, each.amount) for each in said.violations)


def _against_acknowledged(
    balances: Mapping[str, Row], due: Mapping[str, int]
) -> tuple[Finding, ...]:
    found = []
    for account in sorted(due.keys() | balances.keys()):
        held = balances.get(account, Row(0, 0)).balance
        cents = held - due.get(account, 0)
        if cents:
            found.append(
                Finding(
                    Break.MONEY,
                    f"{account}: the wallet holds {show_cents(abs(cents))}"
                    f" {'more' if cents > 0 else 'less'} than the acknowledged operations say",
                    cents,
                )
            )
    return tuple(found)
