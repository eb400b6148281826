"""The whole matrix: each anomaly at each level, explored and compared with what is expected."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from engine.isolation.explorer import Explored, Run, Undecided, explore
from engine.isolation.levels import EXPECTED, NOT_ASKED, POSSIBLE, PREVENTED, IsolationLevel
from engine.isolation.live import Live
from engine.isolation.scripts import Anomaly, Script

UNDECIDED = "?"
Advance = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Cell:
    """One anomaly at one level. `note`: why it is undecided, if it is."""

    anomaly: Anomaly
    level: IsolationLevel
    expected: str
    explored: tuple[Explored, ...]
    seconds: float
    note: str = ""

    @property
    def found(self) -> str:
        """✓, — or ?: prevented, possible, undecided. One form that can happen is enough."""
        if any(one.showing for one in self.explored):
            return POSSIBLE
        return UNDECIDED if self.note else PREVENTED

    @property
    def undecided(self) -> bool:
        return self.found == UNDECIDED

    @property
    def as_expected(self) -> bool:
        return self.found == self.expected

    @property
    def runs(self) -> int:
        return sum(one.runs for one in self.explored)

    @property
    def showing(self) -> int:
        """Interleavings that show the anomaly."""
        return sum(one.showing for one in self.explored)

    @property
    def refusals(self) -> list[str]:
        """The errors with which transactions were undone."""
        return sorted({code for one in self.explored for code in one.refusals})

    @property
    def waited(self) -> bool:
        return any(one.waited for one in self.explored)

    @property
    def witnesses(self) -> list[tuple[Script, Run]]:
        """Of each form that can happen the simplest interleaving that shows it."""
        return [(one.script, one.witness) for one in self.explored if one.witness is not None]


async def explore_matrix(
    live: Live,
    levels: Sequence[IsolationLevel],
    anomalies: Iterable[Anomaly],
    advance: Advance = lambda done, total, doing: None,
) -> list[Cell]:
    """Every cell that the expected table asks for, level by level."""
    asked = [(level, anomaly) for level in levels for anomaly in anomalies]
    asked = [each for each in asked if EXPECTED[each[0].name][each[1].name] != NOT_ASKED]
    cells = []
    for done, (level, anomaly) in enumerate(asked):
        advance(done, len(asked), f"{anomaly.name} at {level.name}")
        cells.append(await _cell(live, level, anomaly))
    advance(len(asked), len(asked), "")
    return cells


async def _cell(live: Live, level: IsolationLevel, anomaly: Anomaly) -> Cell:
    started_s, explored, note = time.perf_counter(), [], ""
    for script in anomaly.scripts:
        try:
            explored.append(await explore(live, script, level))
        except Undecided as why:
            note = str(why)
    expected = EXPECTED[level.name][anomaly.name]
    seconds = time.perf_counter() - started_s
    return Cell(anomaly, level, expected, tuple(explored), seconds, note)
