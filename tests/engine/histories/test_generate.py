"""Generated histories are what they say: right ones have an order, racing ones lose money."""

import random

import numpy as np
import pytest

from engine.errors import UsageError
from engine.histories import by_hand
from engine.histories.columns import FOREVER, MISSING, PER_CALL, PER_ENTRY, History
from engine.histories.drawing import Shape
from engine.histories.generate import Known, generate, hide
from engine.recording import Ended, Kind
from tests.engine.checks.brute_force import explained
from tests.engine.checks.small_histories import KINDS, small_draft, small_shape
from tests.engine.checks.written_out import written_out

ALL = Shape(calls=3000, clients=16, accounts=5, mix=dict.fromkeys(KINDS, 1.0), timeouts=30)


def same(one: History, other: History) -> bool:
    columns = (*PER_CALL, *PER_ENTRY, "first", "openings", "finals")
    return all(np.array_equal(getattr(one, each), getattr(other, each)) for each in columns)


def test_one_seed_is_one_history() -> None:
    assert same(generate(ALL, seed=3), generate(ALL, seed=3))
    assert not same(generate(ALL, seed=3), generate(ALL, seed=4))


def test_every_kind_touches_different_accounts_as_often_as_it_should() -> None:
    history = generate(ALL, seed=1)
    widths = np.diff(history.first)
    for kind, width in ((Kind.BALANCE, 1), (Kind.CHECK, 1), (Kind.TRANSFER, 2), (Kind.BATCH, 3)):
        assert set(widths[history.kind == kind].tolist()) == {width}
    for first, after_last in zip(history.first[:-1], history.first[1:], strict=True):
        accounts = history.account[first:after_last].tolist()
        assert len(set(accounts)) == len(accounts)


def test_a_call_without_an_answer_tells_nothing_but_what_it_asked_for() -> None:
    history = generate(ALL, seed=2)
    unknown = history.ended == Ended.UNKNOWN
    assert unknown.sum() == ALL.timeouts
    assert (history.completed[unknown] == FOREVER).all()
    assert (history.before[unknown[history.call_of_entry()]] == MISSING).all()
    assert history.log is not None
    happened = np.isin(history.operation[unknown], history.log.operation)
    assert 0 < happened.sum() < ALL.timeouts


def test_the_log_adds_up_to_the_balances_in_the_end() -> None:
    history = generate(ALL, seed=5)
    assert history.log is not None
    sums = np.bincount(history.log.account, weights=history.log.amount)
    assert sums.astype(int).tolist() == history.finals.tolist()
    racing = generate(Shape(calls=3000, clients=16, racing=0.2), seed=5)
    assert racing.log is not None
    assert racing.log.amount.sum() != racing.finals.sum()


def test_hiding_leaves_answers_and_questions() -> None:
    history = generate(ALL, seed=6)
    values, answers = hide(history, Known.VALUES), hide(history, Known.ANSWERS)
    assert values.log is None
    assert np.array_equal(values.before, history.before)
    asked = (history.kind == Kind.BALANCE)[history.call_of_entry()]
    assert ((answers.before != MISSING) == asked).all()


def test_a_hot_account_takes_most_of_the_calls() -> None:
    history = generate(Shape(calls=3000, accounts=100, zipf=1.5), seed=1)
    counts = np.bincount(history.account, minlength=100)
    assert counts[0] > 0.3 * history.entries > 30 * counts[50]


def test_a_shape_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="a batch on 2 accounts"):
        Shape(calls=1, accounts=2, mix={Kind.BATCH: 1.0})
    with pytest.raises(UsageError, match="open and change are not generated"):
        Shape(calls=1, mix={Kind.OPEN: 1.0})


def test_what_is_not_racing_always_has_an_order() -> None:
    for seed in range(300):
        luck = random.Random(seed)
        shape = small_shape(luck)
        history = generate(shape, seed=seed)
        if not shape.racing:
            assert all(explained(hide(history, known)) for known in Known), seed


def test_what_is_written_out_as_code_makes_the_same_history() -> None:
    names = {**vars(by_hand), "MISSING": MISSING}
    for seed in range(50):
        draft = written_out(small_draft(seed).history())
        assert written_out(eval(draft.code(), names)) == draft
