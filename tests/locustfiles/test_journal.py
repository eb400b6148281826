"""What Locust's processes record of their calls, as the judge reads it afterwards."""

import json

import pytest

from engine.checks import judge
from engine.histories.columns import FOREVER, MISSING
from engine.histories.folder import recorded_in
from engine.histories.reading import read_files
from engine.history import LogRow
from engine.recording import BOOKS, Ended, Kind
from engine.verdicts import Verdict
from locustfiles.answers import Answer
from locustfiles.journal import Journal, write_books
from locustfiles.requests import Request

WITHDRAW = Request("withdraw", "/wallets/u/withdraw", {"amount": "5.00"}, {"u": -500}, {"u": 500})
ASK = Request("balance", "/wallets/u", None, {}, {}, "u")
OPENED = LogRow("s-1", "u", "open", 1000, 0, 1000, 1, "", 0)


def receipt(before, after, version):
    entry = {"account": "u", "before": before, "after": after, "version": version}
    return json.dumps({"operation_id": "s-2", "entries": [entry]}).encode()


def record(folder, *answers):
    """One call after the other of one user; a None answer never comes."""
    journal = Journal(str(folder), "run-0")
    for request, answer in answers:
        with journal.call("user 0-1", request) as noted:
            if answer is not None:
                noted.returned()
                noted.end(*answer)
    journal.close()


def test_a_receipt_a_refusal_and_a_balance_are_recorded_with_what_was_seen(tmp_path):
    seen = {
        "code": "insufficient_funds",
        "seen": [{"account": "u", "balance": "1.00", "version": 7}],
    }
    record(
        tmp_path,
        (WITHDRAW, (Answer.OK, "", receipt("10.00", "5.00", 2))),
        (WITHDRAW, (Answer.REFUSED, "insufficient_funds", json.dumps(seen).encode())),
        (ASK, (Answer.OK, "", b'{"account": "u", "balance": "1.00", "version": 7}')),
    )
    history = recorded_in(tmp_path).history()
    assert history.kind.tolist() == [Kind.WITHDRAW, Kind.WITHDRAW, Kind.BALANCE]
    assert history.ended.tolist() == [Ended.OK, Ended.REFUSED, Ended.OK]
    assert history.before.tolist() == [1000, 100, 100]
    assert history.after.tolist() == [500, 100, 100]
    assert history.version.tolist() == [2, 7, 7]
    assert (history.amount.tolist(), history.need.tolist()) == ([-500, -500, 0], [500, 500, 0])
    assert (history.completed >= history.invoked).all()


@pytest.mark.parametrize("answer", [None, (Answer.UNKNOWN, "http_500", b"oops")])
def test_a_call_that_nobody_answered_is_unknown_for_ever(tmp_path, answer):
    record(tmp_path, (WITHDRAW, answer))
    history = recorded_in(tmp_path).history()
    assert history.ended.tolist() == [Ended.UNKNOWN]
    assert history.completed.tolist() == [FOREVER]
    assert history.after.tolist() == [MISSING]


def test_a_user_that_is_stopped_in_the_middle_leaves_its_call_unknown(tmp_path):
    journal = Journal(str(tmp_path), "run-0")
    with pytest.raises(KeyboardInterrupt), journal.call("user 0-1", WITHDRAW):
        raise KeyboardInterrupt
    journal.close()
    assert recorded_in(tmp_path).history().ended.tolist() == [Ended.UNKNOWN]


def test_the_reference_travels_as_the_description_and_finds_the_call_in_the_log(tmp_path):
    journal = Journal(str(tmp_path), "run-0")
    with journal.call("user 0-1", WITHDRAW) as noted:
        reference = noted.body["description"]
    journal.close()
    landed = LogRow("s-2", "u", "withdraw", -500, 1000, 500, 2, reference, 0)
    write_books(str(tmp_path), {"u": (500, 2)}, [OPENED, landed])
    history = recorded_in(tmp_path).history()
    assert history.complete
    assert history.operations[history.operation[0]] == reference
    assert judge(history).verdict is Verdict.CLEAN


def test_books_that_are_cut_off_are_no_final_phase(tmp_path):
    record(tmp_path, (WITHDRAW, (Answer.OK, "", receipt("10.00", "5.00", 2))))
    landed = LogRow("s-2", "u", "withdraw", -500, 1000, 500, 2, "run-0-1", 0)
    write_books(str(tmp_path), {"u": (500, 2)}, [OPENED, landed])
    assert judge(recorded_in(tmp_path).history()).verdict is Verdict.CLEAN
    books = tmp_path / BOOKS
    books.write_bytes(books.read_bytes()[:-5])
    assert judge(recorded_in(tmp_path).history()).verdict is Verdict.UNKNOWN


def test_the_folder_of_a_run_is_read_like_a_file(tmp_path):
    record(tmp_path, (WITHDRAW, (Answer.OK, "", receipt("10.00", "5.00", 2))))
    landed = LogRow("s-2", "u", "withdraw", -500, 1000, 500, 2, "run-0-1", 0)
    write_books(str(tmp_path), {"u": (500, 2)}, [OPENED, landed])
    reading = read_files([tmp_path])
    assert (reading.history.calls, reading.history.complete, reading.cut) == (1, True, ())
    assert judge(reading.history).verdict is Verdict.CLEAN


def test_without_a_folder_nothing_is_kept_and_no_description_sent():
    journal = Journal()
    with journal.call("user 0-1", WITHDRAW) as noted:
        assert noted.body == WITHDRAW.body
        noted.end(Answer.OK, "", receipt("10.00", "5.00", 2))
    journal.close()
