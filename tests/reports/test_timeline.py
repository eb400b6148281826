"""A witness's timeline: bars from acquire to release, on a terminal and in a file of its own."""

import asyncio
import io
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from rich.console import Console

from engine.errors import UsageError
from engine.explore.cells import explore_cell
from engine.results import TimelineEvent, Witness
from engine.verdicts import Break, Finding
from reports import timeline_terminal
from reports.theme import LIGHT
from reports.timeline_bars import Bar, bars
from reports.timeline_file import drawn, write_timeline
from reports.timeline_words import source_of, who_met_whom
from scenarios.catalogue import SCENARIOS


def event(step: int, client: str, kind: str, **told: object) -> TimelineEvent:
    plain = TimelineEvent(step, client, 0, kind, "go", f"{kind}s alice", {"alice": 100_00})
    return replace(plain, **told)  # type: ignore[arg-type]


@cache
def found(scenario: str, lock: str, topology: str = "one-service") -> Witness:
    """The witness of a broken cell."""
    cell = asyncio.run(explore_cell(SCENARIOS[scenario], lock, topology, "memory"))
    assert cell.witness is not None
    return cell.witness


def race() -> Witness:
    return found("documented-race", "none")


def locked_race() -> Witness:
    """Each of two service instances has a mutex of its own."""
    return found("documented-race", "per-user", "two-processes")


def stuck() -> Witness:
    return found("crossing-transfers", "per-user-unsorted")


def crowd(clients: str, steps: int = 40) -> Witness:
    """Many clients through two service instances."""
    told = [
        event(step, clients[step % len(clients)], "read", instance=step % len(clients) % 2)
        for step in range(steps)
    ]
    return replace(race(), events=tuple(told))


def screen(witness: Witness, width: int = 80) -> list[str]:
    return [line.plain for line in timeline_terminal.draw(witness, width)]


# -- bars --------------------------------------------------------------------------------------


def test_a_bar_runs_from_the_step_that_took_the_lock_to_the_one_that_gave_it_back() -> None:
    told = [
        event(0, "A", "acquire", holds=("alice",)),
        event(1, "B", "invoke", waits={"B": "alice"}),
        event(2, "A", "read", holds=("alice",), waits={"B": "alice"}),
        event(3, "A", "write"),
        event(4, "B", "acquire", holds=("alice",)),
        event(5, "B", "write"),
    ]
    assert bars(told) == [
        Bar("A", "alice", 0, 3),
        Bar("B", "alice", 1, 3, waiting=True),
        Bar("B", "alice", 4, 5),
    ]


def test_a_lock_that_nobody_gives_back_has_a_bar_without_end() -> None:
    held = event(0, "A", "take", holds=("alice",), leases=("alice",))
    assert bars([held, event(1, "B", "read")]) == [Bar("A", "alice", 0, None, lease=True)]


def test_a_crash_ends_the_bars_of_its_instance_and_no_others() -> None:
    told = [
        event(0, "A", "acquire", holds=("alice",)),
        event(1, "B", "acquire", holds=("bob",), instance=1),
        event(2, "A", "write", how="crashed", holds=("alice",)),
    ]
    assert bars(told) == [Bar("A", "alice", 0, 2), Bar("B", "bob", 1, None)]


# -- on a terminal -----------------------------------------------------------------------------


def test_each_client_and_instance_has_a_lane_and_each_lock_a_bar() -> None:
    lines = screen(locked_race())
    assert lines[0].split() == ["A,", "service", "0", "B,", "service", "1", "alice"]
    column = lines[0].index("A,") - 2
    first = next(number for number, line in enumerate(lines) if "locks alice" in line)
    assert lines[first][column] == "┏"
    assert [line[column] for line in lines[first + 1 : first + 4]] == ["┃"] * 3


