"""The findings on a terminal: verdicts and costs on one screen, and a witness step by step."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.results import Cell, Witness
from engine.verdicts import Break, Verdict
from reports import timeline_terminal
from reports.conclusion import Tone, conclude
from reports.fault_tables import breaking_words, counted_words, fault_tables, has_fault_axis
from reports.found import Found
from reports.reading import (
    MEANINGS,
    SYMBOLS,
    in_order,
    squares,
    unexpected_count,
)
from reports.standing import standings
from reports.summary import VERDICT_STYLES, captions, summary
from reports.telling import ending
from reports.terminal_matrix import legend, matrix_table
from reports.timeline_words import who_met_whom

# So many sentences of a tone, and lines of each, that all fits 80 columns by 40 lines.
_SENTENCES_MAX = {Tone.WRONG: 3, Tone.AVOID: 2, Tone.CARE: 2, Tone.COST: 2}
_LINES_MAX = 3
# In the matrix no schedule has room.
_BROKEN_ELSEWHERE = "something broke; `walletrace explore` shows a schedule that does it"
# A lock strategy is not blamed for what none cures; beside its ✗ that has to be said.
_APART = "Apart from what breaks whatever the lock: "
# What was counted, where it was not interleavings.
_UNITS = {"trace by trace": "traces", "by luck": "runs"}
# So many ways to end are shown, so that a witness of some 20 steps still fits the screen.
_OUTCOMES_MAX = 10
_STANDSTILLS = ("deadlock", "livelock")
_KINDS = frozenset(Break)


def print_report(out: Console, found: Found, *, page: str = "") -> None:
    """Verdicts and costs by lock strategy, the conclusion, and what to do next: one screen."""
    conclusion = conclude(found)
    style = "bold red" if conclusion.of(Tone.WRONG) else "bold"
    out.print(Text(conclusion.headline, style=style))
    out.print(summary(found))
    for caption in captions(found):
        out.print(Text(caption, style="dim"))
    for tone, most in _SENTENCES_MAX.items():
        for sentence in conclusion.of(tone)[:most]:
            out.print(_bullet(sentence.text, out.width, wrong=tone is Tone.WRONG))
    # Not wrapped: a command or path is there to be copied.
    out.print(Text(f"Next: {next_step(found)}", style="cyan"), soft_wrap=True)
    if page:
        out.print(Text(f"All of it: {page}", style="cyan"), soft_wrap=True)


def next_step(found: Found, named: Mapping[str, str] = MappingProxyType({})) -> str:
    """The command that leads on: to the first surprise, else to the first loss, else around.

    `named` says how a scenario of the user's own is named on the command line.
    """
    broken = [cell for cell in found.cells if cell.verdict is Verdict.BROKEN]
    surprising = [cell for cell in found.cells if not cell.as_expected]
    for cell in (surprising + broken)[:1]:
        topology = f" --topology {cell.topology}" if cell.topology != "one-service" else ""
        faults = f" --faults {cell.faults or 'none'}" if has_fault_axis(found.cells) else ""
        lock = f" --lock {cell.lock}" if cell.lock != cell.wallet else ""
        wallet = f" --wallet {cell.wallet}" if cell.wallet else ""
        scenario = named.get(cell.scenario, cell.scenario)
        return f"walletrace explore {scenario}{lock}{wallet}{topology}{faults}"
    return "walletrace list"


def _bullet(text: str, width: int, *, wrong: bool) -> Table:
    """One sentence, cut so that all fit the screen; the page has it whole."""
    room = (width - 2) * _LINES_MAX - 12
    cut = text if len(text) <= room else text[:room].rsplit(" ", 1)[0] + " …"
    grid = Table.grid(padding=(0, 1))
    grid.add_row("!" if wrong else "•", Text(cut, style="red" if wrong else ""))
    return grid


def print_matrix(
    out: Console, cells: Sequence[Cell], named: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Every scenario under every lock strategy and topology, then the conclusion.

    Under several fault budgets all scenarios are summed up, so that it stays one screen. `named`
    is that of `next_step`.
    """
    placed, found = squares(cells), Found(tuple(cells))
    several = has_fault_axis(cells)
    if several:
        out.print(Text(counted_words(), style="dim"))
    for table in fault_tables(cells) if several else [matrix_table(placed)]:
        out.print(table)
    if not several:
        out.print(Text(legend(placed), style="dim"))
    meanings = MEANINGS | {Verdict.BROKEN: _BROKEN_ELSEWHERE}
    met = in_order(square.verdict for square in placed)
    out.print(Text("\n".join(f"{SYMBOLS[v]} {v}: {meanings[v]}" for v in met), style="dim"))
    breaking = breaking_words(cells) if several else ""
    if breaking:
        out.print(Text(breaking))
    wrong = unexpected_count(found)
    for sentence in conclude(found).of(Tone.WRONG):
        out.print(Text(sentence.text, style="bold red"))
    excused = any(stand.shared for stand in standings(found)) and not wrong
    headline = f"{_APART * excused}{conclude(found).headline}"
    out.print(Text(headline, style="bold red" if wrong else "bold"))
    out.print(Text(f"Next: {next_step(found, named)}", style="cyan"), soft_wrap=True)


