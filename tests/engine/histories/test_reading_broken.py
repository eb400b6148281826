"""Files that cannot be read, or not to their end: what is said of them, and what is kept."""

import contextlib
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import HistoryIncomplete, HistoryMalformed, UsageError
from engine.histories.reading import read_files
from tests.engine.histories.reading_files import RACE, read, rows


@pytest.mark.parametrize(
    ("text", "mapping", "told"),
    [
        ("", "", "is empty"),
        ("account\n", "", "no rows"),
        ("account,amount,amount\nu,1,2\n", "", "has several columns 'amount'"),
        ("account,amount\nu,x\n", "", "line 2: amount is 'x'; write it like 12.50"),
        ("account,amount\n,5\n", "", "line 2: account is nothing; every row needs an account"),
        ("account,kind\nu,foo\n", "", "line 2: kind is 'foo'; known: balance, check"),
        ("account,outcome\nu,fine\n", "", "line 2: outcome is 'fine'; known: ok, refused"),
        ("account,invoked,completed\nu,9,3\n", "", "completed is '3'; that is before it was"),
        ("account,version\nu,1.5\n", "", "version is '1.5'; a whole number is expected"),
        ("account\nu\n".encode("utf-16"), "", "line 1 is no utf-8 text; set encoding under [file]"),
        (b"account\nu\xff\n", "", "line 2 is no utf-8 text; set encoding under [file]"),
        ('[{"account": "u"}]', "", "is one JSON array; write one object a line"),
        ("{broken\n", "", "line 1: no JSON"),
        ("{}\n", "", "line 1: account is nothing; every row needs an account"),
        (gzip.compress(RACE.encode(), mtime=0)[:20], "", "its gzip stream ends early"),
    ],
)
def test_what_cannot_be_read_is_told_with_the_way_out(
    tmp_path: Path, text: str | bytes, mapping: str, told: str
) -> None:
    with pytest.raises((HistoryMalformed, HistoryIncomplete)) as error:
        read(tmp_path, text, mapping)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("text", "mapping", "told"),
    [
        ("\n", "", "has no header"),
        ("amount\n5\n", "", "no column 'account' names the account; map one of amount"),
        ("account\nu\n", "[columns]\namount = 'Sum'", "no column 'Sum', which the mapping names"),
        ("account\nu\n", "[file]\nencoding = 'klingon'", "unknown encoding: klingon"),
        ("account,amount\nu,1\n", "[signs]\nD = '-'", "[signs] needs a column"),
        ('{"amount": 1}\n', "", "no column 'account' names the account"),
    ],
)
def test_a_mapping_that_is_not_of_the_file_is_wrong_usage(
    tmp_path: Path, text: str, mapping: str, told: str
) -> None:
    with pytest.raises(UsageError) as error:
        read(tmp_path, text, mapping)
    assert told in str(error.value)


def test_paths_without_histories_are_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.csv is no file"):
        read_files([tmp_path / "nothing.csv"])
    with pytest.raises(UsageError, match=r"is a folder without histories; known: \.parquet"):
        read_files([tmp_path])


@pytest.mark.parametrize(
    ("text", "told", "kept"),
    [
        (RACE + "a2,B,add,u,300.00,10", "line 4: 6 values instead of 11", ["w1", "a1"]),
        (RACE[:-1], "ends in the middle of line 3; if it is whole", ["w1"]),
        (RACE + "a2,B,add,u,3oo,1,1,1,1,1,ok\na3", "line 4: amount is '3oo'", ["w1", "a1"]),
        (RACE + 'a2,"B,add,u,1,1,1,1,1,1,ok\n', "line 4: 2 values instead of 11", ["w1", "a1"]),
    ],
)
def test_a_csv_is_read_up_to_where_it_breaks(
    tmp_path: Path, text: str, told: str, kept: list[str]
) -> None:
    reading = read(tmp_path, text)
    assert told in reading.cut[0]
    assert [row[0] for row in rows(reading.history)] == kept
    assert not reading.history.complete


def test_lines_are_counted_with_values_that_span_several(tmp_path: Path) -> None:
    text = 'note,account,amount\n"two\nlines",u,1\n\nlast,u,x\n'
    assert "line 5: amount is 'x'" in read(tmp_path, text).cut[0]


def test_a_quoted_value_that_never_ends_swallows_no_row_unseen(tmp_path: Path) -> None:
    reading = read(tmp_path, 'account,amount,note\nu,1,a\nu,2,"b\nu,3,c\n')
    assert reading.rows == 1
    assert "ends in the middle of line" in reading.cut[0]


def test_json_lines_are_read_up_to_where_they_break(tmp_path: Path) -> None:
    good = '{"account": "u", "amount": 1}\n'
    assert "log.csv line 4: no JSON" in read(tmp_path, good * 2 + "\n{oops\n" + good).cut[0]
    assert "the file was cut there" in read(tmp_path, good * 2 + good[:-9]).cut[0]
    assert "line 2: no object" in read(tmp_path, good + "7\n").cut[0]
    assert read(tmp_path, good + good[:-1]).cut == ()


def test_a_packed_file_is_read_up_to_where_it_was_cut(tmp_path: Path) -> None:
    many = RACE + "".join(f"x{n},A,add,u,1,{n},{n + 1},{n},1,2,ok\n" for n in range(5000))
    whole = gzip.compress(many.encode(), mtime=0)
    reading = read(tmp_path, whole[: len(whole) // 2])
    assert "its gzip stream ends early" in reading.cut[0]
    assert 1000 < reading.history.calls < 5000


def test_a_parquet_file_without_its_footer_is_incomplete(tmp_path: Path) -> None:
    pq.write_table(pa.table({"account": ["u"] * 99}), tmp_path / "log.parquet")
    whole = (tmp_path / "log.parquet").read_bytes()
    with pytest.raises(HistoryIncomplete, match="without its footer"):
        read(tmp_path, whole[:-5], name="log.parquet")


def test_every_beginning_of_a_file_is_read_or_told_to_be_cut(tmp_path: Path) -> None:
    lines = "".join(
        json.dumps({"account": "u", "amount": "1.50", "invoked": n, "completed": n + 1}) + "\n"
        for n in range(3)
    )
    for text in (RACE, lines, gzip.compress(RACE.encode(), mtime=0)):
        data = text if isinstance(text, bytes) else text.encode()
        whole = {end for end in range(len(data) + 1) if data[:end].endswith((b"\n", b"}"))}
        for end in range(len(data)):
            try:
                reading = read(tmp_path, data[:end])
            except (HistoryMalformed, HistoryIncomplete, UsageError):
                continue
            assert reading.cut or end in whole, (data[:end], end)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.integers(0, len(RACE)),
    less=st.integers(0, 9),
    more=st.binary(max_size=9) | st.sampled_from([b'"', b"\n", b",", b"9" * 30, b"{", b"\xff\xfe"]),
    lines=st.booleans(),
)
def test_whatever_is_in_a_file_is_read_or_told(
    tmp_path: Path, at: int, less: int, more: bytes, lines: bool
) -> None:
    data = RACE.encode()
    if lines:
        data = b'{"account": "u", "kind": "add", "amount": 1.5, "version": 2, "invoked": 7}\n' * 3
    with contextlib.suppress(HistoryMalformed, HistoryIncomplete, UsageError):
        read(tmp_path, data[:at] + more + data[at + less :])
