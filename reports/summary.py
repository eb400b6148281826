"""The first table of a report on a terminal: verdicts by topology, beside the cost of one load.

Costs of different loads do not mix: one load speaks for all, and a caption names it.
"""

from collections.abc import Iterator, Sequence
from statistics import median

from rich.table import Table
from rich.text import Text

from engine.results import LoadRun
from engine.verdicts import Verdict
from reports.costs import load_words
from reports.found import Found
from reports.reading import (
    Setting,
    accounts_count,
    in_order,
    lost_words,
    rounds_words,
    settings,
    short_names,
)
from reports.standing import Standing, standings

VERDICT_STYLES = {
    Verdict.SAFE: "green",
    Verdict.CLEAN: "green",
    Verdict.BROKEN: "bold red",
    Verdict.BOUNDED: "yellow",
    Verdict.UNKNOWN: "yellow",
}


def summary(found: Found) -> Table:
    """One row for each lock strategy."""
    stands, cost = standings(found), telling_setting(found.load_runs)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("lock", no_wrap=True)
    topologies = in_order(stand.topology for stand in stands)
    for topology in topologies:
        table.add_column(topology.replace("-", " "), min_width=9)
    if cost is not None:
        table.add_column("calls/s", justify="right")
        table.add_column("lock wait p99, ms", justify="right", min_width=9)
        table.add_column("money", no_wrap=True)
    names = short_names([s.lock for s in stands] + [run.load.lock for run in found.load_runs])
    for lock, name in names.items():
        at = {stand.topology: stand for stand in stands if stand.lock == lock}
        row = [_standing(at[topology]) if topology in at else Text("–") for topology in topologies]
        if cost is not None:
            row += _cost([run for run in cost.runs if run.load.lock == lock])
        table.add_row(name, *row)
    return table


def telling_setting(runs: Sequence[LoadRun]) -> Setting | None:
    """The load that speaks for all: measured most often, over most accounts, with most work.

    The asyncio driver's, where it ran: Locust's users ask over HTTP, which costs more than a lock.
    """
    own = [run for run in runs if run.driver == "asyncio"] or runs
    return max(settings(own), key=_weight, default=None)


def _weight(setting: Setting) -> tuple[int, int, float]:
    rounds = len({run.round for run in setting.runs})
    return rounds, accounts_count(setting.load.accounts), setting.load.work_ms


def captions(found: Found) -> Iterator[str]:
    """Which load the costs are of, and what broke under the others."""
    cost = telling_setting(found.load_runs)
    if cost is None:
        return
    yield f"Cost and money: {cost.driver} driver, {cost.words}; {rounds_words(cost)}."
    elsewhere = [run for run in found.load_runs if run not in cost.runs]
    for driver in in_order(run.driver for run in elsewhere):
        runs = [run for run in elsewhere if run.driver == driver]
        broken = in_order(run.load.lock for run in runs if run.verdict is Verdict.BROKEN)
        told = [load_words(lock, [r for r in runs if r.load.lock == lock]) for lock in broken]
        if told:
            where = "In its other loads" if driver == cost.driver else f"Over HTTP ({driver})"
            yield f"{where}, {'; '.join(told)}."


def _standing(stand: Standing) -> Text:
    """How many scenarios hold, or break; those that break under every lock are told below."""
    if stand.broken:
        return Text(f"✗ {len(stand.broken)} break", VERDICT_STYLES[Verdict.BROKEN])
    if stand.unsettled:
        return Text(f"? {len(stand.unsettled)} open", VERDICT_STYLES[Verdict.UNKNOWN])
    return Text(f"✓ {len(stand.safe)} safe", VERDICT_STYLES[Verdict.SAFE])


def _cost(runs: Sequence[LoadRun]) -> list[Text]:
    """Medians over the rounds, and the worst of the money."""
    if not runs:
        return [Text("–")] * 3
    return [
        Text(f"{median(run.throughput_per_s for run in runs):,.0f}"),
        Text(f"{median(run.lock_wait.p99_ms for run in runs):,.2f}"),
        money(runs),
    ]


def money(runs: Sequence[LoadRun]) -> Text:
    """What became of the money in the worst of some runs."""
    worst = max(runs, key=lambda run: (run.verdict is not Verdict.CLEAN, abs(run.lost_cents)))
    said = lost_words(worst.lost_cents) if worst.lost_cents else str(worst.verdict)
    return Text(said, VERDICT_STYLES[worst.verdict])
