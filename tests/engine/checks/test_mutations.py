"""Whatever goes wrong in a history is found: every mutant is caught, or is a right history itself.

Which small mutants are right ones is for brute force to say; large ones are wrong by construction.
"""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import settings

from engine.checks.judge import judge
from engine.histories.generate import Known, generate, hide
from engine.verdicts import Verdict
from tests.engine.checks.brute_force import explained
from tests.engine.checks.mutations import MUTATIONS
from tests.engine.checks.small_histories import small_shape
from tests.engine.checks.written_out import Draft, written_out

HISTORIES = 40
# With versions and log only these can leave a history that a right wallet could have made: the
# calls beside it were asked at the same time, or nobody looked.
EQUIVALENT = {"delay", "hurry", "stale read", "swap"}


def _right(seed: int) -> Draft:
    shape = replace(small_shape(random.Random(seed)), racing=0.0)
    return written_out(generate(shape, seed=seed))


def _histories() -> range:
    hunting = settings.get_current_profile_name() == "hunt"
    return range(settings().max_examples // len(MUTATIONS) if hunting else HISTORIES)


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_every_small_mutant_is_killed_or_equivalent(name: str) -> None:
    told: Counter[tuple[Known, str]] = Counter()
    for seed in _histories():
        luck = random.Random(seed)
        mutant = MUTATIONS[name](_right(seed), luck)
        for known in Known if mutant else ():
            history = hide(mutant.history(), known)
            if explained(history):
                told[known, "equivalent"] += 1
                continue
            verdict = judge(history).verdict
            told[known, verdict] += 1
            assert verdict is not Verdict.CLEAN, f"seed {seed}: {known} of {mutant.code()}"
            told[known, "killed"] += verdict is Verdict.BROKEN
    print(name, dict(told))
    assert told[Known.VERSIONS, "killed"] > 0
    assert told[Known.VERSIONS, Verdict.UNKNOWN] == 0
    assert told[Known.VERSIONS, "equivalent"] == 0 or name in EQUIVALENT
