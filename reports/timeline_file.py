"""A witness's picture as a file of its own: title, steps, how it ended and why, SVG or PNG."""

import textwrap
from pathlib import Path

from matplotlib.figure import Figure

from engine.errors import UsageError
from engine.results import Witness
from reports.telling import ending
from reports.theme import LIGHT, look, picture
from reports.timeline_figure import draw_onto, size
from reports.timeline_words import who_met_whom

_HEAD, _LINE_H, _PAD = 0.55, 0.19, 0.12  # inches
_CHARACTERS_PER_INCH = 15.0
FORMATS = (".svg", ".png")


def check(path: Path) -> None:
    """UsageError unless the file's name ends in a format that can be written."""
    if path.suffix not in FORMATS:
        raise UsageError(f"cannot draw {path}", f"name a file that ends in {' or '.join(FORMATS)}")


def write_timeline(witness: Witness, path: Path, *, title: str, subtitle: str = "") -> None:
    """Write the picture to `path`. UsageError for another ending, or if it cannot be written."""
    check(path)
    content = drawn(witness, title=title, subtitle=subtitle, png=path.suffix == ".png")
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"cannot write {path} ({error.strerror})", "name another file") from error


def drawn(witness: Witness, *, title: str, subtitle: str = "", png: bool = False) -> bytes:
    """The picture with its words, on paper of its own."""
    width, height = size(witness)
    told = [ending(witness), witness.explanation, who_met_whom(witness)]
    lines = [
        line
        for words in told
        for line in textwrap.wrap(words, int((width - 0.3) * _CHARACTERS_PER_INCH))
    ]
    whole = _HEAD + height + _PAD + _LINE_H * len(lines)
    with look(title):
        figure = Figure(figsize=(width, whole))
        figure.text(
            0.12 / width, 1 - 0.22 / whole, title, fontsize=12, fontweight="bold", va="center"
        )
        figure.text(
            0.12 / width, 1 - 0.44 / whole, subtitle, fontsize=8.5, va="center", color=LIGHT.muted
        )
        draw_onto(figure, witness, top=_HEAD)
        for number, line in enumerate(lines):
            y = 1 - (_HEAD + height + _LINE_H * (number + 0.5)) / whole
            bold = "bold" if line == lines[0] else "normal"
            figure.text(0.12 / width, y, line, fontsize=8.5, va="center", fontweight=bold)
        done = picture(
            figure, "timeline", title=title, alt=witness.explanation, caption="", png=png
        )
    return done.png or _on_paper(done.svg).encode()


def _on_paper(svg: str) -> str:
    """With a background, so that dark ink is legible whatever shows the file."""
    start = svg.index(">", svg.index("<svg")) + 1
    return f'{svg[:start]}\n <rect width="100%" height="100%" fill="{LIGHT.paper}"/>{svg[start:]}'
