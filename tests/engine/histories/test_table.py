"""A long table becomes the history that it says, and what it cannot say is refused by row."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import HistoryMalformed
from engine.histories.columns import FOREVER, MISSING, History
from engine.histories.table import NUMBER_MAX, history_from_table
from engine.recording import Ended, Kind, Step


def history(*rows: dict) -> History:
    names = dict.fromkeys(name for row in rows for name in row)
    return history_from_table(
        pa.table({name: [row.get(name) for row in rows] for name in names}), complete=True
    )


def test_calls_stand_in_order_of_invocation_with_their_names() -> None:
    late = {"operation": "b", "client": "B", "account": "u", "kind": "add", "amount": 3}
    early = {"operation": "a", "client": "A", "account": "v", "kind": "withdraw", "amount": -5}
    found = history(
        {**late, "invoked": 7, "completed": 9, "outcome": "refused", "code": "no"},
        {**early, "invoked": 1, "completed": 8},
    )
    assert [found.operations[place] for place in found.operation] == ["a", "b"]
    assert [found.clients[place] for place in found.client] == ["A", "B"]
    assert [found.accounts[place] for place in found.account] == ["v", "u"]
    assert [found.codes[place] for place in found.code] == ["", "no"]
    assert found.kind.tolist() == [Kind.WITHDRAW, Kind.ADD]
    assert found.ended.tolist() == [Ended.OK, Ended.REFUSED]
    assert found.need.tolist() == [5, 0]


def test_rows_of_one_operation_are_one_call_wherever_they_stand() -> None:
    one = {"operation": "t", "kind": "transfer", "account": "u", "amount": -5}
    other = {"operation": "t", "kind": "transfer", "account": "v", "amount": 5}
    between = {"operation": "x", "account": "u", "invoked": 2, "completed": 3}
    found = history(
        {**one, "invoked": 4, "completed": 6}, between, {**other, "invoked": 3, "completed": 9}
    )
    assert found.first.tolist() == [0, 1, 3]
    assert found.amount.tolist()[1:] == [-5, 5]
    # The hull: an interval may be widened, never narrowed.
    assert (found.invoked[1], found.completed[1]) == (3, 9)


def test_a_row_without_an_operation_is_one_named_by_its_row() -> None:
    found = history({"account": "u", "invoked": 5}, {"account": "u", "invoked": 1})
    assert [found.operations[place] for place in found.operation] == ["row 2", "row 1"]
    assert found.operations[-2:] == ["row 1", "row 2"]
    assert list(found.operations) == ["row 1", "row 2"]


def test_a_call_that_was_not_answered_never_ends_whatever_stands_beside_it() -> None:
    found = history(
        {"account": "u", "invoked": 1, "completed": None},
        {"account": "u", "invoked": 2, "completed": 5, "outcome": "unknown"},
    )
    assert found.completed.tolist() == [FOREVER, FOREVER]


@pytest.mark.parametrize("missing", ["amount", "before", "after"])
def test_of_a_success_the_third_follows_from_two(missing: str) -> None:
    known = {"amount": -5, "before": 8, "after": 3}
    del known[missing]
    found = history({"account": "u", "invoked": 1, "completed": 2, **known})
    assert (found.amount[0], found.before[0], found.after[0]) == (-5, 8, 3)


def test_of_a_refusal_nothing_follows() -> None:
    found = history({"account": "u", "invoked": 1, "outcome": "refused", "before": 1, "amount": -5})
    assert found.after.tolist() == [MISSING]


def test_openings_balances_and_log_stand_by_account_and_row() -> None:
    logged = {"record": "log", "operation": "a", "kind": "add", "amount": 3, "before": 5}
    found = history(
        {"record": "opening", "account": "u", "after": 5, "version": 1},
        {"record": "call", "operation": "a", "account": "v", "invoked": 1},
        {**logged, "account": "u", "after": 8, "version": 2},
        {"record": "balance", "account": "u", "after": 8, "version": 2},
    )
    u, v = found.accounts.index("u"), found.accounts.index("v")
    assert (found.openings[u], found.opening_versions[u]) == (5, 1)
    assert (found.finals[u], found.final_versions[u]) == (8, 2)
    assert found.openings[v] == found.finals[v] == MISSING
    assert found.log is not None
    assert (found.operations[found.log.operation[0]], found.log.after.tolist()) == ("a", [8])


def test_without_times_a_table_is_an_operation_log() -> None:
    found = history({"operation": "a", "account": "u", "amount": 3, "before": 0, "after": 3})
    assert (found.calls, len(found.log or ())) == (0, 1)


def test_steps_belong_to_their_calls_and_others_are_left_out() -> None:
    step = {"record": "event", "kind": "lock_asked", "account": "lock", "invoked": 6}
    found = history(
        {"record": "call", "operation": "b", "account": "u", "invoked": 5},
        {"record": "call", "operation": "a", "account": "u", "invoked": 1},
        {**step, "operation": "b"},
        {**step, "operation": "of another file"},
    )
    assert found.events is not None
    assert found.events.call.tolist() == [1]
    assert found.events.step.tolist() == [Step.LOCK_ASKED]
    assert found.events.names[found.events.name[0]] == "lock"
    assert found.accounts == ("u",)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"kind": "wihtdraw"}, "row 2: no kind 'wihtdraw'; known: balance, check, withdraw"),
        ({"outcome": "okay"}, "row 2: no outcome 'okay'; known: ok, refused, unknown"),
        ({"record": "cal"}, "row 2: no record 'cal'; known: opening, call"),
        ({"amount": NUMBER_MAX + 1}, f"row 2: amount {NUMBER_MAX + 1} is out of bounds"),
        ({"invoked": -NUMBER_MAX - 1}, f"row 2: invoked -{NUMBER_MAX + 1} is out of bounds"),
    ],
)
def test_what_cannot_be_is_named_with_its_row(row: dict, told: str) -> None:
    with pytest.raises(HistoryMalformed) as error:
        history({"account": "u", "invoked": 1}, {"account": "u", "invoked": 1, **row})
    assert str(error.value).startswith(told)


@given(
    operations=st.lists(st.sampled_from("abcde"), max_size=12),
    chunks=st.integers(1, 4),
    encoded=st.booleans(),
)
def test_how_the_table_is_cut_and_encoded_changes_nothing(operations, chunks, encoded) -> None:
    count = len(operations)
    column = pa.array(operations, pa.string())
    rows = {
        "operation": column.dictionary_encode() if encoded else column,
        "account": pa.array([f"account {place % 3}" for place in range(count)], pa.string()),
        "invoked": pa.array(range(count), pa.int64()),
    }
    whole = pa.table(rows)
    parts = [pa.table({n: c[k::chunks] for n, c in rows.items()}) for k in range(chunks)]
    cut = pa.concat_tables(parts).sort_by("invoked")
    one, other = history_from_table(whole), history_from_table(cut)
    assert one.calls == len(set(operations))
    for found in (one, other):
        names = [
            found.operations[place] for place in np.repeat(found.operation, np.diff(found.first))
        ]
        assert sorted(names) == sorted(operations)
    assert one.first.tolist() == other.first.tolist()
    assert one.invoked.tolist() == other.invoked.tolist()
