"""Every exploration twice: the same to the byte, whatever order the process gives its sets."""

import asyncio
import json
import os
import subprocess
import sys
from itertools import product

import pytest
from hypothesis import settings

from engine.catalog import controls_on, strategies_on
from engine.explore.cells import explore_cell
from engine.explore.faults import Faults
from engine.explore.plan import Counts
from scenarios.catalogue import SCENARIOS
from scenarios.console import cell_json

pytestmark = pytest.mark.slow
LOCKS = (*strategies_on("sqlite"), *controls_on("sqlite"))


def everything(scenario: str) -> str:
    """All cells of a scenario, in the model, as JSON without the time and memory that they took."""
    struck = [("one-service", Faults(cancel=1)), ("two-processes", None)]
    cells = []
    for lock, (topology, faults), counts in product(LOCKS, struck, Counts):
        explored = explore_cell(
            SCENARIOS[scenario], lock, topology, "memory", counts=counts, faults=faults
        )
        cells.append(cell_json(asyncio.run(explored)) | {"seconds": None, "memory_mb": None})
    return json.dumps(cells)


# A process of its own for each order of sets; both look at the same scenarios.
PROGRAM = """
import sys
from tests.engine.explore.test_determinism import everything
for name in sys.argv[1:]:
    print(everything(name))
"""


def in_a_process(hash_seed: str, *names: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *names],
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


HUNTS = settings.get_current_profile_name() == "hunt"


@pytest.mark.parametrize("name", SCENARIOS if HUNTS else list(SCENARIOS)[:3])
def test_every_exploration_ends_twice_with_the_same_bytes(name: str) -> None:
    first, second = (in_a_process(seed, name) for seed in ("1", "2"))
    assert first == second
    assert first.count('"witness"') == len(LOCKS) * 2 * len(Counts)
