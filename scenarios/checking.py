"""Files read, judged and told: what `walletrace check` does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np

from engine.checks import judge
from engine.checks.cut_short import of_a_part
from engine.checks.modelled import MODELS, judge_as
from engine.checks.verdict import Budget, Exceeded, Judgement, Violation
from engine.checks.view import view_of
from engine.errors import HistoryIncomplete, HistoryMalformed, StoreFull, UsageError
from engine.histories.columns import MISSING, History
from engine.histories.mapping import Mapping, read_mapping
from engine.histories.reading import Reading, read_run
from engine.histories.reading_runs import Run, runs_in
from engine.histories.reading_source import NoHistory
from engine.recording import Ended
from engine.resident import memory_mb
from engine.verdicts import Verdict
from reports.checked import Checked, CheckedViolation
from reports.history_figures import write_money_figure
from reports.history_page import write_history_page
from scenarios.console import err, progress
from scenarios.evidence import check_place

NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Pictures:
    """Files to draw the history into, where wanted."""

    html: Path | None = None
    figure: Path | None = None

    def check(self) -> None:
        """UsageError for a file that could not be written in the end: said before the work."""
        for file in (self.html, self.figure):
            if file is not None:
                check_place(file)
        if self.figure is not None and self.figure.suffix not in (".svg", ".png"):
            raise UsageError(
                f"a figure cannot be written to '{self.figure}'", "name it .svg or .png"
            )

    def check_one_of(self, runs: Sequence[Run]) -> None:
        """UsageError where pictures are wanted and it is not clear of which run."""
        if len(runs) > 1 and (self.html or self.figure):
            first = ", ".join(map(str, runs[0].files[:1]))
            raise UsageError(f"one picture of {len(runs)} runs", f"name one of them, like {first}")

    def draw(self, history: History, judgement: Judgement, title: str) -> None:
        """Write them, and say so."""
        if self.html is None and self.figure is None:
            return
        view = view_of(history, judgement, title=title)
        if self.html is not None:
            _write(self.html, lambda path: write_history_page(path, view))
        if self.figure is not None:
            _write(self.figure, lambda path: write_money_figure(path, view))


def _write(path: Path, write: Callable[[Path], None]) -> None:
    try:
        write(path)
    except OSError as error:
        raise StoreFull(f"cannot write {path} ({error.strerror})", "name another file") from error
    err.print(f"written: {path}", markup=False, highlight=False, soft_wrap=True)


def check_files(
    files: Sequence[Path],
    mapping: Path | None = None,
    *,
    model: str = "wallet",
    clock_error_ms: float | None = None,
    budget_s: float,
    budget_mb: float,
    pictures: Pictures,
) -> tuple[Checked, ...]:
    """What can be said of each run in the files; of one that cannot be read: `unknown`. UsageError.

    `budget_s` and `budget_mb` are for all of them together.
    """
    pictures.check()
    rules = None if mapping is None else read_mapping(mapping)
    error_ns = None if clock_error_ms is None else round(clock_error_ms * NS_PER_MS)
    asked = _Asked(rules, model, error_ns, Budget(budget_s, budget_mb), pictures)
    runs = runs_in(files)
    pictures.check_one_of(runs)
    if len(runs) == 1:
        return (_checked(runs[0], asked, tuple(map(str, files))),)
    checked, strays = [], []
    for run in runs:
        try:
            checked.append(_checked(run, asked, tuple(map(str, run.files))))
        except NoHistory as error:
            if run.named:
                raise
            strays.append(_skipped(str(error)))
    return tuple(replace(each, limits=(*strays, *each.limits)) for each in checked)


@dataclass(frozen=True, slots=True)
class _Asked:
    """How every run is to be read, judged and drawn."""

    rules: Mapping | None
    model: str
    clock_error_ns: int | None
    budget: Budget
    pictures: Pictures


def _checked(run: Run, asked: _Asked, names: tuple[str, ...]) -> Checked:
    budget = asked.budget
    started_s = perf_counter()
    try:
        with progress(f"reading {', '.join(names[:3])}") as advance:

            def on_read(done: int, total: int, name: str) -> None:
                advance(100 * done // max(1, total), 100, f"% of {name}")
                budget.check()

            reading = read_run(
                run, asked.rules, clock_error_ns=asked.clock_error_ns, on_read=on_read
            )
        loading_s = perf_counter() - started_s
        judgement = _judged(reading, asked.model, budget)
    except Exceeded as error:
        return Checked(names, Verdict.UNKNOWN, limits=(str(error),), memory_mb=memory_mb())
    except (HistoryMalformed, HistoryIncomplete) as error:
        return Checked(names, Verdict.UNKNOWN, cut=(str(error),), memory_mb=memory_mb())
    asked.pictures.draw(reading.history, judgement, ", ".join(names))
    return replace(_told(reading, judgement), files=names, loading_s=loading_s)


def _skipped(why: str) -> str:
    return f"a file that is no history is skipped: {why}"


def _judged(reading: Reading, model: str, budget: Budget) -> Judgement:
    history = reading.history
    if not history.calls and history.log is None:
        raise HistoryMalformed("there are no operations", "rows of record call or log hold them")
    with progress(f"judging {history.calls:,} calls"):
        if model in MODELS:
            judgement = judge_as(model, history, budget)
        else:
            judgement = judge(history, budget=budget)
    return of_a_part(history, judgement) if reading.cut else judgement


def _told(reading: Reading, judgement: Judgement) -> Checked:
    history, log = reading.history, reading.history.log
    undecided = judgement.verdict is Verdict.UNKNOWN and not reading.cut
    unanswered = undecided and _unanswered(reading)
    made = {str(history.accounts[place]): -lost for place, lost in judgement.lost_on.items()}
    if judgement.count and not made:
        curves = view_of(history, judgement, calls_max=1).money
        made = {name: sums[-1] for name, _, sums in curves if name and sums[-1]}
    return Checked(
        reading.files,
        judgement.verdict,
        layer=judgement.layer,
        level="" if judgement.level is None else str(judgement.level),
        count=judgement.count,
        violations=tuple(_violation(history, each) for each in judgement.violations),
        passed=judgement.passed,
        limits=(*_ways_out(reading) * undecided, *limits(reading), *judgement.notes),
        cut=reading.cut,
        lost=judgement.lost,
        made=made,
        decimals=history.decimals,
        operations=history.calls or len(np.unique([] if log is None else log.operation)),
        rows=reading.rows,
        columns=reading.columns,
        ignored=reading.ignored,
        unanswered=unanswered,
        judging_s=judgement.seconds,
        memory_mb=judgement.memory_mb,
    )


def _violation(history: History, violation: Violation) -> CheckedViolation:
    def name(call: int) -> str:
        return str(history.operations[int(history.operation[call])])

    return CheckedViolation(
        violation.kind,
        violation.anomaly,
        violation.message,
        tuple(map(name, violation.calls)),
        "" if violation.account < 0 else str(history.accounts[violation.account]),
        violation.amount,
        tuple((name(link.earlier), name(link.later), link.why) for link in violation.links),
    )


def _unanswered(reading: Reading) -> bool:
    """Whether calls timed out, and nobody says that their effects are all in the files."""
    history = reading.history
    return not (history.complete or reading.own) and bool((history.ended == Ended.UNKNOWN).any())


def _ways_out(reading: Reading) -> tuple[str, ...]:
    """What somebody who knows more than the files could say."""
    if _unanswered(reading):
        return (
            "calls timed out, and may have happened or happen yet: if the files hold every change,"
            " and were taken after all had settled, say [file] complete = true in a mapping",
        )
    if (reading.history.openings == MISSING).any():
        return ("what accounts held at first is not known: a row of record = opening tells it",)
    return ()


def limits(reading: Reading) -> tuple[str, ...]:
    """What columns that are missing keep from being checked."""
    there = {*reading.columns}
    timed = bool({"invoked", "completed"} & there)
    said = {
        "each row is taken as one operation: no column names it": "operation" not in there,
        "no balances: only what answers imply": not {"before", "after"} & there,
        "every call is taken as answered ok: no column `outcome`": timed and "outcome" not in there,
        f"columns not read: {', '.join(reading.ignored)}": bool(reading.ignored),
    }
    told = (sentence for sentence, holds in said.items() if holds)
    return (*map(_skipped, reading.skipped), *told)
