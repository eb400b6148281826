"""The findings as Markdown, short enough for a comment on a pull request."""

from collections.abc import Iterator, Sequence

from engine.results import Cell
from reports.conclusion import Tone, conclude
from reports.found import Found
from reports.reading import MEANINGS, SYMBOLS, Square, in_order, squares, worst

# GitHub refuses comments above 65,536 characters.
MARKDOWN_BYTES_MAX = 60_000


def markdown(cells: Sequence[Cell]) -> str:
    """Conclusion and verdict table of explored cells alone."""
    return report_markdown(Found(tuple(cells)))


def report_markdown(found: Found) -> str:
    """Headline, conclusion, verdict table: below MARKDOWN_BYTES_MAX, cut where it must be."""
    lines, size = list[str](), 0
    for line in _lines(found):
        size += len(line.encode()) + 1
        if size > MARKDOWN_BYTES_MAX - 100:
            lines.append("\n… cut here; the page holds all of it.")
            break
        lines.append(line)
    return "\n".join(lines) + "\n"


def _lines(found: Found) -> Iterator[str]:
    conclusion = conclude(found)
    yield "## walletrace"
    yield ""
    yield f"**{_escaped(conclusion.headline)}**"
    yield ""
    for sentence in conclusion.of(Tone.WRONG):
        yield f"> ⚠️ **{_escaped(sentence.text)}**"
        yield ">"
    yield ""
    yield from _matrix(found)
    for title, tones in (
        ("What may be used, and what not", (Tone.USE, Tone.AVOID, Tone.CARE)),
        ("What it costs", (Tone.COST,)),
        ("What this cannot tell", (Tone.LIMIT,)),
    ):
        told = [sentence for tone in tones for sentence in conclusion.of(tone)]
        if told:
            yield f"### {title}"
            yield ""
            yield from (f"- {_escaped(sentence.text)}" for sentence in told)
            yield ""


def _matrix(found: Found) -> Iterator[str]:
    placed = squares(found.cells)
    locks = in_order(square.lock for square in placed)
    for topology in in_order(square.topology for square in placed):
        here = [square for square in placed if square.topology == topology]
        yield f"| {topology} | {' | '.join(_escaped(lock) for lock in locks)} |"
        yield "|---" * (len(locks) + 1) + "|"
        for scenario in in_order(square.scenario for square in here):
            row = {square.lock: square for square in here if square.scenario == scenario}
            marks = [_mark(row[lock]) if lock in row else "–" for lock in locks]
            yield f"| {_escaped(scenario)} | {' | '.join(marks)} |"
        yield ""
    met = in_order(square.verdict for square in placed)
    yield "; ".join(f"{SYMBOLS[verdict]} {verdict}: {MEANINGS[verdict]}" for verdict in met)
    yield ""


def _mark(square: Square) -> str:
    word = (worst(square.lead) or square.verdict) if square.lead.kinds else square.verdict
    surprise = "" if square.as_expected else " **!**"
    return f"{SYMBOLS[square.verdict]} {word} ({square.counts}){surprise}"


def _escaped(text: str) -> str:
    """Texts come from names and messages: none may end a table's cell or start markup."""
    for character in "\\`*_|<>#[]":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")
