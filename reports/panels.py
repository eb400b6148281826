"""What pictures of load runs share: which runs compare, panel rows, readable axes, legends."""

from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from engine.results import LoadRun
from reports.reading import Setting, in_order, settings
from reports.theme import Line, line_of

# Shorter waits than this are drawn here: a logarithmic axis has no zero.
LEAST_MS = 0.001
SETTINGS_MAX = 6
_WIDTH, _LEGEND = 8.6, 0.34  # inches


def lock_order(runs: Sequence[LoadRun]) -> list[str]:
    return in_order(run.load.lock for run in runs)


def comparable(runs: Sequence[LoadRun]) -> list[Setting]:
    """The first settings in which several lock strategies ran."""
    several = [
        setting for setting in settings(runs) if len({run.load.lock for run in setting.runs}) > 1
    ]
    return several[:SETTINGS_MAX]


def panels(
    rows: int, row_height: float, *, share_x: bool = False
) -> tuple[Figure, list[list[Axes]]]:
    """A figure of `rows` rows of two panels each, with room for a legend above; inches."""
    height = 0.5 + _LEGEND + row_height * rows
    engine = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - _LEGEND / height))
    figure = Figure(figsize=(_WIDTH, height), layout=engine)
    grid = figure.subplots(rows, 2, squeeze=False, sharex="row" if share_x else False)
    return figure, [list(pair) for pair in grid]


def milliseconds(axes: Axes, which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic, with plain numbers: 0.1, 1, 10."""
    axis: Axis = axes.xaxis if which == "x" else axes.yaxis
    axes.set(**{f"{which}scale": "log"})
    low, high = axis.get_view_interval()
    # Less than two decades hold too few powers of ten to read values off.
    subs = (1.0, 2.0, 5.0) if high < 50 * low else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=9))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(NullLocator())


def counts(axis: Axis) -> None:
    """A linear axis from nothing, with few round numbers."""
    axis.set_major_locator(MaxNLocator(5, integer=True))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def lock_legend(figure: Figure, locks: Sequence[str]) -> None:
    """Colour, marker and line style of each lock strategy."""
    legend(figure, [_key(lock, line_of(lock, locks)) for lock in locks])


def legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    figure.legend(
        handles=handles,
        loc="upper center",
        ncols=6,
        frameon=False,
        fontsize=8.5,
        columnspacing=1.2,
        handletextpad=0.4,
    )


def _key(lock: str, line: Line) -> Line2D:
    return Line2D([], [], color=line.colour, marker=line.marker, ls=line.style, label=lock, lw=1.8)
