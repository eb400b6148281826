"""What follows from the findings, before any table or picture: pure functions.

A *square* is one place of the verdict matrix: a scenario under a lock strategy and a topology,
over every store it was explored on. A *story* is one way in which something breaks, told once.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from engine.money import show_cents
from engine.results import Cell, Load, LoadRun, ProgramsResult, Witness
from engine.verdicts import Break, Verdict
from reports.found import Found

SYMBOLS = {
    Verdict.SAFE: "✓",
    Verdict.CLEAN: "○",
    Verdict.BROKEN: "✗",
    Verdict.BOUNDED: "≈",
    Verdict.UNKNOWN: "?",
}
MEANINGS = {
    Verdict.SAFE: "every interleaving was explored and nothing broke",
    Verdict.CLEAN: "a load run in which nothing was found; this is not a proof",
    Verdict.BROKEN: "something broke, and the schedule that breaks it is shown",
    Verdict.BOUNDED: "a part was explored and nothing was found in it",
    Verdict.UNKNOWN: "the judge could not decide",
}
_WORST_FIRST = (
    Verdict.BROKEN, Verdict.UNKNOWN, Verdict.BOUNDED, Verdict.CLEAN, Verdict.SAFE
)  # fmt: skip
_KINDS = list(Break)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Square:
    """One place of the matrix. `lead` is the cell that speaks for it: the worst, with a witness."""

    scenario: str
    lock: str
    topology: str
    cells: tuple[Cell, ...]

    @property
    def lead(self) -> Cell:
        return min(
            self.cells, key=lambda c: (_WORST_FIRST.index(c.verdict), c.witness is None, c.losing)
        )

    @property
    def verdict(self) -> Verdict:
        return self.lead.verdict

    @property
    def stores_agree(self) -> bool:
        by_faults: dict[str, set[Verdict]] = {}
        for cell in self.cells:
            by_faults.setdefault(cell.faults, set()).add(cell.verdict)
        return all(len(verdicts) == 1 for verdicts in by_faults.values())

    @property
    def as_expected(self) -> bool:
        return self.stores_agree and all(cell.as_expected for cell in self.cells)

    @property
    def counts(self) -> str:
        """How many of the interleavings lose, in figures."""
        cell = self.lead
        if cell.verdict is Verdict.BROKEN:
            return f"{cell.losing:,} of {cell.interleavings:,}"
        some = "" if cell.verdict is Verdict.SAFE else "≥ "
        return f"{some}{cell.interleavings:,}"


@dataclass(frozen=True, slots=True)
class Story:
    """One way in which something breaks: the shortest witness of a scenario, lock and kind."""

    anchor: str
    scenario: str
    lock: str
    kind: Break | None
    cells: tuple[Cell, ...]

    @property
    def cell(self) -> Cell:
        return min(self.cells, key=_witness_length)

    @property
    def witness(self) -> Witness | None:
        return self.cell.witness


def _witness_length(cell: Cell) -> tuple[bool, int, int]:
    witness = cell.witness
    if witness is None:
        return True, 0, 0
    return False, witness.preemptions, len(witness.events)


def in_order(names: Iterable[T]) -> list[T]:
    """Each once, in the order in which they came."""
    return list(dict.fromkeys(names))


def squares(cells: Sequence[Cell]) -> list[Square]:
    """The places of the matrix, in the order of the cells."""
    placed: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        placed.setdefault((cell.scenario, cell.lock, cell.topology), []).append(cell)
    return [Square(*place, tuple(there)) for place, there in placed.items()]


def stories(cells: Sequence[Cell]) -> list[Story]:
    """Every way in which something breaks: the worst kinds first, then in the order of cells."""
    told: dict[tuple[str, str, Break | None], list[Cell]] = {}
    for cell in cells:
        if cell.verdict is Verdict.BROKEN:
            told.setdefault((cell.scenario, cell.lock, worst(cell)), []).append(cell)
    found = [
        Story(anchor(scenario, lock, kind), scenario, lock, kind, tuple(there))
        for (scenario, lock, kind), there in told.items()
    ]
    scenarios, locks = in_order(c.scenario for c in cells), in_order(c.lock for c in cells)
    return sorted(
        found, key=lambda s: (_rank(s.kind), scenarios.index(s.scenario), locks.index(s.lock))
    )


def worst(cell: Cell) -> Break | None:
    """The worst that broke in the cell."""
    return min(cell.kinds, key=_KINDS.index, default=None)


def _rank(kind: Break | None) -> int:
    return len(_KINDS) if kind is None else _KINDS.index(kind)


def anchor(scenario: str, lock: str, kind: Break | None) -> str:
    """A name for a place in the page.

    >>> anchor("double-spend", "my.module:Lock", Break.MONEY)
    'story-double-spend-my-module-lock-money'
    """
    words = f"{scenario} {lock} {kind or 'unnamed'}".lower()
    return "story-" + re.sub(r"[^a-z0-9]+", "-", words).strip("-")


def cell_anchor(cell: Cell) -> str:
    """Where the story of a broken cell is told."""
    return anchor(cell.scenario, cell.lock, worst(cell))


@dataclass(frozen=True, slots=True)
class Setting:
    """Load runs that differ only in their lock strategy and round, so that they compare."""

    driver: str
    load: Load
    runs: tuple[LoadRun, ...]

    @property
    def words(self) -> str:
        load = self.load
        work = f"{load.work_ms:g} ms of work inside the lock" if load.work_ms else "no work inside"
        parts = [f"{load.clients} clients", accounts_words(load.accounts), f"mix {load.mix}", work]
        parts += [f"{load.workers} worker processes"] * (load.workers > 1)
        parts += ["cache on"] * load.cache
        return ", ".join(parts)


def settings(runs: Sequence[LoadRun]) -> list[Setting]:
    """The runs, grouped by everything but the lock strategy and the round."""
    grouped: dict[tuple[str, Load], list[LoadRun]] = {}
    for run in runs:
        grouped.setdefault((run.driver, replace(run.load, lock="")), []).append(run)
    return [Setting(driver, load, tuple(there)) for (driver, load), there in grouped.items()]


def rounds_words(setting: Setting) -> str:
    """How often each lock strategy ran."""
    rounds = len({run.round for run in setting.runs})
    return f"median of {rounds} rounds" if rounds > 1 else "one run, no interval"


def store_words(store: str) -> str:
    """
    >>> store_words("postgres"), store_words("sqlite")
    ('PostgreSQL', 'SQLite')
    """
    return {"postgres": "PostgreSQL", "sqlite": "SQLite"}.get(store, store)


def accounts_words(accounts: str) -> str:
    """ "hot" and "zipf:1000" for people.

    >>> accounts_words("hot"), accounts_words("zipf:1000")
    ('one hot account', '1,000 accounts (zipf)')
    """
    shape, _, count = accounts.partition(":")
    return f"{int(count):,} accounts ({shape})" if count.isdigit() else f"one {shape} account"


def accounts_count(accounts: str) -> int:
    """How many accounts a load spreads over.

    >>> accounts_count("hot"), accounts_count("zipf:1000")
    (1, 1000)
    """
    count = accounts.partition(":")[2]
    return int(count) if count.isdigit() else 1


def short_names(locks: Iterable[str]) -> dict[str, str]:
    """A user's own lock strategies by their last part, where no two share it.

    >>> short_names(["per-user", "my_lock:Optimistic"])
    {'per-user': 'per-user', 'my_lock:Optimistic': 'Optimistic'}
    """
    names = in_order(locks)
    short = {name: name.rpartition(":")[2] for name in names}
    taken = list(short.values())
    return {name: last if taken.count(last) == 1 else name for name, last in short.items()}


def load_topology(run: LoadRun) -> str:
    """The topology of the matrix that a load run resembles."""
    return "one-service" if run.load.workers == 1 else "two-processes"


def run_is_unexpected(run: LoadRun, cells: Sequence[Cell]) -> bool:
    """Whether a load run broke, or stayed undecided, where exploration found nothing to break.

    A clean run of a strategy that can break is luck, and expected.
    """
    can_break = any(
        cell.verdict is Verdict.BROKEN
        and cell.lock == run.load.lock
        and cell.topology == load_topology(run)
        for cell in cells
    )
    return run.verdict is not Verdict.CLEAN and not (can_break and run.verdict is Verdict.BROKEN)


def programs_as_expected(result: ProgramsResult) -> bool:
    """Whether Hypothesis found what it should."""
    return result.verdict == result.expected


def unexpected_count(found: Found) -> int:
    """How many results are not what was wanted."""
    return (
        sum(not square.as_expected for square in squares(found.cells))
        + sum(run_is_unexpected(run, found.cells) for run in found.load_runs)
        + sum(not programs_as_expected(result) for result in found.programs)
    )


def lost_words(cents: int) -> str:
    """Money lost (positive) or made (negative), in words.

    >>> lost_words(31240), lost_words(-500), lost_words(0)
    ('lost 312.40', 'made 5.00', 'nothing lost')
    """
    if cents == 0:
        return "nothing lost"
    return f"{'lost' if cents > 0 else 'made'} {show_cents(abs(cents))}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
