"""All exhibits, the hazards that real systems had first, and what is found in them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.explore.cells import worlds
from engine.explore.controller import follow, run_schedule
from engine.explore.plan import Task, explore_task
from engine.explore.search import Budget
from engine.explore.world import Setting
from engine.history import Outcome
from engine.results import Cell
from engine.verdicts import Verdict
from scenarios.zoo import (
    amounts,
    boundaries,
    cached,
    cancellations,
    deadlocks,
    exclusion,
    leases,
    lock_maps,
    retries,
)
from scenarios.zoo.exhibit import Exhibit

FAMILIES = (
    *(exclusion, boundaries, lock_maps, leases, deadlocks),
    *(cancellations, retries, cached, amounts),
)
_ALL = [exhibit for family in FAMILIES for exhibit in family.EXHIBITS]
EXHIBITS: dict[str, Exhibit] = {
    exhibit.name: exhibit
    for exhibit in sorted(_ALL, key=lambda exhibit: (exhibit.number == 0, exhibit.number))
}

BUDGET = Budget(runs_max=50_000, seconds_max=60.0)

OnExhibit = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Inspected:
    """An exhibit with what was found in its two variants.

    `all_ok`: under the witness of the wrong one every request is answered, and answered ok. A test
    that counts answers sees nothing there.
    """

    exhibit: Exhibit
    wrong: Cell
    right: Cell
    all_ok: bool

    @property
    def found(self) -> bool:
        """The wrong variant was found broken, and its witness shows what the exhibit is about."""
        witness = self.wrong.witness
        return (
            self.wrong.verdict is Verdict.BROKEN
            and witness is not None
            and any(finding.kind is self.exhibit.breaks for finding in witness.findings)
        )

    @property
    def undecided(self) -> bool:
        """One of the two was not explored whole, and nothing was found in it."""
        return Verdict.BOUNDED in (self.wrong.verdict, self.right.verdict)

    @property
    def false_alarm(self) -> bool:
        """The right variant was found broken."""
        return self.right.verdict is Verdict.BROKEN

    @property
    def as_wanted(self) -> bool:
        """The wrong variant was found, the right one proven safe."""
        return self.found and self.right.verdict is Verdict.SAFE


def inspect(
    exhibits: Sequence[Exhibit], budget: Budget = BUDGET, on_exhibit: OnExhibit | None = None
) -> list[Inspected]:
    """Explore both variants of every exhibit in the model."""
    return asyncio.run(_inspect(exhibits, budget, on_exhibit))


async def _inspect(
    exhibits: Sequence[Exhibit], budget: Budget, on_exhibit: OnExhibit | None
) -> list[Inspected]:
    inspected = []
    for number, exhibit in enumerate(exhibits):
        if on_exhibit is not None:
            on_exhibit(number, len(exhibits), exhibit.name)
        wrong = await _cell(exhibit.wrong, Verdict.BROKEN, budget)
        right = await _cell(exhibit.right, Verdict.SAFE, budget)
        inspected.append(Inspected(exhibit, wrong, right, await _all_ok(exhibit.wrong, wrong)))
    return inspected


async def _all_ok(setting: Setting, cell: Cell) -> bool:
    """What the weakest of oracles says of the cell's witness: it looks at the answers alone."""
    if cell.witness is None:
        return False
    async with worlds(setting, "memory") as open_world:
        run = await run_schedule(
            await open_world(), setting.scenario.faults, follow(cell.witness.schedule)
        )
    return not run.deadlocked and all(call.outcome is Outcome.OK for call in run.history)


async def _cell(setting: Setting, expected: Verdict, budget: Budget) -> Cell:
    scenario = setting.scenario
    async with worlds(setting, "memory") as open_world:
        found = await explore_task(Task(setting, open_world, True, scenario.faults, budget))
    return Cell(
        scenario=scenario.name,
        lock=lock_name(setting),
        store="memory",
        topology=setting.topology,
        faults=str(scenario.faults),
        expected=expected,
        verdict=found.verdict,
        kinds=found.kinds,
        interleavings=found.interleavings,
        losing=found.losing,
        outcomes=found.outcomes,
        witness=found.witness,
        seconds=found.seconds,
        note=found.note,
        method=found.method,
        states=found.states,
        backoffs_max=found.backoffs_max,
        preemptions_fewest=found.preemptions_fewest,
    )


def lock_name(setting: Setting) -> str:
    """The variant's lock strategy, by the name of its class."""
    make = setting.parts.make_lock
    return str(getattr(make, "__name__", make))
