"""The fault axis of the verdict matrix on one screen: fault budgets down, lock strategies across.

Each place sums up all scenarios: how many broke, or that all held.
"""

import textwrap
from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from engine.results import Cell
from engine.verdicts import Verdict
from reports.reading import SYMBOLS, in_order, listed, short_names, squares
from reports.summary import VERDICT_STYLES

_HEADING_CHARACTERS = 11
_NONE = "no fault"


def has_fault_axis(cells: Sequence[Cell]) -> bool:
    """Whether some place of the matrix was explored under several fault budgets."""
    return any(len({cell.faults for cell in square.cells}) > 1 for square in squares(cells))


def fault_tables(cells: Sequence[Cell]) -> Iterator[Table]:
    """A table for each topology."""
    locks = in_order(cell.lock for cell in cells)
    budgets = sorted(in_order(cell.faults for cell in cells), key=bool)
    for topology in in_order(cell.topology for cell in cells):
        table = Table(title=topology, title_justify="left", box=None, padding=(0, 1, 0, 0))
        table.add_column("faults", no_wrap=True)
        for name in short_names(locks).values():
            table.add_column("\n".join(textwrap.wrap(name, _HEADING_CHARACTERS)), overflow="fold")
        for faults in budgets:
            here = [c for c in cells if (c.topology, c.faults) == (topology, faults)]
            marks = [_mark([c for c in here if c.lock == lock]) for lock in locks]
            table.add_row(faults or _NONE, *marks)
        yield table


def _mark(cells: Sequence[Cell]) -> Text:
    """ "✗ 4 of 10": of ten scenarios four break; "✓ 10": none does."""
    scenarios = in_order(cell.scenario for cell in cells)
    if not scenarios:
        return Text("–")
    # In this order the first verdict that is met is the worst.
    order = (Verdict.BROKEN, Verdict.UNKNOWN, Verdict.BOUNDED, Verdict.CLEAN, Verdict.SAFE)
    verdict = next(v for v in order if any(cell.verdict is v for cell in cells))
    such = len({cell.scenario for cell in cells if cell.verdict is verdict})
    count = f"{such}" if such == len(scenarios) else f"{such} of {len(scenarios)}"
    surprise = "" if all(cell.as_expected for cell in cells) else " !"
    return Text(f"{SYMBOLS[verdict]} {count}{surprise}", VERDICT_STYLES[verdict])


def counted_words() -> str:
    """What the marks count, to stand above the tables."""
    return "The marks count scenarios: ✗ 1 of 10, one of ten breaks; ✓ 10, all ten hold."


def breaking_words(cells: Sequence[Cell]) -> str:
    """Which scenarios break whatever the lock, where several were tried; "" if none does."""
    told = [_breaking(cells, scenario) for scenario in in_order(cell.scenario for cell in cells)]
    several = len({cell.lock for cell in cells}) > 1
    start = "Broken whatever the lock" if several else "Broken"
    named = ", ".join(filter(None, told))
    return f"{start}: {named}." if named else ""


def _breaking(cells: Sequence[Cell], scenario: str) -> str:
    """The scenario and, unless that is everywhere, where every lock strategy fails it."""
    places: dict[tuple[str, str], list[Verdict]] = {}
    for cell in cells:
        if cell.scenario == scenario:
            places.setdefault((cell.topology, cell.faults), []).append(cell.verdict)
    broken = [place for place, found in places.items() if set(found) == {Verdict.BROKEN}]
    if not broken:
        return ""
    topologies = in_order(topology for topology, _ in broken)
    faults = in_order(budget or _NONE for _, budget in broken)
    everywhere = {topology for topology, _ in places}
    where = [f"under {listed(topologies)}"] * (set(topologies) != everywhere)
    whole = all(place in broken for place in places if place[0] in topologies)
    where += [f"with {listed(faults)}"] * (not whole)
    return f"{scenario} ({', '.join(where)})" if where else scenario
