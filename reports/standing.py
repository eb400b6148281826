"""How each lock strategy stands under each topology: held, broken, or not settled.

A scenario that breaks under *every* lock strategy tried is not held against one of them: no lock
cures a retry without a key, or a cache of one process beside another. But only a strategy that
also held in a scenario in which another broke is excused so; else a matrix of broken strategies
alone would acquit them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.verdicts import Verdict
from reports.found import Found
from reports.reading import Square, in_order, squares


@dataclass(frozen=True, slots=True)
class Standing:
    """One lock strategy under one topology: its squares by what came of them.

    `shared` are broken squares of scenarios that break whatever the lock; `broken` the others.
    """

    lock: str
    topology: str
    safe: tuple[Square, ...]
    broken: tuple[Square, ...]
    shared: tuple[Square, ...]
    unsettled: tuple[Square, ...]

    @property
    def holds(self) -> bool:
        """All was explored, and nothing broke that another lock strategy would have saved."""
        return bool(self.safe) and not self.broken and not self.unsettled

    @property
    def explored(self) -> int:
        """Interleavings run in the scenarios that held."""
        return sum(cell.interleavings for square in self.safe for cell in square.cells)


def standings(found: Found) -> list[Standing]:
    """Every lock strategy under every topology it was explored in."""
    placed = squares(found.cells)
    return [
        _standing(lock, topology, [square for square in placed if square.topology == topology])
        for topology in in_order(square.topology for square in placed)
        for lock in in_order(square.lock for square in placed if square.topology == topology)
    ]


def _standing(lock: str, topology: str, around: Sequence[Square]) -> Standing:
    own = [square for square in around if square.lock == lock]
    safe = [square for square in own if square.verdict is Verdict.SAFE]
    broken = [square for square in own if square.verdict is Verdict.BROKEN]
    unsettled = [square for square in own if square not in safe and square not in broken]
    saved = {square.scenario for square in safe}
    saves = any(other.verdict is Verdict.BROKEN and other.scenario in saved for other in around)
    shared = [square for square in broken if saves and _breaks_for_all(square.scenario, around)]
    return Standing(
        lock,
        topology,
        tuple(safe),
        tuple(square for square in broken if square not in shared),
        tuple(shared),
        tuple(unsettled),
    )


def _breaks_for_all(scenario: str, around: Sequence[Square]) -> bool:
    tried = [square for square in around if square.scenario == scenario]
    return len(tried) > 1 and all(square.verdict is Verdict.BROKEN for square in tried)
