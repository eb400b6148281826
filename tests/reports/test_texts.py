"""Markdown, JUnit and the terminal."""

import io
from dataclasses import replace

import junitparser
import pytest
from rich.console import Console

from engine.verdicts import Break, Verdict
from reports import Found
from reports.junit import junit_xml
from reports.markdown import MARKDOWN_BYTES_MAX, markdown, report_markdown
from reports.reading import squares
from reports.terminal import next_step, print_cell, print_matrix, print_report, print_witness


def console(width: int = 80) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=width, force_terminal=False), text


def cases(xml: str) -> list[junitparser.TestCase]:
    return [case for suite in junitparser.JUnitXml.fromstring(xml.encode()) for case in suite]


def test_junit_has_one_case_for_each_cell_run_and_hunt(found: Found) -> None:
    told = cases(junit_xml(found.cells, found.load_runs, found.programs))
    assert len(told) == len(found.cells) + len(found.load_runs) + len(found.programs)
    assert len({(case.classname, case.name) for case in told}) == len(told)
    assert not [case for case in told if case.result]


def test_a_surprise_fails_in_junit_with_its_witness_and_a_command(surprised: Found) -> None:
    (failed,) = [case for case in cases(junit_xml(surprised.cells)) if case.result]
    (failure,) = failed.result
    assert failure.message == "broken, expected safe"
    assert "writes alice 1300.00" in failure.text
    assert "again: walletrace explore double-spend --lock per-user" in failure.text


def test_a_load_run_fails_in_junit_only_where_nothing_should_break(found: Found) -> None:
    run = next(run for run in found.load_runs if run.load.lock == "per-user")
    lost = replace(run, verdict=Verdict.BROKEN, lost_cents=500)
    told = cases(junit_xml(found.cells, [lost, *found.load_runs]))
    assert [case.result[0].message for case in told if case.result] == ["broken: lost 5.00"]


def test_markdown_begins_with_the_conclusion_and_holds_every_cell(found: Found) -> None:
    text = report_markdown(found)
    assert text.splitlines()[2].startswith("**db-row holds under every topology")
    money = [square for square in squares(found.cells) if square.lead.kinds == (Break.MONEY,)]
    assert text.count("✗ money (12 of 20)") == len(money) > 0
    assert "| crossing-transfers |" in text


def test_markdown_shouts_a_surprise_before_the_table(surprised: Found) -> None:
    text = markdown(surprised.cells)
    assert text.index("WRONG") < text.index("| one-service |")
    assert "✗ money (12 of 20) **!**" in text


def test_markdown_fits_a_comment_however_much_was_found(found: Found) -> None:
    many = tuple(replace(c, scenario=f"{c.scenario}-{n}") for c in found.cells for n in range(40))
    text = markdown(many)
    assert len(text.encode()) <= MARKDOWN_BYTES_MAX
    assert "cut here" in text


def test_a_name_cannot_break_the_markdown_table(found: Found) -> None:
    text = markdown([replace(found.cells[0], scenario="a|b<img>")])
    assert "a\\|b\\<img\\>" in text


@pytest.mark.parametrize("which", ["found", "surprised"])
def test_the_report_fits_one_screen(which: str, request: pytest.FixtureRequest) -> None:
    out, text = console()
    print_report(out, request.getfixturevalue(which), page="reports/out/index.html")
    lines = text.getvalue().splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert "Next: walletrace explore" in text.getvalue()


def test_the_next_step_leads_to_the_surprise(surprised: Found) -> None:
    assert next_step(surprised) == "walletrace explore double-spend --lock per-user"


def test_a_witness_is_told_as_the_guide_tells_it(found: Found) -> None:
    out, text = console(100)
    witness = found.cells[0].witness
    assert witness is not None
    print_witness(out, witness)
    numbered = [line.split() for line in text.getvalue().splitlines() if line.startswith(" T")]
    assert [line[0] for line in numbered] == ["T1", "T2", "T3", "T4"]
    assert numbered[0][1:4] == ["reads", "alice", "1000.00"]
    assert "In the end: alice 1300.00; correct: alice 800.00: 500.00 made." in text.getvalue()


def test_a_cell_says_how_many_interleavings_there_are_and_how_many_lose(found: Found) -> None:
    out, text = console(100)
    print_cell(out, found.cells[0], "the story")
    assert "✗ broken  documented-race with none, one-service, memory  (money)" in text.getvalue()
    assert "12 of 20 interleavings break it (all 20 interleavings)" in text.getvalue()


def test_the_matrix_marks_what_is_not_as_expected(surprised: Found) -> None:
    out, text = console(100)
    print_matrix(out, surprised.cells)
    assert "M!" in text.getvalue()
    assert "! not as declared" in text.getvalue()
    assert "WRONG: double-spend with per-user" in text.getvalue()


def test_a_cell_names_its_faults(found: Found) -> None:
    out, text = console(100)
    print_cell(out, replace(found.cells[0], faults="cancel=1,expire=1"))
    assert "documented-race with none, one-service, memory, cancel=1,expire=1  (" in text.getvalue()


def test_where_nothing_ran_to_its_end_no_zero_of_zero_is_told(found: Found) -> None:
    bounded = replace(
        found.cells[0], verdict=Verdict.BOUNDED, kinds=(), interleavings=0, losing=0, outcomes={},
        witness=None, note="stopped, not all",
    )  # fmt: skip
    out, text = console(100)
    print_cell(out, bounded)
    assert "nothing broke in what was explored (stopped, not all)" in text.getvalue()
    assert "0 of 0" not in text.getvalue()


def test_of_many_ways_to_end_ten_are_shown_those_that_lose_first(found: Found) -> None:
    right = {f"alice={number}.00": 1000 + number for number in range(61)}
    outcomes = {**right, "deadlock": 2, "bob=1.00: money, reads": 1, "alice=7.00: money": 9}
    out, text = console(100)
    print_cell(out, replace(found.cells[0], outcomes=outcomes, witness=None))
    shown = [line.strip() for line in text.getvalue().splitlines() if line.startswith("  ")]
    assert [line.partition("  ")[2] for line in shown[:4]] == [
        "alice=7.00: money", "deadlock", "bob=1.00: money, reads", "alice=60.00",
    ]  # fmt: skip
    assert shown[10:] == ["… and 54 more (--json has them all)"]


def test_ten_ways_to_end_need_no_more(found: Found) -> None:
    out, text = console(100)
    print_cell(out, replace(found.cells[0], outcomes={f"a={n}.00": n for n in range(10)}))
    assert "more (--json" not in text.getvalue()


def test_the_matrix_sends_the_reader_to_a_scenario_of_their_own(found: Found) -> None:
    out, text = console()
    print_matrix(out, found.cells[:2], {"documented-race": "my_story:SCENARIO"})
    assert "Next: walletrace explore my_story:SCENARIO --lock none" in text.getvalue()


def test_the_matrix_promises_no_schedule_that_it_does_not_show(found: Found) -> None:
    out, text = console()
    print_matrix(out, found.cells)
    assert "schedule that breaks it is shown" not in text.getvalue()
    assert "`walletrace explore` shows a schedule that does it" in text.getvalue()
