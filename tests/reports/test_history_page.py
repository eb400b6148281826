"""The page's text: what it says, how its columns are written, and that no name is markup."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.checks.view import view_of
from engine.histories.by_hand import OneCall, OneEntry, from_calls
from engine.money import show
from engine.recording import Kind
from engine.results import HistoryView, ViewedCalls
from engine.verdicts import Verdict
from reports.history_page import LANES_MAX, history_page, lanes_of, write_history_page
from tests.reports.history_samples import broken, clean, lost_update, stale_cycle

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
SMALL = clean(12)


class Parts(HTMLParser):
    """The tags of a page, and the texts of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name in ("src", "srcset") or name[:2] == "on"]

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and data.strip():
            self.scripts.append(data)


def named(name: str) -> HistoryView:
    """A history all of whose names are `name`."""
    call = OneCall(name, name, Kind.ADD, 0, 10, code=name, entries=(OneEntry(name, 5, 0, 5, 2),))
    violation = replace(lost_update().violations[0], calls=(0,), message=name, anomaly=name)
    view = view_of(from_calls([call], openings={name: 0}), broken(), title=name)
    return replace(view, violations=(violation,), notes=(name,), layer=name, passed=(name,))


def columns(text: str) -> dict[str, list[int | None]]:
    data: dict[str, list[int | None]] = json.loads(Parts(text).scripts[0])
    return data


def timed(*intervals: tuple[int, int, int | None]) -> ViewedCalls:
    """Calls as (client, invoked, completed)."""
    client, begin, end = zip(*intervals, strict=True)
    return replace(SMALL.calls, client=client, invoked_ns=begin, completed_ns=end)


def test_no_name_becomes_markup() -> None:
    parts = Parts(history_page(named(HOSTILE)))
    assert parts.tags.count("script") == 2
    assert "img" not in parts.tags
    assert json.loads(parts.scripts[0])["accounts"] == [HOSTILE]


def test_only_the_program_that_the_policy_names_may_run() -> None:
    text = history_page(named(HOSTILE))
    program = Parts(text).scripts[1]
    digest = base64.b64encode(hashlib.sha256(program.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in text or f"'sha256-{digest}'" in text
    assert "default-src 'none'" in text


def test_the_page_names_no_address_to_load_from() -> None:
    assert not re.search(r"https?://|@import|url\(", history_page(lost_update()))


def test_a_broken_history_is_told_without_the_picture() -> None:
    text = history_page(lost_update())
    assert "one lost update, 479.04 made" in text
    assert "op-00130 overwrote op-00123 on alice" in text
    assert "Decided by the layer versions" in text


def test_a_clean_history_is_clean_at_its_layer_and_never_safe() -> None:
    text = re.sub(r"(?s)<(script|style).*?</\1>", "", history_page(clean()))
    assert "nothing wrong was found, at the layer graph" in text
    assert "another run may go wrong" in text
    assert not re.search(r"\bsafe\b", text)


def test_an_undecided_history_says_so() -> None:
    view = replace(clean(), verdict=Verdict.UNKNOWN)
    assert "could not be decided" in history_page(view)


def test_what_is_left_out_is_said_with_its_counts() -> None:
    view = replace(lost_update(), calls_total=1_200_000)
    assert "Shown: 300 of 1,200,000 calls, those around what is wrong" in history_page(view)
    assert "Shown:" not in history_page(lost_update())


def test_ten_thousand_calls_are_less_than_a_megabyte(tmp_path: Path) -> None:
    write_history_page(tmp_path / "history.html", stale_cycle())
    assert (tmp_path / "history.html").stat().st_size < 1_000_000


def test_the_same_history_gives_the_same_page_byte_for_byte() -> None:
    assert history_page(lost_update()) == history_page(lost_update())


@settings(max_examples=40)
@given(st.lists(st.none() | st.integers(-(2**53) + 1, 2**53 - 1), min_size=1, max_size=20))
def test_columns_are_read_back_as_they_were(values: list[int | None]) -> None:
    calls = replace(SMALL.calls, before=values)
    given_ = columns(history_page(replace(SMALL, calls=calls)))
    total, read = 0, []
    for step in given_["before"]:
        total += step or 0
        read.append(None if step is None else total)
    assert not given_["big"]
    assert read == values


def test_money_too_large_for_a_plain_number_goes_as_text() -> None:
    huge = 2**53 + 1
    calls = replace(SMALL.calls, before=[huge, None], after=[5, 7])
    data = columns(history_page(replace(SMALL, calls=calls)))
    assert data["big"]
    assert (data["before"], data["after"]) == ([str(huge), None], ["5", "7"])


def test_calls_of_one_client_that_overlap_stand_in_lanes_of_their_own() -> None:
    calls = timed((0, 0, 10), (0, 5, 15), (1, 6, 9), (0, 10, 20), (0, 15, 18))
    assert lanes_of(calls, ("a", "b")) == ([0, 1, 2, 0, 1], [0, 0, 1])


def test_a_call_that_was_never_answered_holds_no_lane() -> None:
    assert lanes_of(timed((0, 0, None), (0, 5, 9)), ("a",)) == ([0, 0], [0])


def test_however_many_calls_overlap_the_lanes_of_a_client_are_bounded() -> None:
    lane, lanes = lanes_of(timed(*((0, i, 1_000) for i in range(200))), ("a",))
    assert len(lanes) == LANES_MAX == max(lane) + 1


def test_lanes_stand_in_the_order_of_their_clients_numbers() -> None:
    names = ("client 10", "client 9", "client 1")
    _, lanes = lanes_of(timed((0, 0, 1), (1, 0, 1), (2, 0, 1)), names)
    assert [names[client] for client in lanes] == ["client 1", "client 9", "client 10"]


@pytest.mark.parametrize(
    ("amount", "decimals", "shown"),
    [(5, 2, "0.05"), (-1250, 2, "-12.50"), (7, 0, "7"), (10**18 + 1, 18, "1." + "0" * 17 + "1")],
)
def test_money_is_shown_exactly(amount: int, decimals: int, shown: str) -> None:
    assert show(amount, decimals) == shown
