"""The verdict on a history on one screen: what is wrong, what was not checked, what to do next."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.verdicts import Verdict
from reports.checked import Checked, CheckedViolation
from reports.reading import SYMBOLS
from reports.summary import VERDICT_STYLES

# So many of each, that all fits 80 columns by 40 lines.
_VIOLATIONS_MAX = 5
_LIMITS_MAX = 6
_CUT_MAX = 3
_ACCOUNTS_MAX = 3
_FILES_MAX = 3


def print_check(out: Console, checked: Checked) -> None:
    """The verdict first, then what it rests on."""
    style = VERDICT_STYLES[checked.verdict]
    words = f"  {_files(checked.files)}: {_headline(checked)}"
    out.print(Text.assemble((f"{SYMBOLS[checked.verdict]} {checked.verdict}", style), words))
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
        yield (
            f"{checked.operations:,} operations in {checked.rows:,} rows, read in"
            f" {checked.loading_s:.2f} s, judged in {checked.judging_s:.2f} s"
        )
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


def _leading(checked: Checked) -> list[CheckedViolation]:
    """The first of each kind on each account: the rest of a race says the same again."""
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
    if checked.verdict is Verdict.UNKNOWN:
        return "give it more (--budget-s, --budget-mb), or record what is said to be missing"
    if not timed:
        return "record when calls were invoked and completed: it tells who ran into whom"
    return "walletrace list, to explore what this run did not meet"
