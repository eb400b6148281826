"""What `walletrace check` found in files, for the terminal, JSON and JUnit alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.money import made_words, show
from engine.verdicts import Break, Verdict


@dataclass(frozen=True, slots=True)
class CheckedViolation:
    """One thing that is wrong, names instead of places; see `checks.verdict.Violation`.

    `account` is "" where several are meant; `cycle`: (earlier, later, why).
    """

    kind: Break
    anomaly: str
    message: str
    operations: tuple[str, ...] = ()
    account: str = ""
    amount: int = 0
    cycle: tuple[tuple[str, str, str], ...] = ()


WORST_FIRST = (Verdict.BROKEN, Verdict.UNKNOWN, Verdict.CLEAN)


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdict on the history in `files`.

    `rows` and `columns` (ours) are what was read, `ignored` columns of theirs that were not, `cut`
    why not all of it. `count` is exact, `violations` bounded. `limits`: what could not be checked,
    and why; `unanswered`: it is undecided only until somebody says that the history is whole.
    `made`: money made (lost: negative) in accounts, the worst ones. Money is in the
    smallest unit, of which `decimals` digits stand behind the point; `lost` is None where unknown.
    """

    files: tuple[str, ...]
    verdict: Verdict
    expected: Verdict | None = None
    layer: str = ""
    level: str = ""
    count: int = 0
    violations: tuple[CheckedViolation, ...] = ()
    passed: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    lost: int | None = None
    made: Mapping[str, int] = field(default_factory=dict)
    decimals: int = 2
    operations: int = 0
    rows: int = 0
    columns: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    unanswered: bool = False
    loading_s: float = 0.0
    judging_s: float = 0.0
    memory_mb: float = 0.0

    @property
    def as_expected(self) -> bool:
        if self.expected is None:
            return self.verdict in (Verdict.SAFE, Verdict.CLEAN)
        return self.verdict is self.expected

    def money(self, amount: int) -> str:
        """The exact decimal text of an amount.

        >>> Checked((), Verdict.CLEAN).money(-5), Checked((), Verdict.CLEAN, decimals=0).money(7)
        ('-0.05', '7')
        """
        return show(amount, self.decimals)

    def made_words(self, amount: int) -> str:
        """
        >>> Checked((), Verdict.CLEAN).made_words(-50000)
        '500.00 lost'
        """
        return made_words(amount, self.decimals)


@dataclass(frozen=True, slots=True)
class CheckedRuns:
    """What was found in one run or several; the worst of them stands for all."""

    runs: tuple[Checked, ...]

    @property
    def worst(self) -> Checked:
        return self.worst_first[0]

    @property
    def worst_first(self) -> list[Checked]:
        return sorted(self.runs, key=lambda run: WORST_FIRST.index(run.verdict))


def runs_json(checked: CheckedRuns) -> dict[str, Any]:
    """Of one run all of it; of several, the worst verdict and each of them under "runs"."""
    if len(checked.runs) == 1:
        return checked_json(checked.worst)
    return {
        "verdict": checked.worst.verdict,
        "expected": checked.worst.expected,
        "as_expected": checked.worst.as_expected,
        "runs": [checked_json(run) for run in checked.runs],
    }


def checked_json(checked: Checked) -> dict[str, Any]:
    """All of it as JSON; money as exact decimal texts."""
    return {
        "files": list(checked.files),
        "verdict": checked.verdict,
        "expected": checked.expected,
        "as_expected": checked.as_expected,
        "layer": checked.layer,
        "level": checked.level or None,
        "count": checked.count,
        "violations": [_violation(checked, each) for each in checked.violations],
        "passed": list(checked.passed),
        "limits": list(checked.limits),
        "cut": list(checked.cut),
        "lost": None if checked.lost is None else checked.money(checked.lost),
        "made": {account: checked.money(amount) for account, amount in checked.made.items()},
        "decimals": checked.decimals,
        "operations": checked.operations,
        "rows": checked.rows,
        "columns": list(checked.columns),
        "ignored": list(checked.ignored),
        "loading_s": round(checked.loading_s, 4),
        "judging_s": round(checked.judging_s, 4),
        "memory_mb": round(checked.memory_mb, 1),
    }


def _violation(checked: Checked, violation: CheckedViolation) -> dict[str, Any]:
    return {
        "kind": violation.kind,
        "anomaly": violation.anomaly,
        "message": violation.message,
        "operations": list(violation.operations),
        "account": violation.account or None,
        "amount": checked.money(violation.amount),
        "cycle": [
            {"earlier": earlier, "later": later, "why": why}
            for earlier, later, why in violation.cycle
        ],
    }
