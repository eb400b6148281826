"""The bars of a timeline's picture: each lock that a client holds or waits for, with its name."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from reports.reading import in_order
from reports.telling import Lane
from reports.theme import GREEN, LIGHT, PURPLE
from reports.timeline_bars import Bar, lane_at

BAR_W = 0.2  # inches
_BARS_X = 0.26  # inches, from a lane's left edge
_CHARACTER_H = 0.068  # inches of a turned letter
# How a bar is filled: colour, opacity, outline's style; and what the picture's key says of it.
_FILLS = {
    "mutex": (PURPLE, 0.45, "-"),
    "lease": (GREEN, 0.3, "-"),
    "waits": (LIGHT.muted, 0.0, ":"),
}
_KEYS = {
    "mutex": "purple bar: mutex held",
    "lease": "green bar: lease held",
    "waits": "dotted bar: waits for a lock",
}

Extent = tuple[float, float, float]  # a step's upper edge, middle and lower edge


@dataclass(frozen=True, slots=True)
class Place:
    """Where a lane stands: from `x` to `right` inches, with a bar for each of `bars`."""

    x: float
    right: float
    bars: tuple[tuple[str, str], ...]


def places(
    drawn: Sequence[Bar], lanes: Sequence[Lane], *, left: float, width: float
) -> dict[Lane, Place]:
    """A place for each lane, wide enough for its bars and `width` inches of steps."""
    found: dict[Lane, Place] = {}
    for lane in sorted(set(lanes)):
        mine = in_order((bar.client, bar.lock) for bar in drawn if lane_at(lanes, bar) == lane)
        right = left + width + BAR_W * len(mine)
        found[lane] = Place(left, right, tuple(mine))
        left = right
    return found


def draw_bars(
    axes: Axes,
    drawn: Sequence[Bar],
    at: dict[Lane, Place],
    rows: Sequence[Extent],
    lanes: Sequence[Lane],
    floor: float,
) -> list[str]:
    """Draw them from step to step, or to the `floor`; the words that explain them."""
    kinds: set[str] = set()
    for bar in drawn:
        kind = "waits" if bar.waiting else "lease" if bar.lease else "mutex"
        kinds.add(kind)
        place = at[lane_at(lanes, bar)]
        x = place.x + _BARS_X + BAR_W * place.bars.index((bar.client, bar.lock)) + 0.02
        top = rows[bar.first][2 if bar.waiting else 1]
        bottom = floor if bar.last is None else rows[bar.last][1]
        colour, alpha, style = _FILLS[kind]
        box = (x, top), BAR_W - 0.05, bottom - top
        axes.add_patch(
            Rectangle(*box, facecolor=(colour, alpha), edgecolor=colour, lw=0.9, ls=style, zorder=2)
        )
        room = int((bottom - top - 0.08) / _CHARACTER_H)
        name = bar.lock if len(bar.lock) <= room else bar.lock[: max(room - 1, 0)] + "…"
        if room > 1:
            middle = x + (BAR_W - 0.05) / 2, (top + bottom) / 2
            axes.text(*middle, name, rotation=90, ha="center", va="center", fontsize=7, zorder=4)
    return [words for kind, words in _KEYS.items() if kind in kinds]
