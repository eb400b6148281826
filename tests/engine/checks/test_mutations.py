"""Whatever goes wrong in a history is found: every mutant is caught, or is a right history itself.

Which small mutants are right ones is for brute force to say; large ones are wrong by construction.
"""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import settings

from engine.checks import judge
from engine.histories.generate import Known, generate, hide
from engine.verdicts import Verdict
from tests.engine.checks.brute_force import explained
from tests.engine.checks.mutations import MUTATIONS
from tests.engine.checks.small_histories import small_shape
from tests.engine.checks.written_out import Draft, written_out

HISTORIES = 60
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
    counts = {known: Counter[str]() for known in Known}
    for seed in _histories():
        mutant = MUTATIONS[name](_right(seed), random.Random(seed))
        for known in Known if mutant else ():
            history = hide(mutant.history(), known)
            fate = "equivalent" if explained(history) else str(judge(history).verdict)
            assert fate != Verdict.CLEAN, f"seed {seed}: {known} of {mutant.code()}"
            counts[known][fate] += 1
    # For whoever runs it with `-s`: how many were killed, left undecided, or are no mistakes.
    print(f"{name}: " + "; ".join(f"{known.name} {dict(each)}" for known, each in counts.items()))
    known = counts[Known.VERSIONS]
    assert known[Verdict.BROKEN] > 0
    assert known[Verdict.UNKNOWN] == 0
    assert known["equivalent"] == 0 or name in EQUIVALENT
