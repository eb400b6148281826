"""The table of exit statuses, row by row, as its docstring and the README print it."""

import pytest

from engine.verdicts import EXIT_FAULT, EXIT_USAGE, Verdict, exit_status

SAFE, CLEAN, BROKEN, BOUNDED, UNKNOWN = Verdict


@pytest.mark.parametrize(
    ("verdict", "status"), [(SAFE, 0), (CLEAN, 0), (BROKEN, 1), (BOUNDED, 3), (UNKNOWN, 3)]
)
def test_without_an_expectation_only_safe_and_clean_succeed(verdict: Verdict, status: int) -> None:
    assert exit_status(verdict) == status


@pytest.mark.parametrize("verdict", Verdict)
def test_the_expected_verdict_succeeds_whatever_it_is(verdict: Verdict) -> None:
    assert exit_status(verdict, expected=verdict) == 0


@pytest.mark.parametrize("expected", Verdict)
def test_another_decided_verdict_fails_and_an_undecided_one_says_so(expected: Verdict) -> None:
    for verdict in set(Verdict) - {expected}:
        undecided = verdict in (BOUNDED, UNKNOWN)
        assert exit_status(verdict, expected=expected) == (3 if undecided else 1)


def test_the_statuses_for_wrong_usage_and_own_faults_are_no_verdicts() -> None:
    assert {EXIT_USAGE, EXIT_FAULT}.isdisjoint(exit_status(verdict) for verdict in Verdict)
