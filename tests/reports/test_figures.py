"""Pictures: the same bytes in every run, no missing glyphs, every step told."""

import io
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.image import imread

from reports import Found
from reports.cost_figures import draw_contention, draw_money
from reports.figures import draw, load_caption, pictured
from reports.load_figures import draw_throughput, draw_waits
from reports.matrix_figure import draw_matrix
from reports.reading import stories
from reports.store_figures import draw_convoy, draw_spread
from reports.telling import numbered, timeline_lanes
from reports.theme import DARK, LIGHT, Picture, darkened
from reports.timeline_figure import draw_timeline

pytestmark = pytest.mark.slow


def few(found: Found) -> list[Picture | None]:
    runs = [run for run in found.load_runs if run.driver == "asyncio"]
    witness = stories(found.cells)[0].witness
    assert witness is not None
    return [
        draw_matrix(found.cells, "caption"),
        draw_throughput("throughput", runs, "caption"),
        draw_waits(runs, "caption"),
        draw_contention(runs, "caption"),
        draw_convoy(found.store_runs, "caption"),
        draw_spread(found.store_runs, "caption"),
        draw_timeline("story", witness, title="title", caption="caption", png=True),
    ]


def test_pictures_are_the_same_byte_for_byte(small: Found) -> None:
    first, second = few(small), few(small)
    assert None not in first
    assert first == second


def test_no_glyph_is_missing(surprised: Found) -> None:
    witness = stories(surprised.cells)[0].witness
    assert witness is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_matrix(surprised.cells, "caption")
        draw_timeline("story", witness, title="title", caption="caption", png=True)


def test_the_timeline_tells_every_step_and_marks_the_wrong_one(found: Found) -> None:
    witness = stories(found.cells)[0].witness
    assert witness is not None
    svg = draw_timeline("story", witness, title="title", caption="caption").svg
    for event in witness.events:
        assert event.text.split()[0] in svg
    assert "✗ 500.00 made here" in svg
    assert [number for number in numbered(witness.events) if number] == ["T1", "T2", "T3", "T4"]


def test_a_step_outside_any_instance_stands_in_the_lane_of_the_step_before_it(
    found: Found,
) -> None:
    witness = stories(found.cells)[0].witness
    assert witness is not None
    events = [
        replace(event, instance=instance)
        for event, instance in zip(witness.events, (-1, 2, 0, -1, -1, 0), strict=True)
    ]
    assert timeline_lanes(events) == [("A", 2), ("A", 2), ("B", 0), ("B", 0), ("A", 2), ("B", 0)]


def test_each_scenario_and_kind_is_pictured_before_any_gets_a_second(found: Found) -> None:
    told = pictured(found)
    kinds = {(story.scenario, story.kind) for story in told}
    assert {(story.scenario, story.kind) for story in told[: len(kinds)]} == kinds


def test_a_dark_picture_holds_no_light_ink(found: Found) -> None:
    svg = draw_matrix(found.cells, "caption").svg
    assert LIGHT.ink in svg
    assert LIGHT.ink not in darkened(svg)
    assert DARK.ink in darkened(svg)


def test_a_caption_counts_the_rounds_of_each_setting(found: Found) -> None:
    own = [run for run in found.load_runs if run.driver == "asyncio"]
    single = [replace(run, driver="locust", round=0) for run in own[:4]]
    caption = load_caption(found, own + single)
    assert "(4 settings of 3 rounds, 1 setting of one run for each lock, no interval)" in caption


def test_no_name_is_cut_at_the_edge_of_the_money_picture(found: Found) -> None:
    runs = [replace(run, lost_cents=run.lost_cents * 200) for run in found.load_runs]
    picture = draw_money(runs, "caption")
    assert picture is not None
    assert picture.png is not None
    pixels = imread(io.BytesIO(picture.png), format="png")
    margin = pixels[:, :3]
    assert (margin == margin[0, 0]).all()


def test_what_has_no_data_has_no_picture() -> None:
    figures = draw(Found(()))
    assert figures.every == []


@pytest.mark.parametrize("name", ["matrix", "throughput", "waits", "contention", "money", "http"])
def test_the_folder_holds_every_picture_light_and_dark_and_as_pixels(
    folder: Path, name: str
) -> None:
    for ending in ("-light.svg", "-dark.svg", ".png"):
        assert (folder / "figures" / f"{name}{ending}").stat().st_size > 1000


def test_every_strategy_has_a_panel_on_every_database_it_ran_on(small: Found) -> None:
    drawn = draw_convoy(small.store_runs, "caption")
    assert drawn is not None
    for words in ("PostgreSQL", "SQLite", "per-user", "db-row", "1 in 10 gave up"):
        assert f">{words}<" in drawn.svg
    alone = tuple(run for run in small.store_runs if run.load.clients == 32)
    assert draw_convoy(alone, "caption") is None
    assert draw_spread(alone, "caption") is not None
