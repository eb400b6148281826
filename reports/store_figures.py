"""Pictures of every lock strategy on both databases: one small panel each, alike in their axes.

A dozen strategies on two databases are too many lines for one panel. Here each has its own, with
all the others in grey behind, so that one sees at a glance who stands above and who falls.
"""

from collections.abc import Callable, Sequence
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from engine.results import LoadRun
from engine.verdicts import Verdict
from reports.panels import legend, lock_order
from reports.reading import accounts_count, in_order, listed, store_words
from reports.theme import BLUE, LIGHT, ORANGE, VERMILLION, Line, Picture, look, picture

STORE_LINES = {"postgres": Line(BLUE, "o", "-"), "sqlite": Line(ORANGE, "s", "--")}
# From this share of calls that end in a conflict on, the throughput is not the whole story.
GAVE_UP_SHOWN = 0.1
# A logarithmic axis has no zero; a run in which nobody was answered is drawn here.
LEAST_PER_S = 10.0
_COLUMNS = 5
_PANEL_HEIGHT, _WIDTH, _ABOVE = 1.6, 8.6, 0.75  # inches
# Two figures nearer than this would be written over each other.
_APART = 1.7

Place = Callable[[LoadRun], int]
Points = list[tuple[int, float]]


def draw_convoy(runs: Sequence[LoadRun], caption: str) -> Picture | None:
    """Throughput on one hot account as clients are added. None where all had as many clients."""
    hot = [run for run in runs if run.load.accounts == "hot"]
    return _multiples(
        "convoy",
        hot,
        lambda run: run.load.clients,
        title="The convoy on a hot row",
        xlabel="clients on one account",
        caption=caption,
    )


def draw_spread(runs: Sequence[LoadRun], caption: str) -> Picture | None:
    """Throughput of many clients from one account to many. None where all had the same."""
    most = max((run.load.clients for run in runs), default=0)
    crowd = [run for run in runs if run.load.clients == most]
    return _multiples(
        "spread",
        crowd,
        lambda run: accounts_count(run.load.accounts),
        title="Cost against contention, every lock strategy",
        xlabel=f"accounts that {most} clients share",
        caption=caption,
    )


def _multiples(
    name: str, runs: Sequence[LoadRun], place: Place, *, title: str, xlabel: str, caption: str
) -> Picture | None:
    places = sorted({place(run) for run in runs})
    if len(places) < 2:
        return None
    locks = lock_order(runs)
    with look(name):
        figure, panels = _panels(len(locks))
        lines = {
            (lock, store): _points([r for r in runs if _line(r) == (lock, store)], place)
            for lock, store in in_order(map(_line, runs))
        }
        for axes, lock in zip(panels, locks, strict=True):
            _panel(axes, lock, lines)
            for run in runs:
                if run.load.lock == lock:
                    _mark(axes, run, place(run))
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(FixedLocator(places))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
            axes.xaxis.set_minor_locator(NullLocator())
            # Room for the figure beside the last point.
            axes.set_xlim(places[0] / 1.25, places[-1] * (places[-1] / places[0]) ** 0.36)
        figure.supxlabel(xlabel, fontsize=9)
        figure.supylabel("calls per second", fontsize=9)
        legend(figure, _keys(in_order(run.load.store for run in runs)))
        alt = f"{title}: throughput of {listed(locks)}, {xlabel}, a panel each."
        return picture(figure, name, title=title, alt=alt, caption=caption)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """So many panels with the same axes, in rows of _COLUMNS."""
    rows = -(-count // _COLUMNS)
    height = _ABOVE + _PANEL_HEIGHT * rows
    engine = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - 0.34 / height))
    figure = Figure(figsize=(_WIDTH, height), layout=engine)
    grid = figure.subplots(rows, _COLUMNS, squeeze=False, sharey=True, sharex=True)
    panels = [axes for row in grid for axes in row]
    for axes in panels[count:]:
        axes.set_visible(False)
    for axes in panels[max(0, count - _COLUMNS) : count]:
        axes.tick_params(labelbottom=True)  # nobody stands below it
    return figure, panels[:count]


def _rate(run: LoadRun) -> float:
    return max(run.throughput_per_s, LEAST_PER_S)


def _line(run: LoadRun) -> tuple[str, str]:
    return run.load.lock, run.load.store


def _points(runs: Sequence[LoadRun], place: Place) -> Points:
    """Where the line goes: the median of the rounds."""
    return [
        (at, median(_rate(run) for run in runs if place(run) == at))
        for at in sorted({place(run) for run in runs})
    ]


def _panel(axes: Axes, lock: str, lines: dict[tuple[str, str], Points]) -> None:
    axes.set_title(lock, fontsize=9)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y")
    for (other, store), points in lines.items():
        if other != lock:
            axes.plot(*zip(*points, strict=True), color=LIGHT.grid, lw=0.9, zorder=1)
            continue
        line = STORE_LINES[store]
        axes.plot(*zip(*points, strict=True), color=line.colour, ls=line.style, lw=1.8, zorder=3)
    _figures(axes, [points[-1] for (other, _), points in lines.items() if other == lock])


def _figures(axes: Axes, ends: Points) -> None:
    """What the lines come to, beside their ends."""
    rates = sorted(rate for _, rate in ends)
    near = len(rates) > 1 and rates[-1] < _APART * rates[0]
    for at, rate in ends:
        shift = 0.0 if not near else 5.0 if rate == rates[-1] else -5.0
        axes.annotate(
            _short(rate) if rate > LEAST_PER_S else f"≤ {LEAST_PER_S:g}",
            (at, rate),
            xytext=(6, shift),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
        )


def _mark(axes: Axes, run: LoadRun, at: int) -> None:
    line = STORE_LINES[run.load.store]
    if run.verdict is Verdict.BROKEN:
        marker, fill, edge, size = "X", VERMILLION, LIGHT.paper, 8
    else:
        gave_up = _gave_up(run) >= GAVE_UP_SHOWN
        marker, fill, edge, size = (
            line.marker,
            LIGHT.paper if gave_up else line.colour,
            line.colour,
            5,
        )
    axes.plot([at], [_rate(run)], marker, ms=size, mfc=fill, mec=edge, zorder=4)


def _gave_up(run: LoadRun) -> float:
    failed = sum(run.errors.values())
    return failed / max(1, failed + run.completed)


def _short(value: float) -> str:
    """
    >>> [_short(value) for value in (8, 730, 1400, 26_400, 1_000_000)]
    ['8', '730', '1.4k', '26k', '1000k']
    """
    if value < 1000:
        return f"{value:.0f}"
    return f"{value / 1000:.1f}k".replace(".0k", "k") if value < 9_950 else f"{value / 1000:.0f}k"


def _keys(stores: Sequence[str]) -> list[Line2D]:
    lines = [(store_words(store), STORE_LINES[store]) for store in stores]
    return [
        *(
            Line2D([], [], color=line.colour, ls=line.style, marker=line.marker, ms=5, label=words)
            for words, line in lines
        ),
        Line2D([], [], color=LIGHT.grid, label="all others"),
        Line2D([], [], marker="o", mfc=LIGHT.paper, mec=LIGHT.ink, ls="", label="1 in 10 gave up"),
        Line2D(
            [], [], marker="X", mfc=VERMILLION, mec=LIGHT.paper, ms=8, label="money broke", ls=""
        ),
    ]
