"""The page and the files beside it."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from engine.verdicts import Verdict
from reports import Found
from reports.figures import draw
from reports.html import html
from reports.reading import squares

_LOADING = {"src", "srcset", "data", "poster", "action", "background"}


class Page(HTMLParser):
    """Ids, links and whatever would load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if tag == "a" and name == "href":
                self.links.append(value or "")
            if name in _LOADING or (tag == "link" and name == "href"):
                self.loads.append(value or "")


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_every_broken_cell_links_to_a_story_that_is_there(page: Page, small: Found) -> None:
    stories = [link for link in page.links if link.startswith("#story-")]
    broken = [square for square in squares(small.cells) if square.verdict is Verdict.BROKEN]
    assert len(stories) >= len(broken) > 0
    assert {link.removeprefix("#") for link in stories} <= set(page.ids)


def test_every_inner_link_and_reference_has_one_target(page: Page, text: str) -> None:
    assert len(page.ids) == len(set(page.ids))
    inner = {link[1:] for link in page.links if link.startswith("#")}
    inner |= set(re.findall(r"url\(#([^)]+)\)", text))
    inner |= set(re.findall(r'xlink:href="#([^"]+)"', text))
    assert inner <= set(page.ids)


def test_the_page_loads_nothing_from_elsewhere(page: Page, text: str) -> None:
    assert page.loads == []
    assert not [link for link in page.links if ":" in link]
    # Names of XML dialects look like addresses but load nothing.
    rest = re.sub(r'xmlns(:\w+)?="[^"]+"', "", text)
    assert not re.search(r"https?://|@import|url\((?!#)", rest)


def test_files_that_the_page_names_are_there(page: Page, folder: Path) -> None:
    named = [link for link in page.links if not link.startswith("#")]
    assert "data/verdicts.csv" in named
    assert all((folder / link).is_file() for link in named)


def test_the_page_is_light_and_dark(text: str) -> None:
    assert "prefers-color-scheme: dark" in text
    assert "var(--ink)" in text
    drawings = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert drawings.count("<svg") > 5
    assert not re.search(r"#1c2430|#fdfdfe", drawings)


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_stands_out_from_every_ground(text: str, scheme: int) -> None:
    roots = re.findall(r":root \{(.*?)\}", text, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", roots[scheme]))
    for ground in ("paper", "card", "safe", "broken", "reads", "liveness", "order", "open"):
        assert _contrast(colours["ink"], colours[ground]) >= 4.5, ground
    for ink, ground in (("muted", "paper"), ("muted", "card"), ("link", "paper"), ("link", "card")):
        assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    assert _contrast(colours["shout-ink"], colours["shout"]) >= 4.5


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def test_the_limits_stand_beside_the_load(text: str) -> None:
    assert "coordinated omission" in text
    assert "take leases in a lock table" in text
    assert "No power failures." in text


def test_names_cannot_inject_markup() -> None:
    found = Found((), notes=("<script>alert(1)</script>",))
    page = html(found, draw(found), files={})
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_a_report_of_nothing_is_still_a_page() -> None:
    found = Found(())
    page = html(found, draw(found), files={})
    assert "No scenario was explored." in page
    assert page.count("Not run.") == 2


def test_how_a_story_ends_is_text_below_its_picture(text: str) -> None:
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text, re.DOTALL)
    told = next(caption for caption in captions if "500.00 made" in caption)
    assert "In the end: alice 1300.00; correct: alice 800.00: 500.00 made." in told
    assert "12 of 20 interleavings break it" in told
    drawings = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert "In the end" not in drawings


def test_what_has_no_price_is_not_compared(found: Found) -> None:
    page = html(replace(found, cells=()), draw(Found(())), files={})
    table = page.partition("<h3>Compared</h3>")[2].partition("</table>")[0]
    assert '<th scope="row">per-user</th>' in table
    assert '<th scope="row">none</th>' not in table


def test_a_single_run_is_called_one_run(found: Found) -> None:
    single = replace(found.ratios[0], rounds=1)
    page = html(replace(found, cells=(), ratios=(single,)), draw(Found(())), files={})
    table = page.partition("<h3>Compared</h3>")[2].partition("</table>")[0]
    assert "one run, no interval" in table
    assert "range" not in table


def test_the_page_is_small(folder: Path) -> None:
    assert (folder / "index.html").stat().st_size < 5_000_000


def test_both_databases_stand_side_by_side(text: str) -> None:
    section = text[text.index('id="stores"') :]
    section = section[: section.index("</section>")]
    assert "PostgreSQL, one hot account" in section
    assert "SQLite, 100 accounts (uniform)" in section
    assert "gave up)" in section
    assert "<td>— 2/6</td>" in section
    assert "<td>✓ (not expected!)</td>" in section


def test_a_report_without_them_says_so(small: Found) -> None:
    without = replace(small, store_runs=(), isolation=())
    assert "Not measured." in html(without, draw(without), files={})
