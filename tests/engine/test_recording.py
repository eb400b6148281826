"""A recording keeps what it was told, whatever happens to the disk, the process or the names."""

import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time_ns

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import HistoryIncomplete, UsageError
from engine.histories.spilt import Spilt
from engine.recording import (
    MISSING,
    SPILL_CALLS,
    Ended,
    Kind,
    Recording,
    Step,
    this_clock,
)

ONE = (("alice", -500, 500, 1000, 500, 2),)
TWO = (*ONE, ("bob", 500, 0, 0, 500, 7))


def note(recording: Recording, operation: str, **options) -> None:
    recording.call(operation, "client 1", Kind.WITHDRAW, Ended.OK, 10, 20, ONE, **options)


def rows(path: Path) -> tuple[list[dict], Spilt]:
    """What can be read of a recording: the rows that are known, without nulls."""
    spilt = Spilt(path)
    found = [row for batch in spilt.batches() for row in batch.to_pylist()]
    return [{name: value for name, value in row.items() if value is not None} for row in found], (
        spilt
    )


def test_a_call_comes_back_as_a_row_for_each_account(tmp_path: Path) -> None:
    path = tmp_path / "a.spill"
    with Recording(path, clock="mine") as recording:
        recording.call(
            "op-1", "client 1", Kind.TRANSFER, Ended.REFUSED, 10, 20, TWO, "conflict", key="k"
        )
    same = {
        "record": "call",
        "operation": "op-1",
        "client": "client 1",
        "kind": "transfer",
        "key": "k",
        "invoked": 10,
        "completed": 20,
        "outcome": "refused",
        "code": "conflict",
        "clock": "mine",
    }
    alice = {"account": "alice", "amount": -500, "need": 500, "before": 1000, "after": 500}
    bob = {"account": "bob", "amount": 500, "need": 0, "before": 0, "after": 500}
    found, spilt = rows(path)
    assert found == [same | alice | {"version": 2}, same | bob | {"version": 7}]
    assert spilt.closed


def test_what_was_not_recorded_is_null_and_an_unknown_call_was_never_completed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.spill"
    with Recording(path, clock="mine") as recording:
        recording.call(
            "", "", Kind.ADD, Ended.UNKNOWN, 10, 20, (("alice", 5, 0, MISSING, MISSING, MISSING),)
        )
    told = {"kind": "add", "account": "alice", "amount": 5, "need": 0, "outcome": "unknown"}
    assert rows(path)[0] == [{"record": "call", "invoked": 10, "clock": "mine", **told}]
    assert MISSING not in rows(path)[0][0].values()


def test_steps_name_their_call_and_what_they_were_done_to(tmp_path: Path) -> None:
    path = tmp_path / "a.spill"
    with Recording(path, clock="mine") as recording:
        note(recording, "op-1")
        note(recording, "op-2", steps=[(Step.LOCK_ASKED, "user:alice", 11)])
    found, _ = rows(path)
    step = {"record": "event", "operation": "op-2", "kind": "lock_asked", "account": "user:alice"}
    assert found[2:] == [{**step, "invoked": 11, "clock": "mine"}]


def test_a_run_longer_than_memory_is_spilt_while_it_runs(tmp_path: Path) -> None:
    path = tmp_path / "a.spill"
    with Recording(path) as recording:
        for number in range(SPILL_CALLS + 1):
            note(recording, f"op-{number}", key=f"key-{number}" if number % 2 else None)
        spilt, unclosed = rows(path)
    assert [row["operation"] for row in spilt] == [f"op-{n}" for n in range(SPILL_CALLS)]
    assert [row.get("key") for row in spilt[:3]] == [None, "key-1", None]
    assert not unclosed.closed
    whole, closed = rows(path)
    assert len(whole) == SPILL_CALLS + 1
    assert closed.closed


@given(cut=st.integers(0, 10**6), texts=st.lists(st.text(max_size=5), min_size=1, max_size=6))
def test_of_a_file_that_was_cut_off_whole_frames_are_read(tmp_path_factory, cut, texts) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.spill"
    with Recording(path) as recording:
        for text in texts:
            recording.call(text, text, Kind.BATCH, Ended.OK, 1, 2, TWO, text, text)
            recording.spill()
    whole, _ = rows(path)
    content = path.read_bytes()
    path.write_bytes(content[: cut % len(content)])
    some, spilt = rows(path)
    assert some == whole[: len(some)]
    assert not spilt.closed
    assert len(whole) == 2 * len(texts)


def test_a_full_disk_ends_the_recording_and_not_the_run() -> None:
    with Recording(Path("/dev/full")) as recording:
        for number in range(2 * SPILL_CALLS):
            note(recording, f"op-{number}")
    assert recording.trouble == "recording stopped (/dev/full: No space left on device)"


@pytest.fixture
def room_for_bytes() -> Iterator[Callable[[int], None]]:
    """Limits how long the files of this process may get, as a disk does that fills up."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda most: resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_keeps_what_was_spilt_before(tmp_path: Path, room_for_bytes) -> None:
    path = tmp_path / "a.spill"
    with Recording(path) as recording:
        note(recording, "op-1")
        recording.spill()
        room_for_bytes(path.stat().st_size + 100)
        note(recording, "op-2")
        recording.spill()
        room_for_bytes(resource.RLIM_INFINITY)
        note(recording, "op-3")
    found, spilt = rows(path)
    assert [row["operation"] for row in found] == ["op-1"]
    assert not spilt.closed
    assert recording.trouble == f"recording stopped ({path}: File too large)"


def test_a_call_after_the_end_is_refused_and_not_lost_in_silence(tmp_path: Path) -> None:
    with Recording(tmp_path / "a.spill") as recording:
        note(recording, "op-1")
    with pytest.raises(HistoryIncomplete, match="lacks the call 'op-2'"):
        note(recording, "op-2")
    recording.close()


def test_a_place_that_cannot_be_written_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name a folder that can be written"):
        Recording(tmp_path / "nowhere" / "a.spill")


def test_processes_of_one_machine_share_a_clock(monkeypatch) -> None:
    ours = this_clock()
    assert ours == this_clock()
    monkeypatch.setattr("os.getpid", lambda: 1)
    assert this_clock() == ours
    monkeypatch.setattr(
        "engine.recording.Path.read_text", lambda *_: (_ for _ in ()).throw(OSError)
    )
    assert this_clock().endswith("process 1")


def test_recording_a_call_takes_microseconds_at_most(tmp_path: Path) -> None:
    calls = 2 * SPILL_CALLS
    took_ns = []
    for number in range(5):
        with Recording(tmp_path / f"{number}.spill") as recording:
            started_ns = process_time_ns()
            for call in range(calls):
                recording.one(
                    "0123456789abcdef-1",
                    "client 1",
                    Kind.ADD,
                    Ended.OK,
                    call,
                    call + 9,
                    "u",
                    -5,
                    5,
                    9,
                    4,
                    call,
                )
            took_ns.append((process_time_ns() - started_ns) / calls)
    # 400 to 500 ns on a slow core; the rest is room for busy ones.
    assert min(took_ns) < 2_500
