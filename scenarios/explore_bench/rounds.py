"""Taking turns: every tool once in each round of a case, and what came of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from engine.load.stats import median_interval
from scenarios.explore_bench.cases import Answer, Case
from scenarios.explore_bench.workers import OURS

# A first run that took as long as this is a round already: warming up is nothing beside it.
WARM_S = 1.0

Progress = Callable[[Case, str], None]


class Asked(Protocol):
    """A tool that answers."""

    def ask(self, case: str, limit_s: float, *, once: bool = False) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Times:
    """How many times as long as ours a peer takes: the median of paired rounds, its interval."""

    ratio: float
    low: float
    high: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Row:
    """One case: each tool's answers, a single one where it did not answer what was asked."""

    case: Case
    answers: Mapping[str, Sequence[Answer]]

    def done(self, tool: str) -> bool:
        """Whether the tool answered what was asked, in every round."""
        return bool(self.answers[tool]) and all(answer.done for answer in self.answers[tool])

    def seconds(self, tool: str) -> float:
        """The median of its rounds, or how long it had tried."""
        return median(answer.seconds for answer in self.answers[tool])

    def times(self, peer: str) -> Times | None:
        """The peer's time over ours; None unless both answered."""
        if not (self.done(OURS) and self.done(peer)):
            return None
        pairs = zip(self.answers[peer], self.answers[OURS], strict=False)
        quotients = [theirs.seconds / mine.seconds for theirs, mine in pairs]
        low, middle, high = median_interval(quotients, seed=0)
        return Times(middle, low, high, len(quotients))

    @property
    def met(self) -> bool | None:
        """Whether we reach our target; None where the case has none."""
        if self.case.target_ms is None and self.case.target_runs is None:
            return None
        if not self.done(OURS):
            return False
        if self.case.target_ms is not None:
            return self.seconds(OURS) * 1000 <= self.case.target_ms
        assert self.case.target_runs is not None
        runs = self.answers[OURS][-1].runs
        return runs is not None and runs <= self.case.target_runs


def compare(
    cases: Iterable[Case],
    tools: Mapping[str, Asked],
    *,
    rounds: int,
    limit_s: float,
    on_progress: Progress = lambda case, tool: None,
) -> list[Row]:
    """A B C, A B C, … for each case. Who did not answer in the first run is not asked again."""
    rows = []
    for case in cases:
        answers: dict[str, list[Answer]] = {}
        for name, tool in tools.items():
            on_progress(case, name)
            first = tool.ask(case.name, limit_s, once=True)
            answers[name] = [first] if first.seconds >= WARM_S or not first.done else []
        going = [name for name in tools if not answers[name] or answers[name][0].done]
        for turn in range(1, rounds + 1):
            for name in going:
                on_progress(case, name)
                if len(answers[name]) < turn and all(answer.done for answer in answers[name]):
                    answers[name].append(tools[name].ask(case.name, limit_s))
        rows.append(Row(case, answers))
    return rows
