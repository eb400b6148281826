"""Everything a report is made of, in one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from engine.results import Cell, HistoryView, IsolationCell, LoadRun, ProgramsResult, Ratio


class Claim(Protocol):
    """One promise of the guide, measured without and with what it recommends."""

    @property
    def claim(self) -> str: ...

    @property
    def measure(self) -> str: ...

    @property
    def without(self) -> float: ...

    @property
    def with_it(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Found:
    """What was found. `machine`: what it ran on, in words. `notes`: what was not covered.
    `controls`: lock strategies that are wrong on purpose. `store_runs`: load on lock strategy and
    store alone, on every database there is. `history`: one run that lost money, call by call.
    """

    cells: tuple[Cell, ...]
    load_runs: tuple[LoadRun, ...] = ()
    ratios: tuple[Ratio, ...] = ()
    programs: tuple[ProgramsResult, ...] = ()
    claims: tuple[Claim, ...] = ()
    machine: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    store_runs: tuple[LoadRun, ...] = ()
    isolation: tuple[IsolationCell, ...] = ()
    history: HistoryView | None = None
