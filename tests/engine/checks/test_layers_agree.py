"""Layers agree with each other on histories that are too large for brute force.

Amounts are drawn from a million, so that a balance tells which calls had happened: what versions
find, balances find too. Whoever knows less may miss something, and never finds more.
"""

import random
from dataclasses import replace

import pytest

from engine.checks import judge
from engine.checks.verdict import Budget
from engine.histories.drawing import Shape
from engine.histories.generate import Known, generate, hide
from engine.recording import Kind
from engine.verdicts import Verdict
from tests.engine.checks.mutations import MUTATIONS
from tests.engine.checks.written_out import written_out

SINGLE = Shape(calls=2_000, clients=16)
SEVERAL = Shape(calls=2_000, clients=16, accounts=20, zipf=0.8)
TRANSFERS = Shape(
    calls=5_000,
    clients=32,
    accounts=30,
    mix={Kind.TRANSFER: 0.5, Kind.BATCH: 0.2, Kind.BALANCE: 0.2, Kind.CHECK: 0.1},
)
# Short of money, so that much is refused.
SHORT = replace(SINGLE, opening=2_000_000, mix={Kind.WITHDRAW: 0.5, Kind.ADD: 0.4, Kind.CHECK: 0.1})
SHAPES = {"single": SINGLE, "several": SEVERAL, "transfers": TRANSFERS, "short": SHORT}
LOG_ONLY = {"lost row", "double row", "wrong row"}
CLEAN, BROKEN = Verdict.CLEAN, Verdict.BROKEN


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_what_is_right_is_clean_however_little_is_known(name: str) -> None:
    history = generate(SHAPES[name], seed=11)
    verdicts = {known: judge(hide(history, known)).verdict for known in (*Known,)[:2]}
    assert verdicts == dict.fromkeys(verdicts, CLEAN)
    few = generate(replace(SHAPES[name], calls=400), seed=12)
    said = judge(hide(few, Known.ANSWERS), budget=Budget(seconds_max=1.0))
    assert said.verdict is not BROKEN


@pytest.mark.slow
@pytest.mark.parametrize("name", ["single", "several", "short"])
@pytest.mark.parametrize("seed", range(3))
def test_a_race_is_seen_with_versions_and_without(name: str, seed: int) -> None:
    history = generate(replace(SHAPES[name], racing=0.03), seed=seed)
    wrong = judge(history).verdict
    assert judge(hide(history, Known.VALUES)).verdict is wrong
    assert wrong is BROKEN


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_every_large_mutant_is_killed(name: str) -> None:
    shape = TRANSFERS if name == "torn transfer" else replace(SHORT, calls=1_000)
    right = written_out(generate(shape, seed=5))
    for seed in range(2):
        mutant = MUTATIONS[name](right, random.Random(seed))
        if mutant is None:
            assert name == "stale read"
            mutant = MUTATIONS[name](written_out(generate(SINGLE, seed=5)), random.Random(seed))
        assert mutant is not None
        assert judge(mutant.history()).verdict is BROKEN, seed
        if name not in LOG_ONLY:
            assert judge(hide(mutant.history(), Known.VALUES)).verdict is BROKEN, seed
