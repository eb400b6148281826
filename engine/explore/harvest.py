"""What the runs of a search amount to that does not count every interleaving."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.errors import SYSTEM_CODES
from engine.explore.controller import Run
from engine.explore.judge import WORST_FIRST, judge, outcome_label
from engine.explore.scenario import Scenario
from engine.history import CallRecord, Outcome
from engine.verdicts import Break, Finding, Verdict

# So many of the best losing runs are kept, for a witness to be told.
LOSING_KEPT_MAX = 200


@dataclass(slots=True)
class Harvest:
    """Runs, judged. `outcomes` counts runs, `best` are losing ones: worst break, fewest faults,
    then fewest preemptions. `complete`: no run could end in a way that is not in here.
    """

    runs: int = 0
    losing: int = 0
    overlong: int = 0
    redundant: int = 0
    answered: bool = False
    succeeded: bool = False
    complete: bool = False
    covered: str = ""
    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: set[Break] = field(default_factory=set)
    best: list[Run] = field(default_factory=list)
    _rank: tuple[int, int, int] | None = None
    _judged: dict[object, tuple[tuple[Finding, ...], str]] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """Safe only if nothing was left out."""
        if self.losing:
            return Verdict.BROKEN
        if not self.complete or self.overlong:
            return Verdict.BOUNDED
        return Verdict.SAFE if self.answered else Verdict.UNKNOWN

    def add(self, scenario: Scenario, run: Run, *, faulted: bool) -> tuple[Finding, ...]:
        """Judge and count one more run; what is wrong with it."""
        self.runs += 1
        if run.overlong:
            self.overlong += 1
            self.outcomes["cut off"] += 1
            return ()
        self.answered = self.answered or was_answered(run.history)
        self.succeeded = self.succeeded or any(c.outcome is Outcome.OK for c in run.history)
        # Many runs end alike: each ending is judged once.
        ending = end_key(run)
        if ending not in self._judged:
            findings = judge(scenario, run, faulted=faulted)
            self._judged[ending] = findings, outcome_label(run, findings)
        findings, label = self._judged[ending]
        self.outcomes[label] += 1
        if findings:
            self._keep(run, findings)
        return findings

    def _keep(self, run: Run, findings: Sequence[Finding]) -> None:
        self.losing += 1
        self.kinds |= {finding.kind for finding in findings}
        worst = min(WORST_FIRST.index(finding.kind) for finding in findings)
        rank = (worst, sum("!" in move for move in run.schedule), run.preemptions)
        if self._rank is None or rank < self._rank:
            self._rank, self.best = rank, []
        if rank == self._rank and len(self.best) < LOSING_KEPT_MAX:
            self.best.append(run)


def was_answered(history: Sequence[CallRecord]) -> bool:
    """Whether anybody was told more than that the system could not do it; else nothing was shown.

    A program that makes no calls is its own judge.
    """
    told = (call for call in history if call.outcome is not Outcome.UNKNOWN)
    return not history or any(call.code not in SYSTEM_CODES for call in told)


def end_key(run: Run) -> object:
    """All that a judge looks at, with the times of calls replaced by their order."""
    times = sorted({c.invoked_ns for c in run.history} | {c.completed_ns or 0 for c in run.history})
    rank = {moment: number for number, moment in enumerate(times)}
    calls = tuple(
        (c.client, c.request, c.outcome, c.code, c.answer, c.key)
        + (rank[c.invoked_ns], rank[c.completed_ns or 0], c.completed_ns is None)
        for c in run.history
    )
    ending = (run.ending.log, run.ending.leaked, tuple(run.ending.rows.items()))
    return (*ending, run.deadlocked, run.awaited, run.faults, run.excused, calls)
