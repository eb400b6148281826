"""The verdict matrix: every scenario under every lock strategy and topology."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from engine.catalog import LOCK_STRATEGIES, NEGATIVE_CONTROLS
from engine.errors import UsageError
from engine.explore.cells import explore_cell, replay_cell
from engine.explore.scenario import TOPOLOGIES, Scenario
from engine.explore.search import Budget
from engine.results import Cell
from engine.verdicts import EXIT_DECIDED_OTHERWISE, EXIT_OK, EXIT_UNDECIDED, Verdict
from scenarios.catalogue import SCENARIOS

OnCell = Callable[[int, int, str], None]

CONFIRMED = "its witness loses on real SQLite too"
NOT_CONFIRMED = "its witness does not lose on real SQLite"
DISAGREES = "the model and real SQLite disagree"


@dataclass(frozen=True, slots=True)
class Plan:
    """Which cells to explore; all by default."""

    scenarios: Sequence[Scenario] = tuple(SCENARIOS.values())
    locks: Sequence[str] = (*LOCK_STRATEGIES, *NEGATIVE_CONTROLS)
    topologies: Sequence[str] = tuple(TOPOLOGIES)
    budget: Budget = Budget()  # noqa: RUF009  (frozen)


async def compare(plan: Plan, *, quick: bool, on_cell: OnCell | None = None) -> list[Cell]:
    """Explore every cell in the model; on real SQLite too, or with `quick` only the witnesses.

    A live cell whose outcomes differ from the model's, and a model cell whose witness is not
    confirmed, come back with the verdict `unknown` and a note.
    """
    wanted = [
        (scenario, lock, topology)
        for scenario in plan.scenarios
        for lock in plan.locks
        for topology in plan.topologies
    ]
    cells: list[Cell] = []
    for number, (scenario, lock, topology) in enumerate(wanted):
        if on_cell is not None:
            on_cell(number, len(wanted), f"{scenario.name} · {lock} · {topology}")
        model = await explore_cell(scenario, lock, topology, "memory", budget=plan.budget)
        if quick:
            cells.append(await _confirmed(model, scenario))
            continue
        live = await explore_cell(scenario, lock, topology, "sqlite", budget=plan.budget)
        if (live.verdict, live.outcomes) != (model.verdict, model.outcomes):
            live = replace(live, verdict=Verdict.UNKNOWN, note=DISAGREES)
        cells += [model, live]
    return cells


async def _confirmed(cell: Cell, scenario: Scenario) -> Cell:
    """The cell, its witness replayed on real SQLite."""
    if cell.witness is None:
        return cell
    try:
        live = await replay_cell(
            scenario,
            cell.lock,
            cell.topology,
            "sqlite",
            cell.witness.schedule,
            faults=scenario.faults,
        )
    except UsageError:
        return replace(cell, verdict=Verdict.UNKNOWN, note=NOT_CONFIRMED)
    if live.outcome != cell.witness.outcome:
        return replace(cell, verdict=Verdict.UNKNOWN, note=NOT_CONFIRMED)
    return replace(cell, note=f"{cell.note}; {CONFIRMED}")


def exit_of(cells: Sequence[Cell]) -> int:
    """0 if every cell is as its scenario declares, 3 if some are undecided, else 1."""
    others = [cell for cell in cells if not cell.as_expected]
    if not others:
        return EXIT_OK
    undecided = all(cell.verdict in (Verdict.BOUNDED, Verdict.UNKNOWN) for cell in others)
    return EXIT_UNDECIDED if undecided else EXIT_DECIDED_OTHERWISE
