"""A witness as a picture: time runs down, one lane for each client and service instance.

Beside the lanes stands the balance after each step; bars show the locks held, each with its name;
an arrow leads from a read to the write that trusted it too long; the step that broke it is marked.
In a report how it ended, and why, is text beside the picture: a phone can wrap that.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from engine.money import show_cents
from engine.results import WRITES, TimelineEvent, Witness
from reports.reading import in_order
from reports.telling import Lane, numbered, timeline_lanes
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
from reports.timeline_bars import bars
from reports.timeline_lock_bars import BAR_W, Place, draw_bars, places
from reports.timeline_words import source_of, wrong_words

_LEFT, _BALANCE_W, _LINE_H, _PAD, _TOP = 0.5, 0.95, 0.165, 0.15, 0.85  # inches
_LINE_X, _TEXT_X, _TEXT_W = 0.16, 0.3, 1.62  # inches, from a lane's left edge
_FOOT, _STUCK_H = 0.38, 0.62  # inches
_LANE_CHARACTERS = 23
_KEY = "● read · ■ write · ▲ lock · ◆ cache"
# What a step does: its marker's shape and colour.
_MARKERS = {
    "read": ("o", BLUE),
    **dict.fromkeys(WRITES, ("s", VERMILLION)),
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
    with look(name):
        width, height = size(witness)
        figure = Figure(figsize=(width, height))
        draw_onto(figure, witness, top=0.0)
        return picture(figure, name, title=title, alt=witness.explanation, caption=caption, png=png)


def size(witness: Witness) -> tuple[float, float]:
    """Width and height of the drawing in inches."""
    rows = _rows(witness)
    right = _right(rows, witness)
    accounts = in_order(account for row in rows for account in row.event.balances)
    width = max(right + _BALANCE_W * len(accounts) + 0.25, 5.3)
    return width, _floor(rows) + _FOOT


def _floor(rows: Sequence[Row]) -> float:
    """Where the lanes end. Below the last step there is room to say who waits for ever."""
    return rows[-1].y + rows[-1].height + (_STUCK_H if rows[-1].event.waits else 0.0)


def draw_onto(figure: Figure, witness: Witness, *, top: float) -> None:
    """Draw the steps on `figure`, `top` inches below its upper edge."""
    rows = _rows(witness)
    lanes = _places(rows, witness)
    accounts = in_order(account for row in rows for account in row.event.balances)
    (width, height), whole = size(witness), figure.get_figheight()
    bottom = _floor(rows)
    axes = figure.add_axes(
        (0, 1 - (top + height) / whole, width / figure.get_figwidth(), height / whole)
    )
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    _lanes(axes, lanes, bottom)
    ends = [(row.y, row.middle, row.y + row.height) for row in rows]
    kinds = draw_bars(axes, bars(witness.events), lanes, ends, [row.lane for row in rows], bottom)
    _steps(axes, rows, lanes, width)
    _stuck(axes, rows, lanes, bottom)
    _arrows(axes, rows, lanes)
    _balances(axes, rows, accounts, _right(rows, witness))
    axes.text(0.12, bottom + 0.26, " · ".join([_KEY, *kinds]), fontsize=8.5, va="center")


def _places(rows: Sequence[Row], witness: Witness) -> dict[Lane, Place]:
    """Where each lane begins, and the bars that stand in it."""
    lanes = [row.lane for row in rows]
    return places(bars(witness.events), lanes, left=_LEFT, width=_TEXT_X + _TEXT_W)


def _right(rows: Sequence[Row], witness: Witness) -> float:
    return max(place.right for place in _places(rows, witness).values())


def _rows(witness: Witness) -> list[Row]:
    rows: list[Row] = []
    y = _TOP
    lanes = timeline_lanes(witness.events)
    for number, event in enumerate(witness.events):
        lines = textwrap.wrap(event.text, _LANE_CHARACTERS) or [event.kind]
        for words in wrong_words(witness, number):
            lines += textwrap.wrap(words, _LANE_CHARACTERS + 3)
        height = _PAD + _LINE_H * len(lines)
        rows.append(Row(event, lanes[number], lines, y, height))
        y += height
    return rows


def _lanes(axes: Axes, lanes: dict[Lane, Place], bottom: float) -> None:
    for (client, instance), place in lanes.items():
        x = place.x + _LINE_X
        axes.plot([x, x], [_TOP - 0.05, bottom], color=LIGHT.grid, lw=1.4, zorder=1)
        axes.text(place.x + 0.06, 0.32, client, fontsize=12, fontweight="bold", va="center")
        through = f"through service {instance}" if instance >= 0 else ""
        axes.text(place.x + 0.06, 0.55, through, fontsize=8, va="center", color=LIGHT.muted)


def _steps(axes: Axes, rows: Sequence[Row], lanes: dict[Lane, Place], width: float) -> None:
    numbers = numbered([row.event for row in rows])
    for row, number in zip(rows, numbers, strict=True):
        event, place = row.event, lanes[row.lane]
        axes.text(0.12, row.middle, number, fontsize=8.5, fontweight="bold", va="center")
        if event.wrong:
            box = (0.04, row.y + 0.01), width - 0.08, row.height - 0.02
            axes.add_patch(Rectangle(*box, color=VERMILLION, alpha=0.2, lw=0, zorder=0))
        shape, colour = _MARKERS.get(event.kind, (".", LIGHT.muted))
        if event.how != "go":
            shape, colour = "X", LIGHT.ink
        axes.plot([place.x + _LINE_X], [row.middle], shape, ms=6.5, color=colour, zorder=3)
        axes.text(
            place.x + _TEXT_X + BAR_W * len(place.bars),
            row.middle,
            "\n".join(row.lines),
            va="center",
            fontsize=8.5,
            linespacing=1.25,
            fontweight="bold" if event.wrong else "normal",
        )


def _stuck(axes: Axes, rows: Sequence[Row], lanes: dict[Lane, Place], bottom: float) -> None:
    """Below the last step, what each client waits for that never goes on."""
    for client, lock in rows[-1].event.waits.items():
        lane = next(row.lane for row in reversed(rows) if row.lane[0] == client)
        place = lanes[lane]
        axes.text(
            place.x + _TEXT_X + BAR_W * len(place.bars),
            bottom - _STUCK_H / 2,
            f"✗ waits for {lock}\n   for ever",
            va="center",
            fontsize=8.5,
            fontweight="bold",
        )


def _arrows(axes: Axes, rows: Sequence[Row], lanes: dict[Lane, Place]) -> None:
    """From the read whose answer was out of date to the write that was computed from it."""
    events = [row.event for row in rows]
    for number, row in enumerate(rows):
        source = source_of(events, number)
        if source is None or not row.event.wrong:
            continue
        start, end = rows[source], row
        tail = lanes[start.lane].x + _LINE_X, start.middle + 0.06
        tip = lanes[end.lane].x + _LINE_X, end.middle - 0.06
        axes.annotate(
            "",
            xy=tip,
            xytext=tail,
            arrowprops={"arrowstyle": "-|>", "color": VERMILLION, "lw": 1.6, "ls": (0, (3, 2))},
            zorder=2,
        )


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
