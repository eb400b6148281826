"""The verdict matrix: every scenario under every lock strategy, topology and fault budget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from engine import catalog
from engine.catalog import controls_on, strategies_on
from engine.errors import UsageError
from engine.explore.cells import dialect_of, explore_cell, replay_cell
from engine.explore.faults import FAULTS, Faults
from engine.explore.live_stores import LIVE_STORES
from engine.explore.own_wallet import takes_lock
from engine.explore.scenario import TOPOLOGIES, Scenario
from engine.explore.search import Budget
from engine.ports import Dialect
from engine.results import Cell
from engine.stores.opening import is_url
from engine.verdicts import EXIT_DECIDED_OTHERWISE, EXIT_OK, EXIT_UNDECIDED, Verdict
from scenarios.catalogue import SCENARIOS
from scenarios.expectations import expected

OnCell = Callable[[int, int, str], None]

CONFIRMED = "its witness loses on the real database too"
NOT_CONFIRMED = "its witness does not lose on the real database"
DISAGREES = "the model and the real database disagree"
EACH = "each"

LOCKS = (*strategies_on("sqlite"), *controls_on("sqlite"))
MODELS: dict[Dialect, str] = {"sqlite": "memory", "postgres": "memory:postgres"}


@dataclass(frozen=True, slots=True)
class Plan:
    """Which cells to explore; all by default.

    `faults` are texts like "busy=1", or "each" for none and one of every kind; without any, each
    scenario has its own. `store` is the real database that its model is compared with.
    """

    scenarios: Sequence[Scenario] = tuple(SCENARIOS.values())
    locks: Sequence[str] = LOCKS
    topologies: Sequence[str] = tuple(TOPOLOGIES)
    budget: Budget = Budget()  # noqa: RUF009  (frozen)
    wallet: str | None = None
    faults: Sequence[str] = ()
    store: str = "sqlite"


def budgets(faults: Sequence[str], scenario: Scenario) -> list[Faults]:
    """The fault budgets to explore a scenario under. UsageError."""
    if not faults:
        return [scenario.faults]
    # Without a cache nobody could tell that it fails.
    each = ["none", *(f"{name}=1" for name in FAULTS if scenario.cached or name != "cache")]
    texts = [text for asked in faults for text in (each if asked == EACH else [asked])]
    return list(dict.fromkeys(Faults.parse(text) for text in texts))


def locks_for(wallet: str | None, dialect: Dialect) -> tuple[str, ...]:
    """Every lock strategy there; for a wallet that takes none only the wallet's own name."""
    if wallet is not None and not takes_lock(catalog.wallet(wallet)):
        return (wallet,)
    return (*strategies_on(dialect), *controls_on(dialect))


async def compare(plan: Plan, *, quick: bool, on_cell: OnCell | None = None) -> list[Cell]:
    """Explore every cell in the model; on the database too, or with `quick` only the witnesses.

    A live cell whose outcomes differ from the model's, and a model cell whose witness is not
    confirmed, come back with the verdict `unknown` and a note. What the model does not know is
    explored on the database alone.
    """
    if not (plan.store in LIVE_STORES or is_url(plan.store)):
        raise UsageError(
            f"no real database {plan.store!r}", f"known: {', '.join(LIVE_STORES)}, postgresql://…"
        )
    store = MODELS[dialect_of(plan.store)]
    wanted = [
        (scenario, lock, topology, faults)
        for scenario in plan.scenarios
        for lock in plan.locks
        for topology in plan.topologies
        for faults in budgets(plan.faults, scenario)
    ]
    cells: list[Cell] = []
    for number, (scenario, lock, topology, faults) in enumerate(wanted):
        if on_cell is not None:
            words = (scenario.name, lock, topology, str(faults))
            on_cell(number, len(wanted), " · ".join(filter(None, words)))
        model = await _explored(plan, scenario, lock, topology, store, faults)
        modelled = model.verdict is not Verdict.UNKNOWN
        if quick and modelled:
            cells.append(await _confirmed(model, scenario, faults, plan))
            continue
        live = await _explored(plan, scenario, lock, topology, plan.store, faults)
        same = (live.verdict, live.outcomes) == (model.verdict, model.outcomes)
        if modelled and not same and live.verdict is not Verdict.BOUNDED:
            live = replace(live, verdict=Verdict.UNKNOWN, note=DISAGREES)
        cells += [model, live] if modelled else [live]
    return cells


async def _explored(
    plan: Plan, scenario: Scenario, lock: str, topology: str, store: str, faults: Faults
) -> Cell:
    cell = await explore_cell(
        scenario, lock, topology, store, wallet=plan.wallet, faults=faults, budget=plan.budget
    )
    if plan.wallet is not None:
        return cell
    return replace(cell, expected=expected(scenario, lock, topology, faults))


async def _confirmed(cell: Cell, scenario: Scenario, faults: Faults, plan: Plan) -> Cell:
    """The cell, its witness replayed on the real database."""
    if cell.witness is None:
        return cell
    try:
        live = await replay_cell(
            scenario,
            cell.lock,
            cell.topology,
            plan.store,
            cell.witness.schedule,
            wallet=plan.wallet,
            faults=faults,
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
