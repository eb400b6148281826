"""The findings on a terminal: verdicts and costs on one screen, and a witness step by step."""

from collections.abc import Sequence
from statistics import median

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from engine.money import show_cents
from engine.results import Cell, LoadRun, Witness
from engine.verdicts import Verdict
from reports.conclusion import Tone, conclude
from reports.found import Found
from reports.reading import (
    MEANINGS,
    SYMBOLS,
    Square,
    in_order,
    lost_words,
    squares,
    unexpected_count,
    worst,
)
from reports.standing import Standing, standings
from reports.telling import ending, numbered, timeline_lanes, what_broke

_STYLES = {
    Verdict.SAFE: "green",
    Verdict.CLEAN: "green",
    Verdict.BROKEN: "bold red",
    Verdict.BOUNDED: "yellow",
    Verdict.UNKNOWN: "yellow",
}
# So many sentences of a tone, and lines of each, that all fits 80 columns by 40 lines.
_SENTENCES_MAX = {Tone.WRONG: 3, Tone.AVOID: 2, Tone.CARE: 2, Tone.COST: 2}
_LINES_MAX = 3


def print_report(out: Console, found: Found, *, page: str = "") -> None:
    """Verdicts and costs by lock strategy, the conclusion, and what to do next: one screen."""
    conclusion = conclude(found)
    style = "bold red" if conclusion.of(Tone.WRONG) else "bold"
    out.print(Text(conclusion.headline, style=style))
    out.print(_summary(found))
    for tone, most in _SENTENCES_MAX.items():
        for sentence in conclusion.of(tone)[:most]:
            out.print(_bullet(sentence.text, out.width, wrong=tone is Tone.WRONG))
    out.print(Text(f"Next: {next_step(found)}", style="cyan"))
    if page:
        out.print(Text(f"All of it: {page}", style="cyan"))


def next_step(found: Found) -> str:
    """The command that leads on: to the first surprise, else to the first loss, else around."""
    broken = [cell for cell in found.cells if cell.verdict is Verdict.BROKEN]
    surprising = [cell for cell in found.cells if not cell.as_expected]
    for cell in (surprising + broken)[:1]:
        topology = f" --topology {cell.topology}" if cell.topology != "one-service" else ""
        return f"walletrace explore {cell.scenario} --lock {cell.lock}{topology}"
    return "walletrace list"


def _bullet(text: str, width: int, *, wrong: bool) -> Table:
    """One sentence, cut so that all fit the screen; the page has it whole."""
    room = (width - 2) * _LINES_MAX - 12
    cut = text if len(text) <= room else text[:room].rsplit(" ", 1)[0] + " …"
    grid = Table.grid(padding=(0, 1))
    grid.add_row("!" if wrong else "•", Text(cut, style="red" if wrong else ""))
    return grid


def _summary(found: Found) -> Table:
    stands = standings(found)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("lock", no_wrap=True)
    topologies = in_order(stand.topology for stand in stands)
    for topology in topologies:
        table.add_column(topology.replace("-", " "), min_width=9)
    if found.load_runs:
        table.add_column("calls/s", justify="right")
        table.add_column("wait p99, ms", justify="right")
        table.add_column("under load", no_wrap=True)
    for lock in in_order([s.lock for s in stands] + [run.load.lock for run in found.load_runs]):
        at = {stand.topology: stand for stand in stands if stand.lock == lock}
        row = [_standing(at[topology]) if topology in at else Text("–") for topology in topologies]
        if found.load_runs:
            row += _cost([run for run in found.load_runs if run.load.lock == lock])
        table.add_row(lock, *row)
    return table


def _standing(stand: Standing) -> Text:
    """How many scenarios hold, or break; those that break under every lock are told below."""
    if stand.broken:
        return Text(f"✗ {len(stand.broken)} break", _STYLES[Verdict.BROKEN])
    if stand.unsettled:
        return Text(f"? {len(stand.unsettled)} open", _STYLES[Verdict.UNKNOWN])
    return Text(f"✓ {len(stand.safe)} safe", _STYLES[Verdict.SAFE])


