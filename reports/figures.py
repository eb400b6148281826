"""Every picture of a report: which there are, and what stands below each."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.results import LoadRun
from reports.cost_figures import draw_contention, draw_money
from reports.found import Found
from reports.load_figures import draw_throughput, draw_waits
from reports.matrix_figure import draw_matrix
from reports.panels import SETTINGS_MAX, comparable
from reports.reading import Story, in_order, listed, settings, stories
from reports.store_figures import draw_convoy, draw_spread
from reports.theme import Picture
from reports.timeline_figure import draw_timeline

# Drawing one takes a tenth of a second; the stories beyond are told in words.
TIMELINES_MAX = 25


@dataclass(frozen=True, slots=True)
class Figures:
    """The pictures by where they belong. `timelines` are keyed by their story's anchor."""

    matrix: Picture | None
    costs: tuple[Picture, ...]
    http: tuple[Picture, ...]
    money: Picture | None
    stores: tuple[Picture, ...]
    timelines: dict[str, Picture]

    @property
    def every(self) -> list[Picture]:
        single = [picture for picture in (self.matrix, self.money) if picture is not None]
        return [*single, *self.costs, *self.http, *self.stores, *self.timelines.values()]


def draw(found: Found) -> Figures:
    """All pictures that the findings give."""
    own = [run for run in found.load_runs if run.driver == "asyncio"]
    http = [run for run in found.load_runs if run.driver != "asyncio"]
    costs = (
        draw_throughput("throughput", own, load_caption(found, own)),
        draw_waits(own, load_caption(found, own)),
        draw_contention(own, load_caption(found, own)),
    )
    on_stores = (
        draw_convoy(found.store_runs, store_caption(found)),
        draw_spread(found.store_runs, store_caption(found)),
    )
    over_http = draw_throughput("http", http, load_caption(found, http))
    return Figures(
        draw_matrix(found.cells, matrix_caption(found)) if found.cells else None,
        tuple(picture for picture in costs if picture is not None),
        tuple(picture for picture in (over_http,) if picture is not None),
        draw_money(found.load_runs, load_caption(found, found.load_runs)),
        tuple(picture for picture in on_stores if picture is not None),
        {
            story.anchor: _timeline(story, png=number == 0)
            for number, story in enumerate(pictured(found))
        },
    )


def pictured(found: Found) -> list[Story]:
    """The stories that get a picture: one for each scenario and kind before any gets a second."""
    told = [story for story in stories(found.cells) if story.witness and story.witness.events]
    first = {(story.scenario, story.kind): story for story in reversed(told)}
    rest = [story for story in told if story not in first.values()]
    return [*reversed(first.values()), *rest][:TIMELINES_MAX]


def _timeline(story: Story, *, png: bool) -> Picture:
    assert story.witness is not None
    return draw_timeline(
        story.anchor,
        story.witness,
        title=f"{story.scenario} with {story.lock}",
        caption=story_caption(story),
        png=png,
    )


def story_caption(story: Story) -> str:
    """Where the witness was found, and how many interleavings are like it."""
    cell = story.cell
    note = f" ({cell.note})" if cell.note else ""
    return (
        f"{cell.topology}, {cell.store}: {cell.losing:,} of {cell.interleavings:,} interleavings"
        f" break it{note}. Shown is the shortest found."
    )


def matrix_caption(found: Found) -> str:
    """How many cells and interleavings, where, and what was not covered."""
    cells = found.cells
    stores = listed(in_order(cell.store for cell in cells))
    runs = sum(cell.interleavings for cell in cells)
    partial = sum(cell.verdict in ("bounded", "unknown") for cell in cells)
    rest = f"; {partial} not explored in full" if partial else "; all explored in full"
    return f"{len(cells)} cells on {stores}, {runs:,} interleavings explored{rest}."


def load_caption(found: Found, runs: Sequence[LoadRun]) -> str:
    """How many runs, which driver, which machine, what was left out."""
    drivers = listed(in_order(run.driver for run in runs))
    seconds = sum(run.seconds for run in runs)
    machine = "; ".join(found.machine.values())
    hidden = [s for s in settings(runs) if len({r.load.lock for r in s.runs}) > 1][SETTINGS_MAX:]
    left_out = f" {len(hidden)} more settings are in the data only." if hidden else ""
    shown = f" {len(comparable(runs))} settings compare strategies." if runs else ""
    return (
        f"{len(runs)} runs of the {drivers} driver ({_rounds_words(runs)}),"
        f" {seconds:,.0f} s measured{f', on {machine}' if machine else ''}."
        f"{shown}{left_out} A closed loop hides stalls."
    )


def store_caption(found: Found) -> str:
    """How many runs of what, and what they leave out."""
    runs = found.store_runs
    seconds = sum(run.seconds for run in runs)
    return (
        f"{len(runs)} runs of lock strategy and store alone, no wallet around them, one each of"
        f" {seconds / max(1, len(runs)):.2f} s. Commits do not wait for the disk"
        " (synchronous_commit=off, synchronous=NORMAL): locks are compared here. PostgreSQL's"
        " server and clients share the machine's cores; everything on SQLite keeps to one. No"
        " intervals: make bench-stores takes turns and has them, and durable commits."
    )


def _rounds_words(runs: Sequence[LoadRun]) -> str:
    """How often each lock strategy ran, setting by setting: "2 settings of 6 rounds"."""
    rounds = [len({run.round for run in setting.runs}) for setting in settings(runs)]
    return ", ".join(
        f"{rounds.count(each)} setting{'s' if rounds.count(each) > 1 else ''} of"
        f" {f'{each} rounds' if each > 1 else 'one run for each lock, no interval'}"
        for each in in_order(rounds)
    )
