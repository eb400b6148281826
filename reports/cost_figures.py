"""Pictures of what a lock strategy costs as contention falls, and of the money that went wrong."""

from collections.abc import Callable, Sequence
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import NullLocator

from engine.results import LoadRun
from reports.costs import load_words
from reports.panels import LEAST_MS, counts, lock_legend, lock_order, milliseconds, panels
from reports.reading import accounts_count, accounts_words, in_order
from reports.theme import GREEN, LIGHT, VERMILLION, Line, Picture, line_of, look, picture


def draw_contention(runs: Sequence[LoadRun], caption: str) -> Picture | None:
    """Throughput and waits from one hot account to many.

    None where all runs had the same accounts.
    """
    groups = [group for group in _same_but_accounts(runs) if len(_accounts(group)) > 1]
    locks = lock_order(runs)
    if not groups:
        return None
    with look("contention"):
        figure, grid = panels(len(groups), 2.3)
        for group, pair in zip(groups, grid, strict=True):
            accounts, load = _accounts(group), group[0].load
            work = f"{load.work_ms:g} ms of work" if load.work_ms else "no work"
            pair[0].set_title(f"{load.clients} clients, mix {load.mix}, {work} inside the lock")
            for lock in locks:
                mine = [run for run in group if run.load.lock == lock]
                _curve(pair[0], mine, accounts, line_of(lock, locks), _throughput)
                _curve(pair[1], mine, accounts, line_of(lock, locks), _latency_p99)
            pair[0].set(ylabel="calls per second", ylim=(0, None))
            pair[1].set(ylabel="latency p99, ms")
            counts(pair[0].yaxis)
            milliseconds(pair[1], "y")
            for axes in pair:
                axes.set_xticks(range(len(accounts)), [_two_lines(name) for name in accounts])
                axes.set_xlim(-0.3, len(accounts) - 0.7)
                axes.grid()
        lock_legend(figure, locks)
        alt = f"Throughput and p99 latency of {', '.join(locks)}, from one hot account to many."
        return picture(
            figure, "contention", title="Cost against contention", alt=alt, caption=caption
        )


def _same_but_accounts(runs: Sequence[LoadRun]) -> list[list[LoadRun]]:
    grouped: dict[tuple[int, str, float, bool, int], list[LoadRun]] = {}
    for run in runs:
        load = run.load
        alike = (load.clients, load.mix, load.work_ms, load.cache, load.workers)
        grouped.setdefault(alike, []).append(run)
    return list(grouped.values())


def _accounts(runs: Sequence[LoadRun]) -> list[str]:
    """From few to many."""
    return sorted(in_order(run.load.accounts for run in runs), key=accounts_count)


def _two_lines(accounts: str) -> str:
    return accounts_words(accounts).replace(" account", "\naccount", 1)


def _throughput(run: LoadRun) -> float:
    return run.throughput_per_s


def _latency_p99(run: LoadRun) -> float:
    # Two percentiles do not add up to one: all waiting together shows in the latency.
    return max(run.latency.p99_ms, LEAST_MS)


def _curve(
    axes: Axes,
    runs: Sequence[LoadRun],
    accounts: Sequence[str],
    line: Line,
    value: Callable[[LoadRun], float],
) -> None:
    places, values = [], []
    for place, name in enumerate(accounts):
        found = [value(run) for run in runs if run.load.accounts == name]
        if found:
            places.append(place)
            values.append(median(found))
    axes.plot(places, values, color=line.colour, marker=line.marker, ls=line.style, lw=1.8, ms=6)


def draw_money(runs: Sequence[LoadRun], caption: str) -> Picture | None:
    """What the wallets hold less or more than the acknowledged operations say, run by run."""
    rows = in_order((run.load.lock, run.driver, run.load.workers) for run in runs)
    if not rows:
        return None
    with look("money"):
        height = 0.85 + 0.36 * len(rows)
        # A margin: the engine lets long names reach over the edge by a pixel or two.
        engine = ConstrainedLayoutEngine(rect=(0.015, 0, 0.97, 1))
        figure = Figure(figsize=(8.6, height), layout=engine)
        axes = figure.subplots()
        for place, row in enumerate(rows):
            mine = [r for r in runs if (r.load.lock, r.driver, r.load.workers) == row]
            _money_row(axes, place, mine)
        axes.set_yticks(range(len(rows)), [_row_name(*row) for row in rows])
        axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel="money lost or made in a run, whole units")
        decades = len(str(max(abs(run.lost_cents) for run in runs) // 100))
        axes.set_xscale("symlog", linthresh=1)
        # Room on the right for what became of each.
        axes.set_xlim(-0.4, 10 ** (decades * 1.8 + 1))
        axes.set_xticks(
            [0, *(10**power for power in range(0, decades + 1, 1 if decades < 5 else 2))]
        )
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(axis="x")
        alt = "Money lost or made under load: " + "; ".join(
            load_words(lock, [r for r in runs if r.load.lock == lock]) for lock in lock_order(runs)
        )
        return picture(figure, "money", title="Money lost under load", alt=alt, caption=caption)


def _row_name(lock: str, driver: str, workers: int) -> str:
    return f"{lock} · {driver}" + (f" · {workers} processes" if workers > 1 else "")


def _money_row(axes: Axes, place: int, runs: Sequence[LoadRun]) -> None:
    units = [abs(run.lost_cents) / 100 for run in runs]
    for amount in units:
        marker, colour = ("X", VERMILLION) if amount else ("o", GREEN)
        axes.plot([amount], [place], marker, ms=8, mec=LIGHT.paper, mfc=colour, zorder=3)
    axes.annotate(
        load_words(runs[0].load.lock, runs).removeprefix(f"{runs[0].load.lock} "),
        (max(units), place),
        xytext=(10, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
    )
