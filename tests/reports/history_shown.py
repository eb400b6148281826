"""A history in a browser's tab, and what one sees there."""

import re
from functools import cache
from pathlib import Path

from engine.checks import judge
from engine.checks.view import view_of
from engine.results import HistoryView
from reports.history_page import write_history_page
from tests.reports.headless import Tab
from tests.reports.history_samples import clean, lost_update, racing, stale_cycle


@cache
def sample(name: str) -> HistoryView:
    """A sample by its name; made once, since ten thousand calls take a while."""
    if name == "racing":
        history = racing()
        return view_of(history, judge(history))
    return {"lost": lost_update, "stale": stale_cycle, "clean": clean}[name]()


class Show:
    """Opens a history in the tab."""

    def __init__(self, tab: Tab, folder: Path) -> None:
        self._tab, self._folder = tab, folder

    def __call__(self, view: str | HistoryView, link: str = "") -> Tab:
        path = self._folder / "history.html"
        write_history_page(path, sample(view) if isinstance(view, str) else view)
        self._tab.open(path.as_uri() + link)
        return self._tab


def sight(tab: Tab) -> tuple[float, float]:
    """From when to when the lanes show the history, in ns."""
    since, until = tab.js("[state.from, state.to]")
    return since, until


def place(tab: Tab, operation: str) -> tuple[float, float]:
    """Where on the screen the middle of an operation's bar is."""
    x, y = tab.js(
        f"""(() => {{
          const box = chart.canvas.getBoundingClientRect();
          const bar = layOut().bar(places.get({operation!r}));
          return [box.left + bar.x + bar.w / 2, box.top + bar.y + bar.h / 2];
        }})()"""
    )
    return x, y


def text(tab: Tab, selector: str) -> str:
    words = tab.js(f"document.querySelector({selector!r}).innerText")
    return re.sub(r"\s+", " ", words)
