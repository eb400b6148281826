"""The page: one self-contained file, light and dark, for phone and wall."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from engine.money import show_cents
from reports.conclusion import conclude
from reports.costs import compared, spread_words, within_noise
from reports.figures import Figures, story_caption
from reports.found import Found
from reports.matrix_figure import matrix_words
from reports.reading import (
    MEANINGS,
    SYMBOLS,
    accounts_count,
    accounts_words,
    cell_anchor,
    in_order,
    lost_words,
    programs_as_expected,
    run_is_unexpected,
    settings,
    squares,
    store_words,
    stories,
    worst,
)
from reports.telling import ending, numbered
from reports.theme import DARK, LIGHT, Picture, inlined


def html(found: Found, figures: Figures, *, files: Mapping[str, str]) -> str:
    """The whole page. `files` names what lies beside it: path, and what it holds."""
    placed = squares(found.cells)
    words: dict[str, Any] = {
        "found": found,
        "conclusion": conclude(found),
        "ratios": compared(found),
        "figures": figures,
        "files": files,
        "locks": in_order(square.lock for square in placed),
        "topologies": {
            topology: _rows(found, topology)
            for topology in in_order(square.topology for square in placed)
        },
        "verdicts": in_order(square.verdict for square in placed),
        "matrix_words": matrix_words(placed),
        "stories": [
            (scenario, kind, list(group))
            for (scenario, kind), group in groupby(
                stories(found.cells), key=lambda story: (story.scenario, story.kind)
            )
        ],
        "settings": settings(found.load_runs),
        "stores_table": _stores_table(found),
        "isolation": _isolation(found),
        "light": LIGHT,
        "dark": DARK,
    }
    return _environment().get_template("index.html.j2").render(words)


def _rows(found: Found, topology: str) -> dict[str, dict[str, Any]]:
    """Scenario to lock strategy to square, under one topology."""
    rows: dict[str, dict[str, Any]] = {}
    for square in squares(found.cells):
        if square.topology == topology:
            rows.setdefault(square.scenario, {})[square.lock] = square
    return rows


def _stores_table(found: Found) -> dict[str, Any]:
    """The most clients on the fewest and the most accounts: lock strategy to a run or None each."""
    runs = found.store_runs
    clients = max((run.load.clients for run in runs), default=0)
    accounts = sorted({run.load.accounts for run in runs}, key=accounts_count)
    columns = [
        (store, ends)
        for store in in_order(run.load.store for run in runs)
        for ends in in_order([*accounts[:1], *accounts[-1:]])
    ]
    by_place = {(r.load.lock, r.load.store, r.load.accounts, r.load.clients): r for r in runs}
    return {
        "clients": clients,
        "stores": in_order(store for store, _ in columns),
        "accounts": in_order(ends for _, ends in columns),
        "rows": {
            lock: [by_place.get((lock, *column, clients)) for column in columns]
            for lock in in_order(run.load.lock for run in runs)
        },
    }


def _isolation(found: Found) -> dict[str, Any]:
    """Anomaly to one cell or None for each level of each database."""
    cells = found.isolation
    levels = in_order((cell.store, cell.level) for cell in cells)
    by_place = {(cell.store, cell.level, cell.anomaly): cell for cell in cells}
    return {
        "levels": levels,
        "rows": {
            (anomaly, title): [by_place.get((*level, anomaly)) for level in levels]
            for anomaly, title in in_order((cell.anomaly, cell.title) for cell in cells)
        },
    }


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "accounts_words": accounts_words,
        "anchor": cell_anchor,
        "ending": ending,
        "lost": lost_words,
        "money": show_cents,
        "numbered": numbered,
        "store_words": store_words,
        "story_caption": story_caption,
        "svg": _svg,
        "worst": worst,
    }
    environment.globals |= {
        "MEANINGS": MEANINGS,
        "SYMBOLS": SYMBOLS,
        "programs_as_expected": programs_as_expected,
        "unexpected": run_is_unexpected,
        "spread_words": spread_words,
        "within_noise": within_noise,
    }
    return environment


def _svg(picture: Picture) -> Markup:
    """The drawing itself, made by matplotlib from escaped texts: the one thing not escaped."""
    return Markup(inlined(picture))
