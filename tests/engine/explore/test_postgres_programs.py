"""Random programs of clients that lock: in the model and, gated, on a live PostgreSQL.

There are as many interleavings, and as many of each end, deadlocks' victims and faults included.
70 programs are drawn, and 3,500 under `--hypothesis-profile=hunt`; those with few interleavings
are run. PROGRAM_SEED=n runs the program of that seed alone.
"""

import asyncio
import os
from collections.abc import Iterable

import pytest
from hypothesis import settings

from engine.explore.cells import worlds
from engine.explore.faults import Faults
from engine.explore.search import Budget, Explored, explore
from engine.explore.world import Setting
from engine.verdicts import Verdict
from tests.engine.explore.both_ways import by_brute_force
from tests.engine.explore.random_locks import locking_program

PROGRAMS, PROGRAMS_OF_A_HUNT = 70, 3_500
FEW = Budget(runs_max=60)
ONLY = os.environ.get("PROGRAM_SEED")


def seeds() -> Iterable[int]:
    if ONLY is not None:
        return [int(ONLY)]
    hunts = settings.get_current_profile_name() == "hunt"
    return range(PROGRAMS_OF_A_HUNT if hunts else PROGRAMS)


async def explored_live(setting: Setting, faults: Faults, url: str) -> Explored:
    async with worlds(setting, url) as open_world:
        return await explore(setting, open_world, faults=faults, budget=FEW)


@pytest.mark.slow
def test_random_programs_end_in_the_model_as_on_the_server(explored_url: str) -> None:
    compared = 0
    for seed in seeds():
        program = locking_program(seed)
        setting = program.setting()
        in_model = by_brute_force(setting, program.faults, FEW)
        if in_model.verdict is Verdict.BOUNDED or in_model.interleavings == FEW.runs_max:
            continue

        on_server = asyncio.run(explored_live(setting, program.faults, explored_url))
        told = f"{program}\nPROGRAM_SEED={seed}"
        assert on_server.outcomes == in_model.outcomes, told
        assert on_server.kinds == in_model.kinds, told
        compared += 1
    assert ONLY or compared > 20
