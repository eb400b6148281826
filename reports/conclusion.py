"""The findings in plain words, the most pressing first.

A pure function of the data: a sentence is there because a finding is. Load runs are called clean,
never safe; what was explored in part, or not decided, is said to be so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from engine.results import Cell
from engine.verdicts import Break, Verdict
from reports.costs import claim_sentences, cost_sentences, load_sentences
from reports.found import Found
from reports.reading import (
    Square,
    cell_anchor,
    in_order,
    listed,
    load_topology,
    lost_words,
    programs_as_expected,
    run_is_unexpected,
    squares,
    unexpected_count,
    worst,
)
from reports.standing import Standing, standings

_BREAKS_WORDS = {
    Break.MONEY: "lose or make money",
    Break.LIVENESS: "get stuck or fail",
    Break.ORDER: "give answers that fit no order in time",
    Break.READS: "show a stale balance",
    None: "break",
}


class Tone(StrEnum):
    """How a sentence is to be read, the most pressing first."""

    WRONG = "wrong"
    USE = "use"
    AVOID = "avoid"
    CARE = "care"
    COST = "cost"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A plain sentence or two. `anchor`: where the page shows the evidence."""

    tone: Tone
    text: str
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The whole in one line, then sentence by sentence."""

    headline: str
    sentences: tuple[Sentence, ...]

    def of(self, tone: Tone) -> list[Sentence]:
        return [sentence for sentence in self.sentences if sentence.tone is tone]


def conclude(found: Found) -> Conclusion:
    """What `found` says, in words."""
    stands = standings(found)
    sentences = [
        *_surprises(found),
        *_usable(stands, found.controls),
        *_avoided(stands, found.controls),
        *_shared(stands),
        *_unsettled(stands),
        *(Sentence(Tone.COST, text) for text in cost_sentences(found)),
        *(Sentence(Tone.COST, text) for text in load_sentences(found)),
        *_programs(found),
        *(Sentence(Tone.COST, text) for text in claim_sentences(found)),
        *(Sentence(Tone.LIMIT, text) for text in _limits(found)),
    ]
    return Conclusion(_headline(found, stands), tuple(sentences))


def _headline(found: Found, stands: list[Standing]) -> str:
    wrong = unexpected_count(found)
    if wrong:
        return f"{wrong} result{'s are' if wrong > 1 else ' is'} not as expected: look there first."
    topologies = in_order(stand.topology for stand in stands)
    held = {
        lock: [stand.topology for stand in stands if stand.lock == lock and stand.holds]
        for lock in in_order(stand.lock for stand in stands)
    }
    grouped: dict[tuple[str, ...], list[str]] = {}
    for lock, where in held.items():
        grouped.setdefault(tuple(where), []).append(lock)
    parts = [
        f"{listed([_named(lock, found.controls if where else ()) for lock in locks])}"
        f" {_held_words(where, topologies, len(locks))}"
        for where, locks in sorted(grouped.items(), key=lambda group: -len(group[0]))
    ]
    return "; ".join(parts) + "." if parts else "No scenario was explored."


def _named(lock: str, controls: tuple[str, ...]) -> str:
    return f"{lock} (a control)" if lock in controls else lock


def _held_words(where: tuple[str, ...], topologies: list[str], locks: int) -> str:
    verb = "hold" if locks > 1 else "holds"
    if not where:
        return f"{verb} under no topology" if len(topologies) > 1 else f"{verb} not"
    if len(where) == len(topologies) > 1:
        return f"{verb} under every topology"
    only = "only " if len(topologies) > 1 else ""
    return f"{verb} {only}under {listed(where)}"


def _surprises(found: Found) -> Iterator[Sentence]:
    for square in squares(found.cells):
        for cell in square.cells:
            if not cell.as_expected:
                yield Sentence(Tone.WRONG, _surprise(cell), _evidence(cell))
        if not square.stores_agree:
            said = listed([f"{cell.verdict} on {cell.store}" for cell in square.cells])
            where = f"{square.scenario} with {square.lock} under {square.topology}"
            yield Sentence(Tone.WRONG, f"WRONG: the stores disagree about {where}: {said}.")
    for run in found.load_runs:
        if run_is_unexpected(run, found.cells):
            yield Sentence(
                Tone.WRONG,
                f"WRONG: a load run ({run.driver}) of {run.load.lock}, {load_topology(run)}, is"
                f" {run.verdict}: {lost_words(run.lost_cents)}"
                f"{''.join(f'; {finding.message}' for finding in run.findings[:1])}.",
            )
    for result in found.programs:
        if not programs_as_expected(result):
            told = f": {result.smallest}" if result.smallest else ""
            yield Sentence(
                Tone.WRONG,
                f"WRONG: random programs under {result.lock} on {result.store} are"
                f" {result.verdict}, expected {result.expected}{told}.",
            )


def _surprise(cell: Cell) -> str:
    return (
        f"WRONG: {cell.scenario} with {cell.lock} under {cell.topology} on {cell.store} is"
        f" {cell.verdict}, expected {cell.expected}{_because(cell)}."
    )


def _evidence(cell: Cell) -> str:
    return cell_anchor(cell) if cell.verdict is Verdict.BROKEN else ""


def _usable(stands: list[Standing], controls: tuple[str, ...]) -> Iterator[Sentence]:
    for topology in in_order(stand.topology for stand in stands):
        # What is wrong on purpose is not recommended because nothing struck it here.
        holding = [
            stand
            for stand in stands
            if stand.topology == topology and stand.holds and stand.lock not in controls
        ]
        if not holding:
            yield Sentence(Tone.USE, f"Under {topology}, none of the lock strategies tried holds.")
            continue
        locks = listed([stand.lock for stand in holding])
        least = min(stand.explored for stand in holding)
        scenarios = in_order(square.scenario for stand in holding for square in stand.safe)
        stories = listed(scenarios) if len(scenarios) < 4 else f"{len(scenarios)} scenarios"
        care = any(stand.shared for stand in holding)
        yield Sentence(
            Tone.USE,
            f"Under {topology}, {locks} may be used{', with the care below' if care else ''}: in"
            f" {stories} nothing broke in any interleaving"
            f" (all were run, {least:,} or more for each).",
        )


def _avoided(stands: list[Standing], controls: tuple[str, ...]) -> Iterator[Sentence]:
    """One sentence for all strategies that the same story rules out under one topology."""
    told: dict[tuple[str, str, str], list[Standing]] = {}
    for stand in stands:
        if stand.broken:
            cell = _reasons(stand, stands)[0].lead
            told.setdefault((stand.topology, cell.scenario, _because(cell)), []).append(stand)
    held = {stand.lock for stand in stands if stand.holds}
    for (topology, scenario, why), ruled_out in told.items():
        names = [
            f"{stand.lock}{' (wrong on purpose, and caught)' * (stand.lock in controls)}"
            for stand in ruled_out
        ]
        # A strategy that holds elsewhere tells more: what fails here is its reach.
        teller = max(ruled_out, key=lambda stand: stand.lock in held)
        cell = _reasons(teller, stands)[0].lead
        others = in_order(s.scenario for stand in ruled_out for s in _reasons(stand, stands))
        also = [other for other in others if other != scenario]
        more = f" Also broken: {listed(also)}." if also else ""
        yield Sentence(
            Tone.AVOID,
            f"Under {topology}, do not use {listed(names)}. In {scenario} with {cell.lock},"
            f" {cell.losing:,} of {cell.interleavings:,} interleavings"
            f" {_BREAKS_WORDS[worst(cell)]}{why}.{more}",
            _evidence(cell),
        )


def _reasons(stand: Standing, stands: list[Standing]) -> list[Square]:
    """What speaks against a strategy, the most telling first.

    What breaks under every lock is told under CARE, and is a reason only where there is no other.
    """
    shared = {
        square.scenario
        for other in stands
        if other.topology == stand.topology
        for square in other.shared
    }
    own = [square for square in stand.broken if square.scenario not in shared]
    return sorted(own or stand.broken, key=_telling)


def _because(cell: Cell) -> str:
    return f": {cell.witness.explanation}" if cell.witness else ""


def _telling(square: Square) -> tuple[int, int]:
    """The worst kind first, then the shortest witness."""
    cell = square.lead
    kind = worst(cell)
    length = len(cell.witness.events) if cell.witness else 1000
    return (len(Break) if kind is None else list(Break).index(kind)), length


def _shared(stands: list[Standing]) -> Iterator[Sentence]:
    shared = [square for stand in stands for square in stand.shared]
    for scenario in in_order(square.scenario for square in shared):
        where = [square for square in shared if square.scenario == scenario]
        cell = min(where, key=_telling).lead
        yield Sentence(
            Tone.CARE,
            f"No lock strategy tried cures {scenario} under"
            f" {listed(in_order(square.topology for square in where))}; there, interleavings"
            f" {_BREAKS_WORDS[worst(cell)]} whatever the lock{_because(cell)}.",
            _evidence(cell),
        )


def _unsettled(stands: list[Standing]) -> Iterator[Sentence]:
    for stand in stands:
        for square in stand.unsettled:
            cell = square.lead
            how = (
                "explored in part only (bounded)" if cell.verdict is Verdict.BOUNDED else "unknown"
            )
            yield Sentence(
                Tone.CARE,
                f"Not settled: {square.scenario} with {stand.lock} under {stand.topology} is {how};"
                f" nothing was found in {cell.interleavings:,} interleavings"
                f"{f' ({cell.note})' if cell.note else ''}.",
            )


def _programs(found: Found) -> Iterator[Sentence]:
    broken = [result for result in found.programs if result.verdict is Verdict.BROKEN]
    for lock in in_order(result.lock for result in broken):
        mine = [result for result in broken if result.lock == lock]
        smallest = min((result.smallest for result in mine), key=len)
        shrunk = f", shrunk to: {smallest}" if smallest else ""
        stores = listed(in_order(result.store for result in mine))
        yield Sentence(Tone.COST, f"Random programs broke {lock} on {stores}{shrunk}.")
    for verdict in in_order(result.verdict for result in found.programs if result not in broken):
        mine = [result for result in found.programs if result.verdict is verdict]
        locks = listed(in_order(result.lock for result in mine))
        count = sum(result.examples for result in mine)
        yield Sentence(Tone.COST, f"{count:,} random programs left {locks} {verdict}.")


def _limits(found: Found) -> Iterator[str]:
    if found.cells:
        scenarios = in_order(cell.scenario for cell in found.cells)
        stores = in_order(cell.store for cell in found.cells)
        yield (
            f"Safe is said of {len(scenarios)} scenarios with their few clients on"
            f" {listed(stores)}, step by step; other programs can break what held here."
        )
    if found.load_runs:
        yield ("Clean says that nothing was found in what happened in those runs. It is no proof.")
        yield (
            "The load is a closed loop: while the service stalls the clients wait too and ask"
            " nothing, so the percentiles hide stalls (coordinated omission)."
        )
    yield from found.notes
