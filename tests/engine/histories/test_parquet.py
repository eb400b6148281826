"""What was recorded lies in one Parquet file that anybody can open, and comes back as it was."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import HistoryIncomplete, HistoryMalformed, UsageError
from engine.histories import parquet
from engine.histories.columns import MISSING, History
from engine.histories.parquet import Books, Recorded, read_history
from engine.history import LogRow
from engine.ports import Row
from engine.recording import Ended, Kind, Recording, Step

OPENINGS = {"alice": Row(1000, 1), "bob": Row(0, 1)}
LOG = [
    LogRow("op-1", "alice", "transfer", -500, 1000, 500, 2, "", 0),
    LogRow("op-1", "bob", "transfer", 500, 0, 500, 2, "", 0),
]
BOOKS = Books({"alice": Row(500, 2), "bob": Row(500, 2)}, LOG)
MOVED = (("alice", -500, 500, 1000, 500, 2), ("bob", 500, 0, 0, 500, 2))


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    """A transfer and a question, told by two recorders of one machine."""
    with Recording(tmp_path / "a.spill") as one, Recording(tmp_path / "b.spill") as other:
        steps = [(Step.COMMITTED, "", 15)]
        one.call("op-1", "A", Kind.TRANSFER, Ended.OK, 10, 20, MOVED, key="k", steps=steps)
        other.call("", "B", Kind.BALANCE, Ended.OK, 5, 9, (("bob", 0, 0, 0, 0, 1),))
    return Recorded([one.path, other.path], OPENINGS, BOOKS)


def columns(history: History) -> dict:
    """Everything in it, names put where their places stand."""
    found = {field.name: getattr(history, field.name) for field in fields(History)}
    for part in ("log", "events"):
        if found[part] is not None:
            found[part] = [getattr(found[part], name) for name in type(found[part]).__slots__]
    found["operations"] = list(found["operations"])
    return found


def same(one: History, other: History) -> bool:
    np.testing.assert_equal(columns(one), columns(other))
    return True


def test_several_recorders_make_one_history_in_order_of_invocation(recorded: Recorded) -> None:
    history = recorded.history()
    assert [history.clients[place] for place in history.client] == ["B", "A"]
    assert len(history.clocks) == 1
    assert history.complete
    assert history.log is not None
    assert [history.operations[place] for place in history.log.operation] == ["op-1", "op-1"]
    assert history.finals.tolist() == [500, 500]


def test_the_file_holds_the_very_same_history(recorded: Recorded, tmp_path: Path) -> None:
    recorded.write(tmp_path / "run.parquet")
    assert same(read_history(tmp_path / "run.parquet"), recorded.history())
    assert [path.name for path in tmp_path.glob("run*")] == ["run.parquet"]


def test_people_can_open_the_file_with_pandas(recorded: Recorded, tmp_path: Path) -> None:
    recorded.write(tmp_path / "run.parquet")
    table = pd.read_parquet(tmp_path / "run.parquet")
    calls = table[table.record == "call"]
    assert calls[["operation", "account", "amount", "after"]].iloc[0].tolist() == [
        *("op-1", "alice", -500, 500)
    ]
    assert table.record.value_counts().to_dict() == {
        **{"opening": 2, "call": 3, "log": 2, "balance": 2, "event": 1}
    }


@pytest.mark.parametrize("lost", ["books", "end"])
def test_without_its_end_a_history_is_not_complete(recorded: Recorded, lost: str, tmp_path) -> None:
    if lost == "books":
        recorded.books = None
    else:
        path = recorded.recordings[1]
        path.write_bytes(path.read_bytes()[:-1])
    recorded.write(tmp_path / "run.parquet")
    assert not recorded.history().complete
    assert not read_history(tmp_path / "run.parquet").complete


@given(cut=st.integers(4, 10**6))
def test_a_file_that_was_cut_off_is_incomplete(tmp_path_factory, cut: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "run.parquet"
    Recorded([], OPENINGS, BOOKS).write(path)
    content = path.read_bytes()
    path.write_bytes(content[: 4 + (cut - 4) % (len(content) - 4)])
    with pytest.raises(HistoryIncomplete, match="was cut off"):
        read_history(path)


def test_what_is_no_history_is_malformed(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("account,amount\n")
    with pytest.raises(HistoryMalformed, match="is no Parquet file"):
        read_history(tmp_path / "a.parquet")
    pd.DataFrame({"account": ["u"]}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(HistoryMalformed, match="somebody else's"):
        read_history(tmp_path / "b.parquet")
    with pytest.raises(HistoryMalformed, match="No such file"):
        read_history(tmp_path / "c.parquet")
    (tmp_path / "a.spill").write_text("something else altogether")
    with pytest.raises(HistoryMalformed, match="no frame begins at byte 0"):
        Recorded([tmp_path / "a.spill"]).history()


def test_a_place_that_cannot_be_written_leaves_nothing_behind(
    recorded: Recorded, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="cannot write the history"):
        recorded.write(tmp_path / "nowhere" / "run.parquet")
    (tmp_path / "run.parquet").mkdir()
    with pytest.raises(UsageError, match="name another file"):
        recorded.write(tmp_path / "run.parquet")
    assert not list(tmp_path.glob("*.part"))


def test_a_log_is_written_some_rows_at_a_time(recorded: Recorded, tmp_path, monkeypatch) -> None:
    whole = recorded.history()
    monkeypatch.setattr(parquet, "ROWS_AT_A_TIME", 1)
    recorded.write(tmp_path / "run.parquet")
    assert same(read_history(tmp_path / "run.parquet"), whole)
    assert pq.ParquetFile(tmp_path / "run.parquet").num_row_groups > 5


def test_clocks_of_two_machines_have_no_order_until_somebody_vouches_for_it(tmp_path: Path) -> None:
    for clock in ("here", "there"):
        with Recording(tmp_path / f"{clock}.spill", clock=clock) as recording:
            add = (("u", 1, 0, MISSING, MISSING, MISSING),)
            recording.call("", clock, Kind.ADD, Ended.OK, 10, 20, add)
            recording.call("", clock, Kind.ADD, Ended.UNKNOWN, 10, 20, add)
    recorded = Recorded(sorted(tmp_path.glob("*.spill")))
    apart = recorded.history()
    assert set(apart.clocks) == {"here", "there"}
    assert len(set(apart.clock.tolist())) == 2
    recorded.write(tmp_path / "run.parquet")
    for one in (
        recorded.history(clock_error_ns=1_000),
        read_history(tmp_path / "run.parquet", clock_error_ns=1_000),
    ):
        assert one.clocks == ("",)
        answered = one.completed[one.ended == Ended.OK] - one.invoked[one.ended == Ended.OK]
        # A wall clock that was set meanwhile may widen them further.
        assert (answered >= 10 + 2_000).all()
        assert (one.completed[one.ended == Ended.UNKNOWN] > 2**61).all()
        assert MISSING not in one.invoked


@given(
    ends=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=9),
    drift=st.integers(0, 1000),
    error_ns=st.integers(0, 1000),
)
def test_no_interval_is_ever_narrowed_by_moving_clocks(ends, drift: int, error_ns: int) -> None:
    table = parquet.pa.table(
        {
            "account": ["u"] * len(ends),
            "invoked": [start for start, _ in ends],
            "completed": [start + length for start, length in ends],
            "clock": ["mine"] * len(ends),
        }
    )
    moved = parquet.on_one_clock(table, {"mine": (5, 5 + drift)}, error_ns).to_pylist()
    for (start, length), row in zip(ends, moved, strict=True):
        assert row["invoked"] == start + 5 - error_ns
        assert row["completed"] == start + length + 5 + drift + error_ns


def test_a_clock_of_which_nothing_is_known_cannot_be_moved() -> None:
    table = parquet.pa.table({"invoked": [1], "completed": [2], "clock": ["theirs"]})
    with pytest.raises(UsageError, match="nothing is known of the clock 'theirs'"):
        parquet.on_one_clock(table, {}, 5)
    with pytest.raises(UsageError, match="a clock error of -1 ns"):
        parquet.on_one_clock(table, {}, -1)
