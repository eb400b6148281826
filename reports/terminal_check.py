"""The verdict on a history on one screen: what is wrong, what was not checked, what to do next."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.verdicts import Verdict
from reports.checked import Checked, CheckedRuns, CheckedViolation
from reports.reading import SYMBOLS
from reports.summary import VERDICT_STYLES

# So many of each, that all fits 80 columns by 40 lines.
_VIOLATIONS_MAX = 5
_LIMITS_MAX = 6
_CUT_MAX = 3
_ACCOUNTS_MAX = 3
_FILES_MAX = 3
_RUNS_MAX = 20


def print_runs(out: Console, checked: CheckedRuns) -> None:
    """The verdict first, of several runs one for each; then what the worst of them rests on."""
    runs, worst = checked.worst_first, checked.worst
    if len(runs) == 1:
        out.print(_verdict(worst, _headline(worst)))
    else:
        shown = runs[: _shown(len(runs), _RUNS_MAX)]
        for run in shown:
            out.print(_verdict(run, _briefly(run)), no_wrap=True, overflow="ellipsis")
        _print_more(out, len(runs) - len(shown))
        title = f"{len(runs)} runs, each judged by itself. {_files(worst.files)}: "
        out.print(Text.assemble((title, "bold"), _headline(worst)))
    _print_details(out, worst)


def _verdict(checked: Checked, words: str) -> Text:
    verdict = f"{SYMBOLS[checked.verdict]} {checked.verdict}"
    style = VERDICT_STYLES[checked.verdict]
    return Text.assemble((verdict, style), f"  {_files(checked.files)}: {words}")


def _briefly(checked: Checked) -> str:
    return {
        Verdict.BROKEN: _counted(checked.count, "violation"),
        Verdict.CLEAN: "nothing wrong was found",
    }.get(checked.verdict, "undecided")


def _print_details(out: Console, checked: Checked) -> None:
    for line in _basis(checked):
        out.print(Text(line))
    leading = _leading(checked)
    for violation in leading:
        _print_violation(out, violation)
    _print_more(out, checked.count - len(leading))
    cut = "Not read to the end:" if checked.rows else "Cannot be read:"
    _print_list(out, cut, checked.cut, _CUT_MAX)
    _print_list(out, "Not checked:", checked.limits, _LIMITS_MAX)
    # Not wrapped: a command is there to be copied.
    out.print(Text(f"Next: {_next(checked)}", style="cyan"), soft_wrap=True)


def _files(files: Sequence[str]) -> str:
    more = len(files) - _FILES_MAX
    return ", ".join(files[:_FILES_MAX]) + (f" and {more} more" if more > 0 else "")


def _headline(checked: Checked) -> str:
    if checked.verdict is Verdict.BROKEN:
        wrong = (
            "one thing is wrong" if checked.count == 1 else f"{checked.count:,} things are wrong"
        )
        return f"{wrong}, found by the layer {checked.layer}"
    if checked.verdict is Verdict.CLEAN:
        return f"nothing wrong was found, down to the layer {checked.layer}; this is no proof"
    return "it could not be decided whether something is wrong"


def _basis(checked: Checked) -> Iterator[str]:
    if checked.operations or checked.rows:
        operations, rows = _counted(checked.operations, "operation"), _counted(checked.rows, "row")
        times = f"read in {checked.loading_s:.2f} s, judged in {checked.judging_s:.2f} s"
        yield f"{operations} in {rows}, {times}"
    if checked.level:
        yield f"The strongest level it satisfies: {checked.level}."
    passed = [layer for layer in checked.passed if layer != checked.layer]
    if passed:
        yield f"Nothing was found by: {', '.join(passed)}."
    if checked.lost or checked.made:
        parts = [checked.made_words(-checked.lost)] if checked.lost else ["Money is wrong"]
        worst = sorted(checked.made.items(), key=lambda each: -abs(each[1]))[:_ACCOUNTS_MAX]
        each = ", ".join(f"{name} {checked.made_words(amount)}" for name, amount in worst)
        yield ": ".join([*parts, *([each] if each else [])]) + "."


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _shown(count: int, most: int) -> int:
    """How many lines: one more fits where else it would say that there is one more."""
    return count if count == most + 1 else most


def _leading(checked: Checked) -> list[CheckedViolation]:
    """The first of each kind on each account: the rest of a race says the same again."""
    if checked.count <= 2:
        return list(checked.violations)
    first: dict[tuple[str, str], CheckedViolation] = {}
    for violation in checked.violations:
        first.setdefault((violation.account, violation.anomaly), violation)
    return list(first.values())[:_VIOLATIONS_MAX]


def _print_violation(out: Console, violation: CheckedViolation) -> None:
    grid = Table.grid(padding=(0, 1))
    text = Text(violation.anomaly, style="bold red")
    grid.add_row("!", text.append(f": {violation.message}", style="not bold red"))
    out.print(grid)


def _print_more(out: Console, more: int) -> None:
    if more > 0:
        out.print(Text(f"… and {more:,} more (--json lists the first)", style="dim"))


def _print_list(out: Console, title: str, lines: Sequence[str], most: int) -> None:
    if not lines:
        return
    out.print(Text(title, style="bold"))
    most = _shown(len(lines), most)
    for line in lines[:most]:
        grid = Table.grid(padding=(0, 1))
        grid.add_row("•", Text(line))
        out.print(grid)
    _print_more(out, len(lines) - most)


def _next(checked: Checked) -> str:
    files = " ".join(checked.files[:_FILES_MAX]) or "FILE"
    timed = "invoked" in checked.columns
    if checked.verdict is Verdict.BROKEN and timed:
        return f"walletrace check {files} --html history.html, and look at it around the violation"
    if checked.cut:
        return "mend or export the file again, and check it once more; docs/check.md says how"
    if checked.unanswered:
        return (
            "if the files hold every change, and were taken after all had settled, say so with"
            " [file] complete = true in a mapping (--map)"
        )
    if checked.verdict is Verdict.UNKNOWN:
        return "give it more (--budget-s, --budget-mb), or record what is said to be missing"
    if not timed:
        return "record when calls were invoked and completed: it tells who ran into whom"
    return "walletrace list, to explore what this run did not meet"
