"""The verdict matrix as a picture: lock strategies down, scenarios across, by topology."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from engine.results import Cell
from engine.verdicts import Verdict
from reports.reading import MEANINGS, SYMBOLS, Square, in_order, squares, worst
from reports.theme import KIND_COLOURS, LIGHT, VERDICT_COLOURS, Picture, look, picture

_CELL_W, _CELL_H, _LEFT, _HEAD, _GAP, _FOOT = 1.0, 0.6, 1.8, 0.75, 0.42, 0.8  # inches


def draw_matrix(cells: Sequence[Cell], caption: str) -> Picture:
    """One square for each scenario, lock strategy and topology; over all stores."""
    placed = squares(cells)
    scenarios = in_order(square.scenario for square in placed)
    rows = _row_tops(placed)
    width = max(_LEFT + _CELL_W * len(scenarios) + 0.2, 7.5)
    height = max(rows.values()) + _CELL_H + _FOOT
    with look("matrix"):
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        _headings(axes, scenarios, rows, width)
        for square in placed:
            x = _LEFT + scenarios.index(square.scenario) * _CELL_W
            _square(axes, square, x, rows[square.topology, square.lock])
        _legend(axes, placed, height, caption)
        return picture(
            figure, "matrix", title="Verdict matrix", alt=matrix_words(placed), caption=caption
        )


def _row_tops(placed: Sequence[Square]) -> dict[tuple[str, str], float]:
    """Where the row of each topology and lock strategy begins, in inches from the top."""
    tops: dict[tuple[str, str], float] = {}
    y = _HEAD
    for topology in in_order(square.topology for square in placed):
        y += _GAP
        for lock in in_order(s.lock for s in placed if s.topology == topology):
            tops[topology, lock] = y
            y += _CELL_H
    return tops


def matrix_words(placed: Sequence[Square]) -> str:
    """The matrix in one sentence, for those who cannot see it."""
    counts = {verdict: sum(s.verdict is verdict for s in placed) for verdict in Verdict}
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    return f"Verdict matrix of {len(placed)} squares: {told}."


def _headings(
    axes: Axes, scenarios: Sequence[str], rows: dict[tuple[str, str], float], width: float
) -> None:
    for number, scenario in enumerate(scenarios):
        axes.text(
            _LEFT + (number + 0.5) * _CELL_W,
            _HEAD + 0.06,
            scenario.replace("-", "\n"),
            ha="center",
            va="baseline",
            linespacing=1.1,
        )
    for topology in in_order(topology for topology, _ in rows):
        y = min(top for (mine, _), top in rows.items() if mine == topology) - 0.12
        axes.text(0.2, y, topology, fontsize=10, fontweight="bold", va="center")
        axes.plot([_LEFT + 0.1, width - 0.2], [y, y], color=LIGHT.grid, lw=1)
    for (_, lock), top in rows.items():
        axes.text(_LEFT - 0.12, top + _CELL_H / 2, lock, ha="right", va="center", fontsize=10)


def _square(axes: Axes, square: Square, x: float, y: float) -> None:
    cell = square.lead
    broken = square.verdict is Verdict.BROKEN
    colour = KIND_COLOURS[worst(cell)] if broken else VERDICT_COLOURS[square.verdict]
    box = (x + 0.03, y + 0.03), _CELL_W - 0.06, _CELL_H - 0.06
    axes.add_patch(Rectangle(*box, facecolor=colour, alpha=0.24, edgecolor="none"))
    if not square.as_expected:
        axes.add_patch(Rectangle(*box, fill=False, edgecolor=LIGHT.ink, lw=2.4))
    kind = worst(cell) or "broken"
    word = f"{SYMBOLS[square.verdict]} {kind if broken else square.verdict}"
    surprise = "" if square.as_expected else " !"
    middle = x + _CELL_W / 2
    axes.text(middle, y + 0.24, word + surprise, ha="center", va="center", fontweight="bold")
    axes.text(middle, y + 0.43, square.counts, ha="center", va="center", fontsize=7.5)


def _legend(axes: Axes, placed: Sequence[Square], height: float, caption: str) -> None:
    met = in_order(square.verdict for square in placed)
    told = "    ".join(f"{SYMBOLS[Verdict(v)]} {v}: {MEANINGS[Verdict(v)]}" for v in met)
    if not all(square.as_expected for square in placed):
        told += "    ! in a frame: not as expected"
    axes.text(0.2, height - 0.46, told, fontsize=8, va="center")
    axes.text(0.2, height - 0.22, caption, fontsize=7.5, va="center", color=LIGHT.muted)