def _cost(runs: Sequence[LoadRun]) -> list[Text]:
    """Medians over the asyncio driver's runs (Locust's without), and the worst of the money."""
    if not runs:
        return [Text("–")] * 3
    own = [run for run in runs if run.driver == "asyncio"] or runs
    wait = median(run.lock_wait.p99_ms + run.store_wait.p99_ms for run in own)
    lost = max((run.lost_cents for run in runs), key=abs)
    verdict = max((run.verdict for run in runs), key=lambda v: v is not Verdict.CLEAN)
    said = lost_words(lost) if lost else str(verdict)
    return [
        Text(f"{median(run.throughput_per_s for run in own):,.0f}"),
        Text(f"{wait:,.2f}"),
        Text(said, _STYLES[verdict]),
    ]


def print_matrix(out: Console, cells: Sequence[Cell]) -> None:
    """Every scenario under every lock strategy and topology, then the conclusion."""
    placed = squares(cells)
    locks = in_order(square.lock for square in placed)
    for topology in in_order(square.topology for square in placed):
        table = Table(title=topology, title_justify="left", box=None, padding=(0, 1))
        table.add_column("scenario")
        for lock in locks:
            table.add_column(lock)
        for scenario in in_order(s.scenario for s in placed if s.topology == topology):
            here = {s.lock: s for s in placed if (s.scenario, s.topology) == (scenario, topology)}
            marks = [_mark(here[lock]) if lock in here else Text("–") for lock in locks]
            table.add_row(scenario, *marks)
        out.print(table)
    met = in_order(square.verdict for square in placed)
    out.print(Text("\n".join(f"{SYMBOLS[v]} {v}: {MEANINGS[v]}" for v in met), style="dim"))
    found = Found(tuple(cells))
    wrong = unexpected_count(found)
    for sentence in conclude(found).of(Tone.WRONG):
        out.print(Text(sentence.text, style="bold red"))
    out.print(Text(conclude(found).headline, style="bold red" if wrong else "bold"))
    out.print(Text(f"Next: {next_step(found)}", style="cyan"))


def _mark(square: Square) -> Text:
    broken = square.verdict is Verdict.BROKEN
    word = worst(square.lead) or "broken" if broken else square.verdict
    surprise = "" if square.as_expected else " !"
    return Text(f"{SYMBOLS[square.verdict]} {word}{surprise}", _STYLES[square.verdict])


def print_cell(out: Console, cell: Cell, story: str = "") -> None:
    """One cell: how many interleavings there are, how many lose, how they end, and a witness."""
    out.print(
        Text.assemble(
            (f"{SYMBOLS[cell.verdict]} {cell.verdict}", _STYLES[cell.verdict]),
            f"  {cell.scenario} with {cell.lock}, {cell.topology}, {cell.store}",
            f"  ({', '.join(cell.kinds)})" if cell.kinds else "",
        )
    )
    if story:
        out.print(Text(story, style="dim"))
    breaks = f"{cell.losing:,} of {cell.interleavings:,} interleavings break it"
    out.print(Text(f"{breaks} ({cell.note})" if cell.note else breaks))
    for outcome, count in cell.outcomes.items():
        out.print(Text(f"  {count:>8,}  {outcome}"))
    if cell.witness is not None:
        print_witness(out, cell.witness)


def print_witness(out: Console, witness: Witness) -> None:
    """The schedule step by step: T1, T2, … for reads and writes, one column for each client."""
    lanes = in_order(client for client, _ in timeline_lanes(witness.events))
    accounts = in_order(account for event in witness.events for account in event.balances)
    table = Table(box=None, padding=(0, 1), header_style="bold")
    table.add_column("step")
    for lane in lanes:
        table.add_column(lane)
    for account in accounts:
        table.add_column(account, justify="right", no_wrap=True)
    numbers = numbered(witness.events)
    for number, event in zip(numbers, witness.events, strict=True):
        how = "" if event.how == "go" else f" [{event.how}]"
        wrong = f" ✗ {what_broke(witness)}" if event.wrong and witness.findings else ""
        told = [Text(event.text + how + wrong if lane == event.client else "") for lane in lanes]
        held = [show_cents(event.balances.get(account, 0)) for account in accounts]
        table.add_row(number, *told, *held, style="bold red" if event.wrong else "")
    out.print(Group(table, Text(ending(witness), style="bold"), Text(witness.explanation)))
