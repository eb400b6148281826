"""How every picture looks: colours, fonts, light and dark, and files equal byte for byte.

A picture is drawn once in light colours and written as SVG; its dark version, and the one in the
page that follows the reader's preference, are the same text with four colours exchanged. The data
colours are Okabe and Ito's (jfly.uni-koeln.de/color, 2008), told apart by the colour-blind and
legible on both backgrounds; symbols, line styles or words always say the same beside them.
"""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

from engine.verdicts import Break, Verdict

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, YELLOW = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442"
)  # fmt: skip


class Line(NamedTuple):
    """How a lock strategy is drawn."""

    colour: str
    marker: str
    style: Any


LINES = (
    Line(BLUE, "o", "-"),
    Line(VERMILLION, "s", "--"),
    Line(GREEN, "^", "-."),
    Line(PURPLE, "D", (0, (1, 1.2))),
    Line(ORANGE, "v", (0, (5, 1, 1, 1, 1, 1))),
    Line(SKY, "P", (0, (7, 2))),
)
KIND_COLOURS: dict[Break | None, str] = {
    Break.MONEY: VERMILLION,
    Break.LIVENESS: PURPLE,
    Break.ORDER: BLUE,
    Break.READS: ORANGE,
    None: VERMILLION,
}
VERDICT_COLOURS = {
    Verdict.SAFE: GREEN,
    Verdict.CLEAN: GREEN,
    Verdict.BROKEN: VERMILLION,
    Verdict.BOUNDED: SKY,
    Verdict.UNKNOWN: YELLOW,
}


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours that differ between light and dark."""

    name: str
    ink: str
    muted: str
    grid: str
    paper: str


LIGHT = Theme("light", "#1c2430", "#56606e", "#d5dae2", "#fdfdfe")
DARK = Theme("dark", "#e8ecf2", "#a3aebd", "#3a4452", "#12161d")
_ROLES = ("ink", "muted", "grid", "paper")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to write: `svg` in light colours; `alt` says what it shows to those who cannot
    see it, `caption` how many runs it rests on and what it leaves out."""

    name: str
    title: str
    alt: str
    caption: str
    svg: str
    png: bytes | None


@contextmanager
def look(salt: str) -> Iterator[None]:
    """Draw in the house's style. `salt` makes the ids in the SVG the same in every run."""
    settings: Any = {
        "font.family": "DejaVu Sans",
        "font.size": 9.0,
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "text.color": LIGHT.ink,
        "axes.labelcolor": LIGHT.ink,
        "axes.edgecolor": LIGHT.muted,
        "axes.facecolor": "none",
        "axes.titlesize": 9.5,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "figure.facecolor": LIGHT.paper,
        "xtick.color": LIGHT.muted,
        "ytick.color": LIGHT.muted,
        "xtick.labelcolor": LIGHT.ink,
        "ytick.labelcolor": LIGHT.ink,
        "grid.color": LIGHT.grid,
        "grid.linewidth": 0.8,
    }
    with mpl.rc_context(settings):
        yield


def line_of(lock: str, locks: Sequence[str]) -> Line:
    """Colour, marker and line style of a lock strategy: the same in every picture."""
    return LINES[locks.index(lock) % len(LINES)]


def picture(
    figure: Figure, name: str, *, title: str, alt: str, caption: str, png: bool = True
) -> Picture:
    """Render a drawn figure. Call it inside `look`."""
    svg, pixels = io.StringIO(), io.BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(svg, format="svg", metadata=nothing, facecolor="none")
    if png:
        # The layout stands; finding it again would double the time.
        figure.set_layout_engine("none")
        figure.savefig(pixels, format="png", metadata={"Software": None})
    return Picture(name, title, alt, caption, svg.getvalue(), pixels.getvalue() or None)


def inlined(picture: Picture) -> str:
    """The SVG for a page: colours as CSS variables, its ids unlike those of other pictures."""
    body = picture.svg[picture.svg.index("<svg") :]
    for role in _ROLES:
        body = body.replace(getattr(LIGHT, role), f"var(--{role})")
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{picture.name}-', body)
    body = body.replace('href="#', f'href="#{picture.name}-')
    return body.replace("url(#", f"url(#{picture.name}-")


def write_picture(picture: Picture, folder: Path) -> list[Path]:
    """Write NAME-light.svg and NAME-dark.svg, and NAME.png where there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "-light.svg": picture.svg.encode(),
        "-dark.svg": darkened(picture.svg).encode(),
        ".png": picture.png,
    }
    written = []
    for ending, content in contents.items():
        if content is not None:
            path = folder / f"{picture.name}{ending}"
            path.write_bytes(content)
            written.append(path)
    return written


def darkened(svg: str) -> str:
    """The same picture for a dark background."""
    for role in _ROLES:
        svg = svg.replace(getattr(LIGHT, role), getattr(DARK, role))
    return svg
