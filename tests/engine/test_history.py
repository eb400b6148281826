"""Receipts and records are plain values: equal where their content is, and frozen."""

import json
from dataclasses import FrozenInstanceError

import pytest

from engine.history import CallRecord, Entry, Outcome, Receipt
from engine.operations import Withdraw


def test_a_receipt_survives_json_so_that_a_retry_gets_the_very_same_one() -> None:
    receipt = Receipt("call-1", (Entry("a", 1000, 500, 2), Entry("b", 0, 500, 2)))
    call_id, entries = json.loads(json.dumps(receipt))
    assert Receipt(call_id, tuple(Entry(*entry) for entry in entries)) == receipt


def test_a_record_of_what_happened_cannot_be_rewritten() -> None:
    record = CallRecord("A", Withdraw("u", 1), 0, None, Outcome.UNKNOWN)
    with pytest.raises(FrozenInstanceError):
        record.completed_ns = 5  # type: ignore[misc]
