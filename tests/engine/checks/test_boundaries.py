"""Locks enclose the transactions they are for, or the call that broke a boundary is named."""

from dataclasses import replace

import numpy as np
import pytest

from engine.checks.boundaries import check_boundaries
from engine.checks.verdict import Budget, CannotSay, Found
from engine.histories.by_hand import OneCall, OneEntry, from_calls
from engine.histories.columns import Events
from engine.recording import Kind, Step
from engine.verdicts import Break

A, G, R = Step.LOCK_ASKED, Step.LOCK_GRANTED, Step.LOCK_RELEASED
B, S, W, C, X, P = (
    Step.BEGUN,
    Step.SNAPSHOT,
    Step.WRITTEN,
    Step.COMMITTED,
    Step.ROLLED_BACK,
    Step.CACHE_PUT,
)
RIGHT = (A, G, B, S, W, C, P, R)


def judged(*calls: tuple[Step, ...], order: list[int] | None = None) -> Found:
    """Calls one after the other, their steps 0.1 ms apart, all on alice."""
    rows = [(call, int(step)) for call, steps in enumerate(calls) for step in steps]
    table = np.array(rows, np.int64)
    at = 100_000 * np.arange(len(rows))
    mixed = np.arange(len(rows)) if order is None else np.array(order)
    events = Events(
        table[mixed, 0], table[mixed, 1], np.zeros(len(rows), np.int64), at[mixed], ("alice",)
    )
    history = from_calls(
        [
            OneCall(f"op{call}", "A", Kind.WITHDRAW, 0, 1, entries=(OneEntry("alice", -500),))
            for call in range(len(calls))
        ],
        openings={"alice": 1000},
    )
    return check_boundaries(replace(history, events=events), Budget())


def messages(*calls: tuple[Step, ...]) -> list[str]:
    return [violation.message for violation in judged(*calls).violations]


@pytest.mark.parametrize(
    "steps",
    [
        RIGHT,
        (B, G, S, W, C, R),  # row locks are granted inside of the transaction
        (B, G, S, G, S, W, C, R, R),  # one after the other
        (G, S, G, W, C, R, R),  # a look between two locks
        (G, S, X, R, G, S, C, R),  # again, after a conflict
        (G, S, R, G, S, C, R),  # again, after a conflict of writes that commit by themselves
        (S, G, S, C, R),  # a look in advance, and a second one that counts
        (S, G, R),  # nothing was committed
        (S, C, P, S, C, P),  # no locks at all: that is another matter
        (G, S, C, R, R),  # giving back twice what was one's own does no harm
        (P,),
    ],
)
def test_right_boundaries_are_clean(steps: tuple[Step, ...]) -> None:
    assert messages(steps) == []


@pytest.mark.parametrize(
    "steps", [(G, B, S, W, R, A, B, A, C), (G, S, R, S, A, A, C), (G, G, S, R, A, A, A, C, R)]
)
def test_a_lock_given_back_before_the_commit_is_named(steps: tuple[Step, ...]) -> None:
    assert messages(RIGHT, steps) == [
        "op1 (withdraw 5.00) unlocked alice 0.4 ms before it committed"
    ]


def test_a_snapshot_older_than_the_lock_is_named() -> None:
    found = judged((B, S, A, G, W, C, R))
    assert found.violations[0].message == (
        "op0 (withdraw 5.00) looked 0.2 ms before it was granted alice, and committed what it"
        " computed from that"
    )
    assert found.violations[0].anomaly == "boundary: snapshot before lock"
    assert (found.violations[0].kind, found.violations[0].calls) == (Break.ORDER, (0,))


@pytest.mark.parametrize(("end", "told"), [(C, "committed"), (X, "rolled back")])
def test_a_cache_written_before_the_end_of_the_transaction_is_named(end: Step, told: str) -> None:
    assert messages((G, B, S, W, P, end, R)) == [
        f"op0 (withdraw 5.00) put alice into the cache 0.1 ms before it {told}"
    ]


def test_a_lock_released_by_a_call_that_never_had_it_is_named() -> None:
    assert messages((G, S, C), (S, R, C)) == [
        "op1 (withdraw 5.00) released alice, which it had not been granted;"
        " op0 (withdraw 5.00) had it last"
    ]
    assert messages((R, G)) == ["op0 (withdraw 5.00) released alice, which it had not been granted"]


def test_events_may_come_in_any_order() -> None:
    size = 2 * len(RIGHT)
    assert judged(RIGHT, RIGHT, order=list(reversed(range(size)))).count == 0


def test_every_broken_boundary_counts() -> None:
    found = judged(*[(G, S, R, C)] * 150)
    assert (found.count, len(found.violations)) == (150, 100)


def test_without_steps_nothing_is_said() -> None:
    with pytest.raises(CannotSay, match="no steps"):
        check_boundaries(from_calls([], openings={}), Budget())
