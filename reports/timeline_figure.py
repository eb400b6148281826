"""A witness as a picture: time runs down, one lane for each client and service instance.

Beside the lanes stands the balance after each step; bars show the locks held; the step that broke
it is marked. How it ended, and why, is text beside the picture: a phone can wrap that.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from engine.money import show_cents
from engine.results import TimelineEvent, Witness
from reports.reading import in_order
from reports.telling import Lane, numbered, timeline_lanes, what_broke
from reports.theme import (
    BLUE,
    GREEN,
    LIGHT,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    Picture,
    look,
    picture,
)

_LANE_W, _LEFT, _BALANCE_W, _LINE_H, _PAD, _TOP = 1.8, 0.5, 0.95, 0.165, 0.15, 0.85  # inches
_FOOT = 0.38  # inches
_LANE_CHARACTERS = 23
_KEY = "purple bars: locks held · ● read · ■ write · ▲ lock · ◆ cache"
# What a step does: its marker's shape and colour.
_MARKERS = {
    "read": ("o", BLUE),
    "write": ("s", VERMILLION),
    "acquire": ("^", PURPLE),
    "take": ("^", PURPLE),
    "give": ("v", PURPLE),
    "release": ("v", PURPLE),
    "cache_get": ("D", SKY),
    "cache_put": ("D", ORANGE),
    "decide": ("P", GREEN),
}


@dataclass(frozen=True, slots=True)
class Row:
    """Where one step stands: `y` is its upper edge in inches, `lines` its text."""

    event: TimelineEvent
    lane: Lane
    lines: list[str]
    y: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def draw_timeline(
    name: str, witness: Witness, *, title: str, caption: str, png: bool = False
) -> Picture:
    """The witness's steps, 6 to 40 of them legibly. A `png` costs as much as four SVGs."""
    rows = _rows(witness)
    lanes = in_order_of_lanes(rows)
    accounts = in_order(account for row in rows for account in row.event.balances)
    width = max(_LEFT + _LANE_W * len(lanes) + _BALANCE_W * len(accounts) + 0.25, 5.3)
    bottom = rows[-1].y + rows[-1].height
    height = bottom + _FOOT
    with look(name):
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        _lanes(axes, lanes, bottom)
        _locks(axes, rows, lanes)
        _steps(axes, rows, lanes, width)
        _balances(axes, rows, accounts, _LEFT + _LANE_W * len(lanes))
        axes.text(0.12, bottom + 0.26, _KEY, fontsize=8.5, va="center")
        return picture(figure, name, title=title, alt=witness.explanation, caption=caption, png=png)


def in_order_of_lanes(rows: Sequence[Row]) -> list[Lane]:
    return sorted({row.lane for row in rows})


def _rows(witness: Witness) -> list[Row]:
    rows: list[Row] = []
    y = _TOP
    for event, lane in zip(witness.events, timeline_lanes(witness.events), strict=True):
        lines = textwrap.wrap(event.text, _LANE_CHARACTERS) or [event.kind]
        if event.wrong:
            lines.append(f"✗ {what_broke(witness)} here")
        height = _PAD + _LINE_H * len(lines)
        rows.append(Row(event, lane, lines, y, height))
        y += height
    return rows


def _lanes(axes: Axes, lanes: Sequence[Lane], bottom: float) -> None:
    for number, (client, instance) in enumerate(lanes):
        x = _LEFT + number * _LANE_W
        axes.plot([x + 0.16, x + 0.16], [_TOP - 0.05, bottom], color=LIGHT.grid, lw=1.4, zorder=1)
        axes.text(x + 0.06, 0.32, client, fontsize=12, fontweight="bold", va="center")
        through = f"through service {instance}" if instance >= 0 else ""
        axes.text(x + 0.06, 0.55, through, fontsize=8, va="center", color=LIGHT.muted)


def _steps(axes: Axes, rows: Sequence[Row], lanes: Sequence[Lane], width: float) -> None:
    numbers = numbered([row.event for row in rows])
    for row, number in zip(rows, numbers, strict=True):
        event, x = row.event, _LEFT + lanes.index(row.lane) * _LANE_W
        axes.text(0.12, row.middle, number, fontsize=8.5, fontweight="bold", va="center")
        if event.wrong:
            box = (0.04, row.y + 0.01), width - 0.08, row.height - 0.02
            axes.add_patch(Rectangle(*box, color=VERMILLION, alpha=0.2, lw=0, zorder=0))
        shape, colour = _MARKERS.get(event.kind, (".", LIGHT.muted))
        if event.how != "go":
            shape, colour = "X", LIGHT.ink
        axes.plot([x + 0.16], [row.middle], shape, ms=6.5, color=colour, zorder=3)
        axes.text(
            x + 0.34,
            row.middle,
            "\n".join(row.lines),
            va="center",
            fontsize=8.5,
            linespacing=1.25,
            fontweight="bold" if event.wrong else "normal",
        )


def _locks(axes: Axes, rows: Sequence[Row], lanes: Sequence[Lane]) -> None:
    """A bar beside the lane from the step after which a lock is held to the one that ends it."""
    for client in in_order(row.event.client for row in rows):
        mine = [row for row in rows if row.event.client == client]
        for place, lock in enumerate(in_order(lock for row in mine for lock in row.event.holds)):
            holding = [row for row in mine if lock in row.event.holds]
            after = [row for row in mine if row.y > holding[-1].y]
            x = _LEFT + lanes.index(holding[0].lane) * _LANE_W + 0.06 - 0.09 * place
            # A mutex is given back on the way out of the step that follows, which shows no bar.
            end = after[0].middle if after else holding[-1].y + holding[-1].height
            box = (x, holding[0].middle), 0.055, end - holding[0].middle
            axes.add_patch(Rectangle(*box, color=PURPLE, alpha=0.75, lw=0, zorder=2))


def _balances(axes: Axes, rows: Sequence[Row], accounts: Sequence[str], left: float) -> None:
    right = left + len(accounts) * _BALANCE_W
    axes.text(right, 0.32, "balance after", fontsize=8, ha="right", va="center", color=LIGHT.muted)
    for column, account in enumerate(accounts):
        right = left + (column + 1) * _BALANCE_W
        axes.text(right, 0.55, account, ha="right", va="center", fontweight="bold")
        before: int | None = None
        for row in rows:
            cents = row.event.balances.get(account)
            changed = cents != before
            axes.text(
                right,
                row.middle,
                "–" if cents is None else show_cents(cents),
                ha="right",
                va="center",
                fontsize=8.5,
                fontweight="bold" if changed else "normal",
                color=LIGHT.ink if changed else LIGHT.muted,
            )
            before = cents
