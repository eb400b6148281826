"""The conclusion says what the data says, and nothing else."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.results import Cell, LoadRun, Ratio
from engine.verdicts import Verdict
from reports import Found
from reports.conclusion import Sentence, Tone, conclude
from reports.costs import ratio_sentence


def sentences(found: Found, tone: Tone) -> list[Sentence]:
    return conclude(found).of(tone)


def test_the_headline_says_who_holds_where(found: Found) -> None:
    assert conclude(found).headline == (
        "db-row holds under every topology; global and per-user hold only under one-service;"
        " none and per-user-unsorted hold under no topology."
    )


def test_a_strategy_that_breaks_is_advised_against_with_scenario_and_witness(found: Found) -> None:
    first = sentences(found, Tone.AVOID)[0]
    assert first.text.startswith("Under one-service, do not use none. In documented-race with none")
    assert "12 of 20 interleavings lose or make money: B's deposit of 300.00 had read" in first.text
    assert first.anchor == "story-documented-race-none-money"


def test_a_control_is_said_to_be_wrong_on_purpose(found: Found) -> None:
    told = " ".join(sentence.text for sentence in sentences(found, Tone.AVOID))
    assert "per-user-unsorted (wrong on purpose, and caught)" in told


def test_what_breaks_under_every_lock_is_not_held_against_one(found: Found) -> None:
    (care,) = sentences(found, Tone.CARE)
    assert care.text.startswith("No lock strategy tried cures stale-cache under two-processes")
    use = sentences(found, Tone.USE)[2].text
    assert use.startswith("Under two-processes, db-row may be used, with the care below")


def test_what_breaks_under_every_lock_is_no_reason_against_one(found: Found) -> None:
    against = [s.text for s in sentences(found, Tone.AVOID) if s.text.startswith("Under two-")]
    assert any("Also broken: double-spend" in text for text in against)
    assert not [text for text in against if "stale-cache" in text]


def test_strategies_that_all_break_do_not_acquit_each_other(found: Found) -> None:
    cells = tuple(c for c in found.cells if c.lock in ("none", "per-user") and c.topology[0] == "t")
    stand = conclude(Found(cells))
    assert stand.headline == "none and per-user hold not."
    assert not stand.of(Tone.CARE)


def test_a_surprise_is_shouted_first(surprised: Found) -> None:
    conclusion = conclude(surprised)
    assert conclusion.headline == "1 result is not as expected: look there first."
    assert conclusion.sentences[0].tone is Tone.WRONG
    assert "double-spend with per-user under one-service" in conclusion.sentences[0].text


def test_safe_where_broken_was_expected_is_a_surprise_too(found: Found) -> None:
    cell = replace(found.cells[0], verdict=Verdict.SAFE, kinds=(), losing=0, witness=None)
    conclusion = conclude(replace(found, cells=(cell,)))
    assert "is safe, expected broken" in conclusion.sentences[0].text


def test_stores_that_disagree_are_a_surprise_without_any_expectation(found: Found) -> None:
    model = replace(found.cells[0], expected=None)
    live = replace(model, store="sqlite", verdict=Verdict.SAFE, kinds=(), losing=0, witness=None)
    conclusion = conclude(Found((model, live)))
    assert conclusion.headline == "1 result is not as expected: look there first."
    assert "stores disagree" in conclusion.sentences[0].text
    assert "broken on memory and safe on sqlite" in conclusion.sentences[0].text


def test_a_bounded_cell_keeps_its_strategy_from_being_recommended(found: Found) -> None:
    cells = tuple(
        replace(c, verdict=Verdict.BOUNDED, expected=None, note="1,000 of them, not all")
        if (c.lock, c.scenario) == ("db-row", "double-spend")
        else c
        for c in found.cells
    )
    conclusion = conclude(replace(found, cells=cells))
    assert "db-row" not in " ".join(sentence.text for sentence in conclusion.of(Tone.USE))
    told = [s.text for s in conclusion.of(Tone.CARE) if s.text.startswith("Not settled")]
    assert "double-spend with db-row under one-service is explored in part only" in told[0]
    assert "1,000 of them, not all" in told[0]


def test_a_load_run_that_breaks_what_exploration_found_safe_is_shouted(found: Found) -> None:
    run = next(run for run in found.load_runs if run.load.lock == "per-user")
    lost = replace(run, verdict=Verdict.BROKEN, lost_cents=31240)
    conclusion = conclude(replace(found, load_runs=(lost,)))
    assert conclusion.sentences[0].tone is Tone.WRONG
    assert "per-user, one-service, is broken: lost 312.40" in conclusion.sentences[0].text


def test_load_alone_is_called_clean_and_never_safe(found: Found) -> None:
    clean = tuple(run for run in found.load_runs if run.verdict is Verdict.CLEAN)
    told = " ".join(s.text for s in conclude(Found((), clean)).sentences)
    assert "Under load (asyncio)" in told
    assert "per-user was clean in 12 runs" in told
    assert "safe" not in told


@pytest.mark.parametrize(
    ("low", "high", "noise"), [(0.94, 1.1, True), (1.01, 1.2, False), (0.7, 0.99, False)]
)
def test_a_difference_whose_interval_holds_one_is_within_noise(
    low: float, high: float, noise: bool
) -> None:
    told = ratio_sentence(Ratio("throughput", "per-user", "global", 0.0, 1.0, low, high, 6))
    assert ("within noise" in told) is noise
    assert f"95% interval {low:.2f} to {high:.2f}, 6 rounds" in told


def test_the_speed_of_a_strategy_that_loses_money_is_not_compared(found: Found) -> None:
    told = " ".join(sentence.text for sentence in sentences(found, Tone.COST))
    assert "throughput of none" not in told
    assert "The speed of none is not compared" in told


def test_nothing_found_is_nothing_said() -> None:
    conclusion = conclude(Found(()))
    assert conclusion.headline == "No scenario was explored."
    assert conclusion.sentences == ()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_only_what_was_explored_in_full_may_be_used(found: Found, data: st.DataObject) -> None:
    """Whatever the verdicts: a strategy is recommended only where no cell of its own is open."""
    some = data.draw(st.lists(st.sampled_from(found.cells), min_size=1, max_size=12))
    cells = tuple(_changed(cell, data.draw) for cell in some)
    topologies = {cell.topology for cell in cells}
    used = {
        topology: next(
            s.text
            for s in sentences(Found(cells), Tone.USE)
            if s.text.startswith(f"Under {topology},")
        ).partition(" may be used")[0]
        for topology in topologies
    }
    for cell in cells:
        if cell.verdict in (Verdict.BOUNDED, Verdict.UNKNOWN):
            named = used[cell.topology].removeprefix(f"Under {cell.topology}, ")
            assert cell.lock not in named.replace(" and ", ", ").split(", ")


def _changed(cell: Cell, draw: Callable[[st.SearchStrategy[Verdict]], Verdict]) -> Cell:
    verdict = draw(st.sampled_from([v for v in Verdict if v is not Verdict.CLEAN]))
    return replace(cell, verdict=verdict, kinds=cell.kinds if verdict is Verdict.BROKEN else ())


def test_a_clean_run_of_a_strategy_that_can_break_is_no_surprise(found: Found) -> None:
    lucky: list[LoadRun] = [
        replace(run, verdict=Verdict.CLEAN, lost_cents=0)
        for run in found.load_runs
        if run.load.lock == "none"
    ]
    assert not sentences(replace(found, load_runs=tuple(lucky)), Tone.WRONG)


def test_a_control_that_nothing_struck_is_not_recommended(found: Found) -> None:
    told = conclude(replace(found, controls=("db-row",)))
    assert told.headline.startswith("db-row (a control) holds under every topology")
    assert all("db-row" not in sentence.text for sentence in told.of(Tone.USE))