def print_cell(out: Console, cell: Cell, story: str = "") -> None:
    """One cell: how many interleavings there are, how many lose, how they end, and a witness."""
    out.print(
        Text.assemble(
            (f"{SYMBOLS[cell.verdict]} {cell.verdict}", VERDICT_STYLES[cell.verdict]),
            f"  {cell.scenario} with {cell.lock}, {_where(cell)}",
            f"  ({', '.join(cell.kinds)})" if cell.kinds else "",
        )
    )
    if story:
        out.print(Text(story, style="dim"))
    breaks = how_many_break(cell)
    out.print(Text(f"{breaks} ({cell.note})" if cell.note else breaks))
    for line in _outcomes(cell):
        out.print(Text(line))
    if cell.backoffs_max:
        times = f"{cell.backoffs_max} time{'' if cell.backoffs_max == 1 else 's'}"
        out.print(Text(f"One client had to try again {times} at worst."))
    if cell.witness is not None:
        out.print(Text(_shortest(cell, cell.witness)))
        print_witness(out, cell.witness)


def _where(cell: Cell) -> str:
    return ", ".join(filter(None, (cell.topology, cell.store, cell.faults)))


def how_many_break(cell: Cell) -> str:
    """How many of what was counted break the scenario, in words."""
    if cell.verdict is Verdict.BOUNDED and not cell.losing:
        return "nothing broke in what was explored"
    units = _UNITS.get(cell.method, "interleavings")
    return f"{cell.losing:,} of {cell.interleavings:,} {units} break it"


def _outcomes(cell: Cell) -> Iterator[str]:
    """The ways it ended: those that break something first, then by how often."""
    ranked = sorted(cell.outcomes.items(), key=lambda each: (not _breaks(each[0]), -each[1]))
    for outcome, count in ranked[:_OUTCOMES_MAX]:
        yield f"  {count:>8,}  {outcome}"
    more = len(ranked) - _OUTCOMES_MAX
    if more > 0:
        yield f"  … and {more:,} more (--json has them all)"


def _breaks(outcome: str) -> bool:
    """Whether what an outcome is called says that something broke."""
    kinds = outcome.rpartition(": ")[2].split(", ")
    return outcome in _STANDSTILLS or all(kind in _KINDS for kind in kinds)


def _shortest(cell: Cell, witness: Witness) -> str:
    least = cell.preemptions_fewest
    if least is None:
        return f"The shortest found, with {_preemptions(witness.preemptions)}:"
    proof = f"{_preemptions(least)} will do" + (", none will not" if least else "")
    return f"The shortest ({proof}), told in the order of the clients:"


def _preemptions(number: int) -> str:
    return f"{number or 'no'} preemption{'' if number == 1 else 's'}"


def print_witness(out: Console, witness: Witness) -> None:
    """The schedule step by step: T1, T2, … for reads and writes, a lane for each client."""
    for line in timeline_terminal.draw(witness, out.width):
        out.print(line, no_wrap=True, crop=False)
    out.print(Text(ending(witness), style="bold"))
    out.print(Text(witness.explanation))
    if met := who_met_whom(witness):
        out.print(Text(met))
