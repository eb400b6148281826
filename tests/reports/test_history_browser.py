"""The history page in a real browser: keys, mouse, touch, links, and what it never does."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.checks.view import view_of
from engine.histories.by_hand import OneCall, OneEntry, from_calls
from engine.recording import Kind
from engine.verdicts import Verdict
from tests.reports.headless import Browser, Tab, browser, found
from tests.reports.history_samples import broken
from tests.reports.history_shown import Show, place, sight, text
from tests.reports.test_history_page import HOSTILE, named

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def started() -> Iterator[Browser]:
    program = found()
    if program is None:
        pytest.skip("no Chromium is installed")
    with browser(program) as running:
        yield running


@pytest.fixture
def tab(started: Browser) -> Iterator[Tab]:
    with started.tab() as opened:
        opened.size(1400, 900)
        # Nothing glides, so that a test need not wait for it.
        opened.prefer(prefers_reduced_motion="reduce")
        yield opened


@pytest.fixture
def show(tab: Tab, tmp_path: Path) -> Show:
    return Show(tab, tmp_path)


@pytest.mark.parametrize("name", ["lost", "racing", "stale", "clean"])
def test_the_page_loads_nothing_but_itself_and_reports_no_error(show: Show, name: str) -> None:
    tab = show(name)
    for key in ("n", "+", "ArrowLeft", "l", "Home", "?", "Escape", "p"):
        tab.press(key)
    assert tab.problems == []
    assert {url.partition("#")[0].rpartition("/")[2] for url in tab.requests} == {"history.html"}
    assert len(tab.requests) == 1


def test_the_page_opens_at_the_first_violation_with_its_calls_in_sight(show: Show) -> None:
    tab = show("stale")
    since, until = sight(tab)
    moments = tab.js(
        "violation().calls.flatMap((call) => [calls.invoked[call], calls.completed[call]])"
    )
    assert since < min(moments) < max(moments) < until
    assert until - since < 20 * (max(moments) - min(moments))


def test_plus_and_minus_zoom_around_the_middle(show: Show) -> None:
    tab = show("stale")
    since, until = sight(tab)
    tab.press("+")
    nearer, further = sight(tab)
    assert since < nearer < further < until
    assert (nearer + further) / 2 == pytest.approx((since + until) / 2)
    tab.press("-")
    assert sight(tab) == pytest.approx((since, until))


def test_arrows_move_and_home_shows_everything(show: Show) -> None:
    tab = show("lost")
    since, until = sight(tab)
    tab.press("ArrowRight")
    assert sight(tab)[0] > since
    tab.press("ArrowLeft")
    assert sight(tab) == pytest.approx((since, until))
    tab.press("Home")
    everything = sight(tab)
    assert everything[0] <= tab.js("start") < tab.js("end") <= everything[1]


def test_the_wheel_zooms_at_the_pointer(show: Show) -> None:
    tab = show("stale")
    # A mouse points at whole pixels.
    x, y = map(round, place(tab, "op-06014"))
    under = f"timeAt({x} - chart.canvas.getBoundingClientRect().left)"
    before, (since, until) = tab.js(under), sight(tab)
    tab.mouse("mouseWheel", x, y, deltaX=0, deltaY=-200)
    nearer, further = sight(tab)
    assert further - nearer < until - since
    assert tab.js(under) == pytest.approx(before)


def test_dragging_moves_the_history_with_the_pointer(show: Show) -> None:
    tab = show("lost")
    x, y = place(tab, "op-00130")
    held = {"button": "left", "buttons": 1}
    tab.mouse("mousePressed", x, y, clickCount=1, **held)
    tab.mouse("mouseMoved", x - 150, y, **held)
    tab.mouse("mouseReleased", x - 150, y, button="left", clickCount=1)
    assert place(tab, "op-00130")[0] == pytest.approx(x - 150)
    assert tab.js("state.selected") == -1


def test_two_fingers_zoom_and_one_moves(show: Show) -> None:
    tab = show("lost")
    tab.size(390, 844, mobile=True)
    tab.settle()
    tab.js("chart.canvas.scrollIntoView({block: 'center'})")
    since, until = sight(tab)
    y = tab.js(
        "(() => { const b = chart.canvas.getBoundingClientRect(); return b.top + b.height / 2 })()"
    )
    tab.touch("touchStart", (180, y), (220, y))
    tab.touch("touchMove", (120, y), (280, y))
    tab.touch("touchEnd")
    nearer, further = sight(tab)
    assert further - nearer < (until - since) / 2
    tab.touch("touchStart", (300, y))
    for x in (280, 240, 200):
        tab.touch("touchMove", (x, y))
    tab.touch("touchEnd")
    moved = sight(tab)
    assert moved[0] > nearer
    assert moved[1] - moved[0] == pytest.approx(further - nearer)


def test_hovering_tells_what_a_call_did(show: Show) -> None:
    tab = show("lost")
    assert tab.js("document.querySelector('#tip').hidden")
    tab.mouse("mouseMoved", *place(tab, "op-00130"))
    words = text(tab, "#tip")
    assert "op-00130" in words
    assert re.search(r"alice \+80\.65, 4133\.40 → 4214\.05, version \d+", words)
    assert re.search(r"took [\d.]+ ms", words)
    tab.mouse("mouseMoved", 5, 5)
    assert tab.js("document.querySelector('#tip').hidden")


def test_a_click_selects_a_call_and_its_address_finds_it_again(show: Show) -> None:
    tab = show("lost")
    x, y = place(tab, "op-00123")
    tab.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
    tab.mouse("mouseReleased", x, y, button="left", clickCount=1)
    assert "op-00123" in text(tab, "#chosen")
    assert tab.js("location.hash") == "#op=op-00123"
    again = show("lost", "#op=op-00250")
    since, until = sight(again)
    assert since < again.js("calls.invoked[places.get('op-00250')]") < until
    assert "op-00250" in text(again, "#chosen")


def test_slash_searches_an_operation(show: Show) -> None:
    tab = show("stale")
    tab.press("/")
    assert tab.js("document.activeElement.id") == "search"
    tab.do("Input.insertText", text="op-09000")
    tab.press("Enter")
    assert "op-09000" in text(tab, "#chosen")
    since, until = sight(tab)
    assert since < tab.js("calls.invoked[places.get('op-09000')]") < until
    tab.js("document.querySelector('#search').value = 'nobody'")
    tab.press("Enter")
    assert "no operation nobody is shown" in text(tab, "#search-form")


def test_n_and_p_go_from_violation_to_violation(show: Show) -> None:
    tab = show("racing")
    assert text(tab, "#said").startswith("Violation 1 of 100")
    tab.press("n")
    assert text(tab, "#said").startswith("Violation 2 of 100")
    assert tab.js("location.hash") == "#violation=2"
    tab.press("p")
    tab.press("p")
    assert text(tab, "#said").startswith("Violation 100 of 100")
    assert show("racing", "#violation=7").js("state.violation") == 6


def test_a_violation_turns_to_its_account(show: Show) -> None:
    tab = show("racing")
    for _ in range(3):
        shown = tab.js("document.querySelector('#account').selectedOptions[0].text")
        assert text(tab, "#violations > li[data-current]").count(f"{shown}:") == 1
        tab.press("n")


def test_shift_and_arrows_walk_from_call_to_call(show: Show) -> None:
    tab = show("lost", "#op=op-00123")
    tab.press("ArrowRight", shift=True)
    lane, at = tab.js("[calls.lane[state.selected], calls.invoked[state.selected]]")
    assert lane == tab.js("calls.lane[places.get('op-00123')]")
    assert at > tab.js("calls.invoked[places.get('op-00123')]")
    tab.press("ArrowUp", shift=True)
    assert tab.js("calls.lane[state.selected]") == lane - 1
    tab.press("Escape")
    assert tab.js("document.querySelector('#chosen').hidden")


def test_only_the_clients_involved_are_left_when_asked_for(show: Show) -> None:
    tab = show("stale")
    assert tab.js("shownLanes().length") == 32
    tab.press("l")
    assert tab.js("shownLanes().length") == 3
    assert tab.js("document.querySelector('#involved').getAttribute('aria-pressed')") == "true"


def test_question_mark_opens_the_keys_and_escape_closes_them(show: Show) -> None:
    tab = show("clean")
    tab.press("?")
    assert tab.js("document.querySelector('#help').open")
    before = sight(tab)
    tab.press("ArrowRight")
    assert sight(tab) == before
    tab.press("Escape")
    assert not tab.js("document.querySelector('#help').open")


def test_a_hostile_name_is_shown_as_text(show: Show) -> None:
    tab = show(named(HOSTILE))
    tab.mouse("mouseMoved", *place(tab, HOSTILE))
    assert HOSTILE in text(tab, "#tip")
    assert HOSTILE in text(tab, "#violations")
    assert tab.js("document.querySelectorAll('img, script').length") == 2
    assert tab.problems == []


def test_the_picture_follows_the_readers_colours(show: Show) -> None:
    tab = show("lost")
    corner = "Array.from(chart.pen.getImageData(2, 2, 1, 1).data).slice(0, 3)"
    tab.prefer(prefers_color_scheme="light")
    tab.settle()
    light = tab.js(corner)
    tab.prefer(prefers_color_scheme="dark")
    tab.settle()
    assert sum(light) > 700
    assert sum(tab.js(corner)) < 150


def test_ten_thousand_calls_are_all_there_and_drawn(show: Show) -> None:
    tab = show("stale")
    tab.press("Home")
    assert tab.js("calls.count") == 10_000
    colours = tab.js(
        """(() => { const all = new Set(), { width, height } = chart.canvas;
        const data = new Uint32Array(chart.pen.getImageData(0, 0, width, height).data.buffer);
        for (const pixel of data) all.add(pixel); return all.size })()"""
    )
    assert colours > 50


def test_money_beyond_plain_numbers_is_shown_to_the_last_digit(show: Show) -> None:
    huge = 2**60 + 1
    call = OneCall("a", "A", Kind.ADD, 0, 1_000, entries=(OneEntry("u", 7, huge, huge + 7, 2),))
    view = view_of(from_calls([call], openings={"u": huge}), broken())
    tab = show(replace(view, decimals=18), "#op=a")
    assert "1.152921504606846977 → 1.152921504606846984" in text(tab, "#chosen")


def test_an_empty_history_can_be_looked_at(show: Show) -> None:
    empty = replace(broken(), verdict=Verdict.CLEAN)
    tab = show(view_of(from_calls([], openings={}), empty))
    for key in ("n", "+", "Home", "l"):
        tab.press(key)
    assert "0 calls" in text(tab, "header")
    assert tab.problems == []


def test_on_a_phone_nothing_is_wider_than_the_screen(show: Show) -> None:
    tab = show("stale")
    tab.size(390, 844, mobile=True)
    tab.settle()
    assert tab.js("document.documentElement.scrollWidth") <= 390


def test_everything_that_acts_has_a_name_and_can_be_focused(show: Show) -> None:
    tab = show("lost")
    nameless = tab.js(
        """[...document.querySelectorAll('button, input, select, canvas')].filter((one) =>
        !(one.getAttribute('aria-label') || one.innerText || one.labels?.length)).length"""
    )
    assert nameless == 0
    tab.js("chart.canvas.focus()")
    assert tab.js("document.activeElement.id") == "lanes"
