"""Compares what was acknowledged with what the service holds, and says so in words and in JSON.

Money judges: the verdict comes from balances and from the operation log's audit, never from HTTP
statuses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.money import show_cents
from engine.verdicts import Break, Finding, Verdict, exit_status
from locustfiles.ledger import differences
from locustfiles.tally import Tally

# More findings than these say nothing new; the sum counts every account.
FINDINGS_MAX = 10
SHOWN_MAX = 3


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the service said after the run: balances (account to cents) and its own audit.

    `audit` is None where the database was broken before the run: it says nothing about this one.
    """

    balances: Mapping[str, int]
    audit: tuple[Finding, ...] | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """`lost_cents`: what the wallets hold less (positive) or more (negative) than acknowledged.

    `doubts` say why nothing could be decided.
    """

    verdict: Verdict
    findings: tuple[Finding, ...]
    lost_cents: int
    doubts: tuple[str, ...]

    @property
    def exit_status(self) -> int:
        return exit_status(self.verdict)


def judge(
    opening_cents: int,
    tally: Tally,
    holdings: Holdings | None,
    *,
    service_workers: int = 0,
    doubts: tuple[str, ...] = (),
) -> Judgement:
    """The verdict on a run whose wallets were all opened with `opening_cents`.

    `doubts`: what is known to be incomplete. Without the sums of every process, or without the
    service's answer, a difference proves nothing; where only too few of the `service_workers` took
    part, a loss is still a loss.
    """
    if doubts or holdings is None:
        return Judgement(Verdict.UNKNOWN, (), 0, doubts or ("the service did not answer",))
    outside = differences(opening_cents, tally.ledger, holdings.balances)
    audit = (holdings.audit or ())[:FINDINGS_MAX]
    findings = (*_money_findings(outside, holdings), *audit)
    if findings:
        return Judgement(Verdict.BROKEN, findings, -sum(outside.values()), ())
    if not tally.acknowledged:
        doubts = ("no operation was acknowledged",)
    if len(tally.service_workers) < service_workers:
        served = len(tally.service_workers)
        doubts = (*doubts, f"only {served} of {service_workers} service workers served")
    return Judgement(Verdict.UNKNOWN if doubts else Verdict.CLEAN, (), 0, doubts)


def _money_findings(outside: Mapping[str, int], holdings: Holdings) -> tuple[Finding, ...]:
    worst = sorted(outside, key=lambda account: -abs(outside[account]))[:FINDINGS_MAX]
    return tuple(
        Finding(
            Break.MONEY,
            f"{account} holds {show_cents(holdings.balances[account])}, that is"
            f" {_less_or_more(-outside[account])} than acknowledged",
            outside[account],
        )
        for account in worst
    )


def _less_or_more(lost_cents: int) -> str:
    return f"{show_cents(abs(lost_cents))} {'less' if lost_cents >= 0 else 'more'}"


def in_words(judgement: Judgement, tally: Tally) -> str:
    """The block that is printed when a run ends."""
    said = f"the {tally.acknowledged:,} acknowledged operations say"
    lines = []
    if judgement.lost_cents:
        lines.append(f"the wallets hold {_less_or_more(judgement.lost_cents)} than {said}")
    elif judgement.verdict is Verdict.CLEAN:
        lines.append(f"the wallets hold exactly what {said}" + _give_or_take(tally))
    lines += [f"  {finding.kind}: {finding.message}" for finding in judgement.findings[:SHOWN_MAX]]
    if len(judgement.findings) > SHOWN_MAX:
        lines.append(f"  and {len(judgement.findings) - SHOWN_MAX} more like these")
    lines += [f"  undecided: {doubt}" for doubt in judgement.doubts]
    lines += [f"  refused: {count:,} × {code}" for code, count in sorted(tally.refused.items())]
    lines += [f"  failed: {count:,} × {code}" for code, count in sorted(tally.errors.items())]
    lines.append(f"verdict: {judgement.verdict} (exit status {judgement.exit_status})")
    return "\n".join(["", "money ".ljust(80, "-"), *lines, "-" * 80])


def _give_or_take(tally: Tally) -> str:
    if not tally.unanswered:
        return ""
    return f", give or take the {tally.unanswered:,} that were never answered"


def as_document(judgement: Judgement, tally: Tally) -> dict[str, Any]:
    """The run as JSON. Times in the unit their name ends with, money in cents.

    `percentiles`: kind of request ("all" for all) to measure (latency, lock_wait, store_wait) to
    p50_ms, p90_ms, p99_ms, p999_ms, max_ms.
    """
    completed = tally.ok.total() + tally.refused.total()
    return {
        "run_id": tally.run_id,
        "verdict": judgement.verdict,
        "exit_status": judgement.exit_status,
        "lost_cents": judgement.lost_cents,
        "findings": [
            {"kind": finding.kind, "message": finding.message, "cents": finding.cents}
            for finding in judgement.findings
        ],
        "doubts": list(judgement.doubts),
        "seconds": tally.seconds,
        "sent": tally.sent,
        "completed": completed,
        "acknowledged": tally.acknowledged,
        "unanswered": tally.unanswered,
        "throughput_per_s": completed / tally.seconds if tally.seconds else 0.0,
        "ok": dict(tally.ok),
        "refused": dict(tally.refused),
        "errors": dict(tally.errors),
        "service_workers": sorted(tally.service_workers),
        "percentiles": tally.percentiles(),
    }
