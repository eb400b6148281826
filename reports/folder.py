"""The report as a folder of files: the page, its pictures and data, Markdown and JUnit."""

from pathlib import Path

from reports.figures import draw
from reports.found import Found
from reports.history_page import write_history_page
from reports.html import html
from reports.junit import junit_xml
from reports.markdown import report_markdown
from reports.tables import export, tables
from reports.theme import write_picture

HISTORY = "history.html"

_ABOUT = {
    "history.html": "one load run, call by call, around the first lost update",
    "report.md": "conclusion and verdicts for a pull request",
    "junit.xml": "one test case for each cell and load run",
    "columns.json": "what every column of the tables means",
    ".csv": "table for any program",
    ".parquet": "table with types",
    ".json": "table as records",
    "-light.svg": "picture for a light background",
    "-dark.svg": "picture for a dark background",
    ".png": "picture as pixels",
}


def write_folder(out: Path, found: Found) -> list[Path]:
    """Write everything into `out`; the page comes first in the list."""
    out.mkdir(parents=True, exist_ok=True)
    page, comment, junit = out / "index.html", out / "report.md", out / "junit.xml"
    figures = draw(found)
    pictures = [path for each in figures.every for path in write_picture(each, out / "figures")]
    data = export(tables(found), out / "data")
    comment.write_text(report_markdown(found), encoding="utf-8")
    junit.write_text(junit_xml(found.cells, found.load_runs, found.programs), encoding="utf-8")
    # Timelines are in the page; only what one would take elsewhere is listed there.
    beside = [comment, junit, *_history(out, found), *data, *pictures]
    listed = [path for path in beside if "story-" not in path.name]
    files = {path.relative_to(out).as_posix(): _about(path) for path in listed}
    page.write_text(html(found, figures, files=files), encoding="utf-8")
    return [page, *beside]


def _history(out: Path, found: Found) -> list[Path]:
    if found.history is None:
        return []
    path = out / HISTORY
    write_history_page(path, found.history)
    return [path]


def _about(path: Path) -> str:
    return next(text for ending, text in _ABOUT.items() if path.name.endswith(ending))
