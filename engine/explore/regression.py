"""For regression tests: what breaks under a schedule that was found once, in code that may change.

Mended code takes other steps: it waits where it used to go on, reads again, takes a lock first. So
the schedule is followed as far as it can be (a move that cannot be made is left out), and the run
then ends with whoever can go on first. As that alone would also pass where a step more has only
shifted the loss by one move, every interleaving is explored after it, up to a number.
"""

import asyncio
from collections.abc import Sequence

from engine.explore.cells import explore_cell, setting_of, worlds
from engine.explore.controller import Choose, Move, run_schedule
from engine.explore.faults import Faults
from engine.explore.scenario import Scenario
from engine.explore.search import Budget, replay
from engine.results import Witness

# Cheap enough for every test run: a second or two at most, even gated on a real database.
EXPLORED_MAX = 2_000


def what_breaks(
    scenario: Scenario,
    lock: str,
    schedule: Sequence[str],
    *,
    topology: str = "one-service",
    store: str = "memory",
    faults: str = "",
    explored_max: int = EXPLORED_MAX,
) -> str:
    """The explanation of what goes wrong, or "" if nothing does. UsageError for an unknown name.

    `schedule` is followed first; then up to `explored_max` interleavings are run, in the model
    or on the `store`. "" means that these were right, all of them if there are no more.
    """
    budget = Faults.parse(faults)
    kept = asyncio.run(_kept(scenario, lock, schedule, topology, store, budget))
    if kept.findings:
        return kept.explanation
    cell = asyncio.run(
        explore_cell(
            *(scenario, lock, topology, store),
            faults=budget,
            budget=Budget(interleavings_max=explored_max),
        )
    )
    if cell.witness is None:
        return ""
    return f"{cell.witness.explanation} (schedule: {' '.join(cell.witness.schedule)})"


async def _kept(
    scenario: Scenario,
    lock: str,
    schedule: Sequence[str],
    topology: str,
    store: str,
    faults: Faults,
) -> Witness:
    setting = setting_of(scenario, lock, topology)
    async with worlds(setting, store) as open_world:
        run = await run_schedule(await open_world(), faults, as_far_as_possible(schedule))
        return await replay(setting, open_world, run.schedule, faults)


def as_far_as_possible(schedule: Sequence[str]) -> Choose:
    """A chooser that leaves out the moves of a schedule that cannot be made, then goes on."""
    moves = iter([Move.parse(text) for text in schedule])

    def choose(options: Sequence[Move]) -> int:
        for move in moves:
            if move in options:
                return options.index(move)
        return 0  # never a fault: those stand behind the lanes that can go on

    return choose
