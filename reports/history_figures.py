"""Money lost or made in the course of a history, as a picture: in total, and where it was worst."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from engine.errors import UsageError
from engine.money import made_words, show
from engine.results import HistoryView
from reports.theme import GREEN, LIGHT, LINES, VERMILLION, Line, look, picture

# More points than these no screen shows; each stands for the last moment before it.
POINTS_MAX = 2_000
NAME_CHARACTERS = 28
_TOTAL = Line(LIGHT.ink, "", "-")
_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))


def write_money_figure(path: Path, view: HistoryView) -> None:
    """Write the picture as SVG or PNG, whichever the file's name ends with; else UsageError."""
    if path.suffix not in (".svg", ".png"):
        raise UsageError(f"a figure cannot be written to '{path}'", "name it .svg or .png")
    with look("history-money"):
        drawn = picture(
            _figure(view), "history-money", title="", alt="", caption="", png=path.suffix == ".png"
        )
    path.write_bytes(drawn.png if drawn.png is not None else drawn.svg.encode())


def _figure(view: HistoryView) -> Figure:
    figure = Figure(figsize=(8.6, 4.2), layout="constrained")
    axes = figure.subplots()
    size, unit = _unit(view)
    axes.set_xlim(0, max(1, view.until_ns) / size)
    axes.set_xlabel(f"time since the first call ({unit})" if unit else "calls, in their order")
    axes.set_ylabel("made (above 0) or lost (below)")
    axes.yaxis.set_major_locator(MaxNLocator(7, integer=True) if view.money else FixedLocator([0]))
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: show(round(value), view.decimals))
    )
    axes.grid(axis="y")
    axes.axhline(0, color=LIGHT.muted, lw=1)
    axes.set_title(_title(view), fontweight="bold", pad=10)
    handles = _curves(axes, view, size)
    handles += _prefix(axes, view, size) + _moments(axes, view, size)
    figure.legend(handles=handles, loc="outside lower left", ncols=3, frameon=False, fontsize=8.5)
    return figure


def _unit(view: HistoryView) -> tuple[float, str]:
    if view.step_ns:
        return view.step_ns, ""
    return next((each for each in _UNITS if view.until_ns >= 2 * each[0]), _UNITS[-1])


def _title(view: HistoryView) -> str:
    if not view.money:
        words = "no money was seen to be lost or made"
    else:
        _, _, made = view.money[0]
        words = made_words(made[-1], view.decimals) if made[-1] else "losses and gains cancel out"
    title = f"{view.title}: {words}" if view.title else words[0].upper() + words[1:]
    return _plain(f"{title} ({view.verdict}, {view.calls_total:,} calls)", 100)


def _curves(axes: Axes, view: HistoryView, size: float) -> list[Line2D]:
    """The total in ink, each account in a colour and a line style of its own; their legend."""
    handles = []
    lines = [_TOTAL, *LINES]
    for (account, at, made), line in zip(view.money or [("", (0,), (0,))], lines, strict=False):
        x, y = thinned(at, made, view.until_ns)
        width = 1.4 if account else 2.4
        style: dict[str, Any] = {"color": line.colour, "ls": line.style, "lw": width}
        axes.step(x / size, y, where="post", zorder=3 if account else 4, **style)
        much = made_words(made[-1], view.decimals) if made[-1] else "nothing lost or made"
        words = f"{much} {f'on {account}' if account else 'in total'}"
        handles.append(Line2D([], [], label=_plain(words, NAME_CHARACTERS + 20), **style))
    return handles


def thinned(
    at_ns: Sequence[int], made: Sequence[int], until_ns: int
) -> tuple[np.ndarray, np.ndarray]:
    """A step curve from 0 at the start to the end, in at most POINTS_MAX + 2 points."""
    at, sums = np.array((0, *at_ns), np.float64), np.array((0, *made), np.float64)
    if len(at) > POINTS_MAX:
        shown = np.linspace(0, until_ns, POINTS_MAX)
        return shown, sums[np.searchsorted(at, shown, side="right") - 1]
    return np.append(at, until_ns), np.append(sums, sums[-1])


def _prefix(axes: Axes, view: HistoryView, size: float) -> list[Line2D]:
    """The longest prefix in which nothing is wrong, shaded."""
    until = view.until_ns if view.consistent_ns is None else view.consistent_ns
    axes.axvspan(0, until / size, color=GREEN, alpha=0.13, lw=0, zorder=0)
    words = (
        "nothing wrong until its end" if view.consistent_ns is not None else "nothing found wrong"
    )
    return [Line2D([], [], color=GREEN, alpha=0.3, lw=7, label=words)]


def _moments(axes: Axes, view: HistoryView, size: float) -> list[Line2D]:
    """A mark at the foot for each violation that is listed."""
    if not view.violations:
        return []
    at = [violation.at_ns / size for violation in view.violations]
    style: dict[str, Any] = {"color": VERMILLION, "marker": "^", "ls": "", "ms": 6}
    axes.plot(at, [0.02] * len(at), transform=axes.get_xaxis_transform(), clip_on=False, **style)
    more = f", {len(at)} of {view.count:,} shown" if view.count > len(at) else ""
    return [Line2D([], [], label=f"violation{more}", **style)]


def _plain(text: str, characters: int) -> str:
    """A name as it stands: matplotlib would read what is between dollar signs as a formula."""
    return textwrap.shorten(text, characters, placeholder=" …").replace("$", r"\$")
