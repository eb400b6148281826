"""Pictures of load runs: throughput beside waiting, and the waits as distributions.

One row of panels for each setting, so that only what compares stands side by side. The strategy's
own waiting and the database's are drawn apart: without a lock one waits in the database, not
nowhere.
"""

from collections.abc import Sequence
from statistics import median

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from engine.results import LoadRun
from engine.verdicts import Verdict
from reports.panels import (
    LEAST_MS,
    comparable,
    counts,
    legend,
    lock_legend,
    lock_order,
    milliseconds,
    panels,
)
from reports.reading import in_order
from reports.theme import LIGHT, Line, Picture, line_of, look, picture

_PERCENTILES = (("p50_ms", "o", "p50"), ("p90_ms", "s", "p90"), ("p99_ms", "^", "p99"))
_SHARES = np.linspace(0, 1, 160)


def draw_throughput(name: str, runs: Sequence[LoadRun], caption: str) -> Picture | None:
    """Calls a second (a mark for every round, a bar for the median) beside wait percentiles.

    None where no two lock strategies ran under the same load.
    """
    shown, locks = comparable(runs), lock_order(runs)
    if not shown:
        return None
    with look(name):
        figure, grid = panels(len(shown), 0.55 + 0.36 * len(locks))
        for setting, (speed, wait) in zip(shown, grid, strict=True):
            speed.set_title(setting.words, pad=8)
            for place, lock in enumerate(locks):
                mine = [run for run in setting.runs if run.load.lock == lock]
                if mine:
                    _speed(speed, place, mine, line_of(lock, locks).colour)
                    _waits(wait, place, mine, line_of(lock, locks).colour)
            speed.set_yticks(range(len(locks)), locks)
            wait.set_yticks(range(len(locks)), [""] * len(locks))
            speed.set(ylim=(len(locks) - 0.4, -0.6), xlim=(0, speed.get_xlim()[1] * 1.12))
            wait.set(ylim=(len(locks) - 0.4, -0.6))
            counts(speed.xaxis)
            milliseconds(wait, "x")
            speed.grid(axis="x")
            wait.grid(axis="x")
        grid[-1][0].set_xlabel("calls per second (marks: rounds; bar: median)")
        grid[-1][1].set_xlabel("wait in ms, median over rounds")
        _wait_legend(figure)
        alt = f"Throughput and wait of {', '.join(locks)} in {len(shown)} settings."
        return picture(figure, name, title="Throughput beside waiting", alt=alt, caption=caption)


def _speed(axes: Axes, place: int, runs: Sequence[LoadRun], colour: str) -> None:
    rates = [run.throughput_per_s for run in runs]
    middle = median(rates)
    axes.barh(place, middle, height=0.5, color=colour, alpha=0.35)
    axes.plot(rates, [place] * len(rates), "|", color=LIGHT.ink, ms=9, mew=1.2)
    broken = " ✗" if any(run.verdict is Verdict.BROKEN for run in runs) else ""
    axes.annotate(
        f"{middle:,.0f}{broken}",
        (max(rates), place),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
    )


def _waits(axes: Axes, place: int, runs: Sequence[LoadRun], colour: str) -> None:
    for part, shift in (("lock_wait", -0.16), ("store_wait", 0.16)):
        percentiles = [getattr(run, part) for run in runs]
        at_ms = [
            max(median(getattr(each, field) for each in percentiles), LEAST_MS)
            for field, _, _ in _PERCENTILES
        ]
        axes.plot(at_ms, [place + shift] * len(at_ms), color=colour, lw=1.2, zorder=2)
        fill = colour if part == "lock_wait" else LIGHT.paper
        for value, (_, marker, _) in zip(at_ms, _PERCENTILES, strict=True):
            axes.plot([value], [place + shift], marker, ms=6, mec=colour, mfc=fill)


def _wait_legend(figure: Figure) -> None:
    marks = [(marker, label, LIGHT.ink) for _, marker, label in _PERCENTILES]
    marks.append(("o", "filled: the lock's own wait", LIGHT.ink))
    marks.append(("o", "hollow: the database's", LIGHT.paper))
    marks.append(("$✗$", "money broke", LIGHT.ink))
    legend(
        figure,
        [
            Line2D([], [], marker=marker, ls="", mec=LIGHT.ink, mfc=fill, label=label, ms=6)
            for marker, label, fill in marks
        ],
    )


def draw_waits(runs: Sequence[LoadRun], caption: str) -> Picture | None:
    """How the waits are distributed (ECDF), the lock's own and the database's.

    None where no samples were kept.
    """
    sampled = [run for run in runs if run.samples.get("lock_wait")]
    shown, locks = comparable(sampled), lock_order(runs)
    if not shown:
        return None
    with look("waits"):
        figure, grid = panels(len(shown), 2.0, share_x=True)
        for setting, pair in zip(shown, grid, strict=True):
            pair[0].set_title(setting.words, pad=8)
            pair[0].set_ylabel("share of calls")
            for axes, column in zip(pair, ("lock_wait", "store_wait"), strict=True):
                for lock in in_order(run.load.lock for run in setting.runs):
                    mine = [run for run in setting.runs if run.load.lock == lock]
                    _distribution(axes, mine, column, line_of(lock, locks))
                axes.set(ylim=(0, 1.03))
                axes.grid()
            milliseconds(pair[0], "x")
        grid[-1][0].set_xlabel(f"the lock's own wait, ms (below {LEAST_MS:g}: at {LEAST_MS:g})")
        grid[-1][1].set_xlabel("the database's wait, ms")
        lock_legend(figure, locks)
        alt = f"Distribution of waits of {', '.join(locks)} in {len(shown)} settings."
        return picture(figure, "waits", title="How long one waits", alt=alt, caption=caption)


def _distribution(axes: Axes, runs: Sequence[LoadRun], column: str, line: Line) -> None:
    waited = [np.asarray(run.samples[column], dtype=float) for run in runs if column in run.samples]
    values = np.concatenate(waited) if waited else np.array([])
    if values.size:
        at_ms = np.maximum(np.quantile(values, _SHARES) / 1e6, LEAST_MS)
        axes.plot(
            at_ms,
            _SHARES,
            color=line.colour,
            ls=line.style,
            lw=1.8,
            marker=line.marker,
            markevery=32,
            ms=5,
        )
