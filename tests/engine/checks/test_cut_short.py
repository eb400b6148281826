"""What is said of a history of which rows are missing: never clean, never broken without need."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.checks import judge
from engine.checks.cut_short import of_a_part
from engine.histories.by_hand import OneCall, OneEntry, OneRow, from_calls
from engine.histories.columns import MISSING, History
from engine.recording import Kind
from engine.verdicts import Verdict


def call(name: str, amount: int, before: int, version: int, *, at: int = 0) -> OneCall:
    kind = Kind.WITHDRAW if amount < 0 else Kind.ADD
    entry = OneEntry("u", amount, before, before + amount, version)
    return OneCall(name, name, kind, at, at + 10, entries=(entry,))


def partly(*calls: OneCall, log: list[OneRow] | None = None, complete: bool = False) -> History:
    return from_calls(calls, openings={}, log=log, complete=complete)


def test_what_looks_right_is_not_called_clean() -> None:
    history = partly(call("a", 5, 0, 2))
    assert of_a_part(history, judge(history)).verdict is Verdict.UNKNOWN


def test_a_lost_update_between_neighbouring_versions_stands() -> None:
    history = partly(call("a", -5, 9, 2), call("b", 3, 9, 3))
    judgement = of_a_part(history, judge(history))
    assert judgement.verdict is Verdict.BROKEN
    assert [violation.anomaly for violation in judgement.violations] == ["lost update"]


def test_a_write_that_is_missing_explains_a_gap_and_what_was_found_behind_it() -> None:
    history = partly(call("a", -5, 9, 2), call("b", 3, 9, 4), complete=True)
    assert judge(history).verdict is Verdict.BROKEN
    judgement = of_a_part(history, judge(history))
    assert judgement.verdict is Verdict.UNKNOWN
    assert "missing rows may explain what else looks wrong (1 in all)" in judgement.notes


def test_without_versions_a_missing_write_explains_every_balance() -> None:
    history = partly(call("a", -5, 9, MISSING), call("b", 3, 9, MISSING))
    assert judge(history).verdict is Verdict.BROKEN
    assert of_a_part(history, judge(history)).verdict is Verdict.UNKNOWN


def test_a_call_that_contradicts_itself_stands() -> None:
    entry = OneEntry("u", 5, 1, 7, MISSING)
    history = partly(OneCall("a", "a", Kind.ADD, 0, 10, entries=(entry,)))
    judgement = of_a_part(history, judge(history))
    assert [violation.anomaly for violation in judgement.violations] == ["arithmetic"]


def test_a_broken_link_in_the_rows_of_a_log_stands() -> None:
    rows = [OneRow("a", "u", Kind.WITHDRAW, -5, 9, 4), OneRow("b", "u", Kind.ADD, 3, 9, 12)]
    history = partly(log=rows)
    assert of_a_part(history, judge(history)).verdict is Verdict.BROKEN


@settings(max_examples=100)
@given(data=st.data(), versions=st.booleans())
def test_no_part_of_a_right_history_is_broken(data: st.DataObject, versions: bool) -> None:
    amounts = data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=8))
    held, calls = 0, []
    for place, amount in enumerate(amounts):
        # Each takes effect at 10 * place, somewhere inside of its interval.
        early, late = data.draw(st.tuples(st.integers(0, 30), st.integers(0, 30)))
        entry = OneEntry("u", amount, held, held + amount, place + 2 if versions else MISSING)
        at = 10 * place
        calls.append(OneCall(f"o{place}", "c", Kind.ADD, at - early, at + late, entries=(entry,)))
        held += amount
    whole = from_calls(calls, openings={"u": 0})
    assert judge(whole).verdict is Verdict.CLEAN
    kept = data.draw(st.lists(st.sampled_from(calls), unique=True, min_size=1))
    part = partly(*kept)
    assert of_a_part(part, judge(part)).verdict is Verdict.UNKNOWN
