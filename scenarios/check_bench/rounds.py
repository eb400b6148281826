"""Taking turns: every case once in each round, and what came of it."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from engine.load.stats import median_interval
from scenarios.check_bench.cases import Case
from scenarios.check_bench.workers import Answer, Worker

# Called with what is done next, how much is done, and of how much.
Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Row:
    """One case: its cold first run, its rounds by size, and what kept it from an answer."""

    case: Case
    first: Answer | None = None
    rounds: dict[int, list[Answer]] = field(default_factory=dict)
    trouble: str = ""

    @property
    def said(self) -> str:
        """What it answered: what was expected, or else the first other thing it said."""
        answers = [answer.said for each in self.rounds.values() for answer in each]
        wrong = [said for said in answers if said != self.case.expected]
        return wrong[0] if wrong else self.case.expected

    @property
    def right(self) -> bool:
        return bool(self.rounds) and not self.trouble and self.said == self.case.expected

    @property
    def seconds(self) -> tuple[float, float, float]:
        """Low end, median and high end of its rounds at the full size."""
        taken = [answer.seconds for answer in self.rounds[max(self.case.sizes)]]
        return median_interval(taken, seed=0)

    @property
    def slope(self) -> float | None:
        """The exponent with which time grows with size; None where there is but one size."""
        if len(self.rounds) < 2:
            return None
        taken = [median(answer.seconds for answer in each) for each in self.rounds.values()]
        return float(np.polyfit(np.log(list(self.rounds)), np.log(taken), 1)[0])

    @property
    def met(self) -> bool | None:
        """Whether all its targets are reached; None where it has none."""
        case = self.case
        if case.target_s is None and case.target_mb is None:
            return None
        if not self.right:
            return False
        in_time = case.target_s is None or self.seconds[1] <= case.target_s
        memory_mb = self.first.memory_mb if self.first else None
        return in_time and (
            case.target_mb is None or (memory_mb is not None and memory_mb <= case.target_mb)
        )


def measure(
    cases: Sequence[Case],
    folder: Path,
    *,
    rounds: int,
    on_progress: Progress = lambda what, done, of: None,
) -> list[Row]:
    """A B C, A B C, … A case that fails in its process is left out of the further rounds."""
    rows = [Row(case) for case in cases]
    with ExitStack() as stack:
        workers = []
        for done, row in enumerate(rows):
            on_progress(f"making histories: {row.case.name}", done, len(rows) * (rounds + 1))
            workers.append(Worker(row.case.name, folder))
            stack.callback(workers[-1].close)
            _try(row, _begin, workers[-1])
        for turn in range(rounds):
            for place, (row, worker) in enumerate(zip(rows, workers, strict=True)):
                done = len(rows) * (turn + 1) + place
                on_progress(row.case.name, done, len(rows) * (rounds + 1))
                _try(row, _one_round, worker)
    return rows


def _try(row: Row, step: Callable[[Row, Worker], None], worker: Worker) -> None:
    if row.trouble:
        return
    try:
        step(row, worker)
    except Exception as error:  # whatever a judge does must not end the others' rounds
        row.trouble = f"{type(error).__name__}: {error}"


def _begin(row: Row, worker: Worker) -> None:
    worker.prepare()
    row.first = worker.first()


def _one_round(row: Row, worker: Worker) -> None:
    for size in row.case.sizes:
        row.rounds.setdefault(size, []).append(worker.ask(size))


def missed(rows: Iterable[Row]) -> list[Row]:
    """The cases that do not reach their target, or did not answer rightly."""
    return [row for row in rows if row.met is False or not row.right]