def test_the_wrong_step_says_where_its_number_came_from_and_what_it_made() -> None:
    lines = screen(race())
    wrong = next(number for number, line in enumerate(lines) if line.startswith(" T4"))
    assert "writes alice 1300.00" in lines[wrong]
    assert lines[wrong].endswith("1300.00")
    assert [line.strip() for line in lines[wrong + 1 : wrong + 3]] == [
        "from T2's 1000.00",
        "✗ 500.00 made here",
    ]


def test_a_deadlock_ends_with_who_waits_for_what_for_ever() -> None:
    lines = screen(stuck())
    assert any("✗ waits for bob for ever" in line for line in lines)
    assert any("✗ waits for alice for" in line for line in lines)
    assert "┊ waits for a lock" in lines[-1]


@pytest.mark.parametrize("clients", ["AB", "ABC", "ABCD", "ABCDEFGH"])
def test_however_many_lanes_no_line_is_wider_than_the_screen(clients: str) -> None:
    witness = crowd(clients)
    lines = screen(witness)
    assert max(map(len, lines)) <= 80
    words = " ".join(" ".join(lines).split())
    assert all(e.text.split()[0] in words for e in witness.events)
    if len(clients) > 3:
        assert lines[0].split()[:2] == ["client/service:", "step"]
        assert any("B/1: " in line for line in lines)


def test_nothing_is_told_by_colour_alone() -> None:
    witness = locked_race()
    text = io.StringIO()
    for line in timeline_terminal.draw(witness, 80):
        Console(width=80, color_system=None, file=text).print(line)
    told = text.getvalue()
    for mark in ("┏", "┗", "✗", "T1", "T4", "»"):
        assert mark in told


# -- in words ----------------------------------------------------------------------------------


def test_the_write_that_overwrites_is_traced_back_to_its_read() -> None:
    events = race().events
    assert events[-1].wrong
    assert [source_of(events, number) for number in (4, 5)] == [None, 3]
    # A's write was computed from what the wallet held


def test_a_lost_update_needs_no_second_sentence() -> None:
    assert who_met_whom(race()) == ""


def test_a_deadlock_and_a_stale_answer_name_both_operations() -> None:
    assert who_met_whom(stuck()) == (
        "A asked to transfer 100.00 from alice to bob; B asked to transfer 50.00 from bob to alice."
    )
    stale = [
        event(0, "A", "write", request="withdraw 9.00 from alice", saw={"alice": 109_00}),
        event(1, "B", "cache_get", saw={"alice": 109_00}, wrong=True),
    ]
    finding = Finding(Break.READS, "a stale answer", client="B")
    cached = replace(race(), events=tuple(stale), findings=(finding,))
    assert who_met_whom(cached) == (
        "A's request to withdraw 9.00 from alice had made it 100.00 (T1)."
    )


# -- in a file ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_picture_of_its_own_has_its_words_and_its_paper_and_is_the_same_twice() -> None:
    witness = stuck()
    svg = drawn(witness, title="the title", subtitle="where")
    assert svg == drawn(witness, title="the title", subtitle="where")
    text = svg.decode()
    for words in ("the title", "where", "deadlock: A waits for", "dotted bar: waits for a lock"):
        assert words in text
    assert f'fill="{LIGHT.paper}"' in text
    assert drawn(witness, title="the title", png=True)[:4] == b"\x89PNG"


@pytest.mark.slow
def test_each_lock_is_named_on_its_bar_and_a_stale_read_has_an_arrow() -> None:
    text = drawn(locked_race(), title="race").decode()
    assert text.count("rotate(-90") == 2  # the names beside the bars
    assert "rotate(-90" not in drawn(race(), title="race").decode()
    assert "from T2's 1000.00" in text
    assert "stroke-dasharray" in text
    twice = drawn(found("retry-without-key", "db-row"), title="no stale read").decode()
    assert "stroke-dasharray" not in twice


def test_a_file_that_cannot_be_written_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.svg or \.png"):
        write_timeline(stuck(), tmp_path / "race.pdf", title="t")
    with pytest.raises(UsageError, match="cannot write"):
        write_timeline(stuck(), tmp_path / "no" / "race.svg", title="t")
