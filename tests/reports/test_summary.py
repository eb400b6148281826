"""Costs on the terminal: one load speaks for all, and nothing that matters is cut."""

import io
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.console import Console

from engine.results import LoadRun
from engine.verdicts import Verdict
from reports import Found
from reports.summary import captions, summary, telling_setting
from reports.terminal import print_matrix, print_report
from reports.terminal_load import print_load


def printed(thing: object, width: int = 80) -> str:
    text = io.StringIO()
    Console(file=text, width=width).print(thing)
    return text.getvalue()


def loads_printed(runs: Sequence[LoadRun], width: int) -> str:
    text = io.StringIO()
    print_load(Console(file=text, width=width), runs, ())
    return text.getvalue()


def test_the_load_with_most_rounds_accounts_and_work_speaks_for_all(found: Found) -> None:
    setting = telling_setting(found.load_runs)
    assert setting is not None
    assert (setting.driver, setting.load.accounts, setting.load.work_ms) == (
        "asyncio", "uniform:1000", 2.0,
    )  # fmt: skip
    more = [run for run in found.load_runs if run.load.accounts == "hot" or run.round == 0]
    often = telling_setting(more)
    assert often is not None
    assert often.load.accounts == "hot"


def test_costs_of_other_loads_do_not_enter_the_table(found: Found) -> None:
    setting = telling_setting(found.load_runs)
    assert setting is not None
    alone = replace(found, load_runs=setting.runs)
    assert printed(summary(alone)) == printed(summary(found))
    assert len(list(captions(alone))) == 1


def test_the_caption_names_the_load_and_what_broke_under_others(found: Found) -> None:
    cost, others, http = captions(found)
    assert "asyncio driver, 16 clients, 1,000 accounts (uniform)" in cost
    assert "2 ms of work inside the lock; median of 3 rounds" in cost
    assert others.startswith("In its other loads, none broke in 3 of 9 runs, at worst lost")
    assert http.startswith("Over HTTP (locust), none broke in 1 of 1 runs, at worst lost")


@pytest.mark.parametrize("width", [80, 120])
def test_money_is_never_cut_from_the_table_of_loads(found: Found, width: int) -> None:
    run = replace(found.load_runs[0], lost_cents=1_698_783_500, verdict=Verdict.BROKEN)
    own = replace(run, load=replace(run.load, lock="my_shop.locking.strategies:Optimistic"))
    text = loads_printed([run, own], width)
    assert "lost 16987835.00" in text
    assert "Optimistic" in text
    assert "…" not in text.partition("p50, p99")[0]
    assert ("wait p50" in text.partition("latency")[0]) is (width > 100)


def test_no_name_is_cut_from_the_matrix(found: Found) -> None:
    cells = tuple(
        replace(cell, scenario=cell.scenario.replace("crossing-transfers", "batch-beside-transfer"))
        for cell in found.cells
    )
    text = io.StringIO()
    print_matrix(Console(file=text, width=80), cells)
    assert "batch-beside-transfer" in text.getvalue()
    assert "per-user-" in text.getvalue()
    assert "unsorted" in text.getvalue()
    assert "…" not in text.getvalue()


def test_a_path_is_printed_on_one_line_to_be_copied(found: Found) -> None:
    path = "/".join(["deep"] * 30) + "/index.html"
    text = io.StringIO()
    print_report(Console(file=text, width=80), found, page=path)
    assert f"All of it: {path}\n" in text.getvalue()
