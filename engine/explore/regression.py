"""For regression tests: what breaks under a schedule that was found once, in code that may change.

Mended code takes other steps: it waits where it used to go on, reads again, takes a lock first. So
the schedule is followed as far as it can be (a move that cannot be made is left out), and the run
then ends with whoever can go on first. As that alone would also pass where a step more has only
shifted the loss by one move, the whole cell is explored after it, up to a number of states.
"""

import asyncio
from collections.abc import Sequence

from engine.explore.cells import dialect_of, explore_cell, in_worlds, setting_of
from engine.explore.controller import Choose, Move, run_schedule
from engine.explore.faults import Faults
from engine.explore.scenario import Scenario
from engine.explore.search import Budget, OpenWorld, replay
from engine.results import Witness

# Cheap enough for every test run: a second or two at most, even gated on a real database.
EXPLORED_MAX = 2_000


def what_breaks(
    scenario: Scenario,
    lock: str | None,
    schedule: Sequence[str],
    *,
    topology: str = "one-service",
    store: str = "memory",
    wallet: str | None = None,
    faults: str = "",
    explored_max: int = EXPLORED_MAX,
) -> str:
    """The explanation of what goes wrong, or "" if nothing does. UsageError for an unknown name.

    `lock` and `wallet` are named as on the command line; a wallet may do without a lock (None).
    `schedule` is followed first, then the cell is explored: up to `explored_max` states of the
    model, or as many interleavings where there is no state graph (on a real database). "" means
    that all of these were right, which is a proof only if there are no more.
    """
    budget = Faults.parse(faults)
    kept = asyncio.run(
        replay_as_far_as_possible(
            *(scenario, lock, topology, store, schedule), wallet=wallet, faults=budget
        )
    )
    if kept.findings:
        return kept.explanation
    cell = asyncio.run(
        explore_cell(
            *(scenario, lock, topology, store),
            wallet=wallet,
            faults=budget,
            budget=Budget(runs_max=explored_max, states_max=explored_max),
        )
    )
    if cell.witness is None:
        return ""
    return f"{cell.witness.explanation} (schedule: {' '.join(cell.witness.schedule)})"


async def replay_as_far_as_possible(
    scenario: Scenario,
    lock: str | None,
    topology: str,
    store: str,
    schedule: Sequence[str],
    *,
    wallet: str | None = None,
    faults: Faults,
) -> Witness:
    """What happens under a schedule in code that takes other steps now than when it was found."""
    setting = setting_of(scenario, lock, topology, wallet, dialect_of(store))

    async def follow(open_world: OpenWorld, _: object) -> Witness:
        run = await run_schedule(await open_world(), faults, as_far_as_possible(schedule))
        return await replay(setting, open_world, run.schedule, faults)

    witness, _ = await in_worlds(setting, store, follow)
    return witness


def as_far_as_possible(schedule: Sequence[str]) -> Choose:
    """A chooser that leaves out the moves of a schedule that cannot be made, then goes on."""
    moves = iter([Move.parse(text) for text in schedule])

    def choose(options: Sequence[Move]) -> int:
        for move in moves:
            if move in options:
                return options.index(move)
        return 0  # never a fault: those stand behind the lanes that can go on

    return choose
