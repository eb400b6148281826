"""Some runs of many: random walks, and probabilistic concurrency testing (PCT).

For what is too large to be explored. A *random walk* lets any client go on that can. *PCT*
(Burckhardt, Kothari, Musuvathi, Nagarakatti, ASPLOS 2010) gives every client a random priority,
lets the highest go on, and lowers it at `depth` - 1 random moves: a bug that needs `depth` ordering
constraints among n clients and k moves is hit by one run with a chance of at least
1 / (n * k ** (depth - 1)), where a random walk may need exponentially many. Faults strike at random
moves in both. The same seed makes the same runs; a sample that lost nothing is bounded, never safe.
"""

import random
import time
from collections.abc import Awaitable, Callable, Sequence

from engine.errors import UsageError
from engine.explore.controller import Choose, Move, run_schedule
from engine.explore.faults import Faults, How
from engine.explore.harvest import Harvest
from engine.explore.world import Setting, World

# Of the moves at which a fault could strike, one in so many is one; else few clients get far.
FAULT_ODDS = 8


async def sample(
    setting: Setting,
    open_world: Callable[[], Awaitable[World]],
    *,
    faults: Faults,
    runs_max: int,
    seconds_max: float,
    seed: int,
    depth: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Harvest:
    """So many runs, or as many as the seconds allow: by PCT of `depth`, or random walks if None.

    UsageError for a depth below 1.
    """
    if depth is not None and depth < 1:
        raise UsageError(f"no PCT depth {depth}", "1 finds what needs one order, 3 finds most bugs")
    harvest, started, longest = Harvest(), time.monotonic(), 1
    faulted = faults != setting.scenario.faults
    while harvest.runs < runs_max and time.monotonic() - started <= seconds_max:
        rng = random.Random(f"{seed}.{harvest.runs}")
        choose = walk(rng) if depth is None else by_priority(rng, depth, longest)
        run = await run_schedule(await open_world(), faults, choose)
        # Points of change are drawn from as many moves as the longest run so far has had.
        longest = max(longest, len(run.taken))
        harvest.add(setting.scenario, run, faulted=faulted)
        if on_progress is not None:
            on_progress(harvest.runs)
    method = "random walks" if depth is None else f"runs by PCT of depth {depth}"
    harvest.covered = f"{harvest.runs:,} {method} from seed {seed}"
    return harvest


def walk(rng: random.Random) -> Choose:
    """Any client that can go on, each as likely; a fault now and then."""

    def choose(options: Sequence[Move]) -> int:
        return _struck(rng, options) or rng.randrange(_going(options))

    return choose


def by_priority(rng: random.Random, depth: int, moves: int) -> Choose:
    """The client of the highest priority, which falls below all others at `depth` - 1 moves."""
    priorities: dict[str, float] = {}
    falls = {rng.randrange(moves): rank for rank in range(1, depth)}
    made = 0

    def choose(options: Sequence[Move]) -> int:
        nonlocal made
        for move in options:
            priorities.setdefault(move.lane, rng.random())
        going = range(_going(options))
        first = max(going, key=lambda number: priorities[options[number].lane])
        if made in falls:
            priorities[options[first].lane] = -float(falls[made])
            first = max(going, key=lambda number: priorities[options[number].lane])
        made += 1
        return _struck(rng, options) or first

    return choose


def _going(options: Sequence[Move]) -> int:
    """Clients' own steps come first; there is always one."""
    return sum(move.how is How.GO for move in options)


def _struck(rng: random.Random, options: Sequence[Move]) -> int | None:
    """A fault, if one strikes now. Never the first option, which is a client's own step."""
    going = _going(options)
    if going == len(options) or rng.randrange(FAULT_ODDS):
        return None
    return rng.randrange(going, len(options))
