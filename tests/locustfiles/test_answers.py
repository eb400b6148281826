"""What an HTTP answer says about its call."""

import pytest

from locustfiles.answers import Answer, classify, problem_code


@pytest.mark.parametrize("code", ["insufficient_funds", "balance_too_large", "key_reused"])
def test_a_business_error_is_a_refusal(code):
    assert classify(409, code) is Answer.REFUSED


@pytest.mark.parametrize(
    "code", ["store_busy", "conflict", "lock_timeout", "fence_lost", "store_full"]
)
def test_a_fault_that_changed_nothing_is_a_failure_with_a_known_outcome(code):
    assert classify(503, code) is Answer.FAILED


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (0, ""),
        (408, ""),
        (500, ""),
        (500, "internal"),
        (502, ""),
        (503, ""),
        (503, "store_unavailable"),
        (504, "timeout"),
    ],
)
def test_an_answer_that_promises_nothing_leaves_the_outcome_unknown(status, code):
    assert classify(status, code) is Answer.UNKNOWN


def test_a_client_error_without_a_code_is_no_refusal_by_the_wallet():
    assert classify(404, "") is Answer.FAILED


@pytest.mark.parametrize("body", [None, b"", b"<html>", b"[1]", b'"text"', b"\xff", b"{}"])
def test_a_body_that_is_no_problem_has_no_code(body):
    assert problem_code(body) == ""


def test_the_code_of_a_problem_is_read():
    assert problem_code(b'{"code": "insufficient_funds", "status": 409}') == "insufficient_funds"
