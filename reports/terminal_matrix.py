"""The verdict matrix on one screen: a row for each lock strategy, a column for each scenario."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from engine.verdicts import Break, Verdict
from reports.reading import SYMBOLS, Square, in_order, short_names, worst
from reports.summary import VERDICT_STYLES

# What broke, as one letter: a cell holds a mark for each topology.
_LETTERS = {kind: kind[0].upper() for kind in Break}
_SURPRISE = "!"


def matrix_table(placed: Sequence[Square]) -> Table:
    """A mark for each topology in every cell; `legend` says what the columns and marks mean."""
    scenarios = in_order(square.scenario for square in placed)
    topologies = in_order(square.topology for square in placed)
    at = {(s.lock, s.scenario, s.topology): s for s in placed}
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("lock strategy", no_wrap=True)
    for number, _ in enumerate(scenarios, 1):
        table.add_column(str(number), no_wrap=True)
    for lock, shown in short_names(square.lock for square in placed).items():
        marks = [
            Text("").join(_mark(at.get((lock, scenario, topology))) for topology in topologies)
            for scenario in scenarios
        ]
        table.add_row(shown, *marks)
    return table


def legend(placed: Sequence[Square]) -> str:
    """Scenarios by the numbers of their columns, topologies by their place in a cell, marks."""
    scenarios = in_order(square.scenario for square in placed)
    columns = "  ".join(f"{number} {name}" for number, name in enumerate(scenarios, 1))
    places = ", ".join(in_order(square.topology for square in placed))
    broke = {_kind(square) for square in placed if square.verdict is Verdict.BROKEN}
    letters = [f"{letter} {kind}" for kind, letter in _LETTERS.items() if kind in broke]
    lines = [columns, f"In each cell: {places}"]
    if letters:
        lines.append(f"Broken: {', '.join(letters)}")
    if not all(square.as_expected for square in placed):
        lines.append(f"{_SURPRISE} not as declared")
    return "\n".join(lines)


def _mark(square: Square | None) -> Text:
    if square is None:
        return Text("–")
    kind = _kind(square)
    mark = SYMBOLS[square.verdict] if kind is None else _LETTERS[kind]
    surprise = "" if square.as_expected else _SURPRISE
    return Text(f"{mark}{surprise}", VERDICT_STYLES[square.verdict])


def _kind(square: Square) -> Break | None:
    return worst(square.lead) if square.verdict is Verdict.BROKEN else None
