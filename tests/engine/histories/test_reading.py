"""Files of every kind as one history: money, times, words, and several files together."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import HistoryMalformed
from engine.histories.columns import FOREVER, MISSING
from engine.histories.mapping import Mapping, parse_mapping
from engine.histories.reading import read_files
from engine.recording import Ended, Kind
from tests.engine.histories.reading_files import RACE, read, rows

RACED = [
    ("w1", "u", Kind.WITHDRAW, Ended.OK, -50000, 100000, 50000),
    ("a1", "u", Kind.ADD, Ended.OK, 30000, 100000, 130000),
]


def test_a_csv_with_our_names_needs_no_mapping(tmp_path: Path) -> None:
    reading = read(tmp_path, RACE)
    assert rows(reading.history) == RACED
    assert reading.history.decimals == 2
    assert reading.history.complete
    assert reading.cut == reading.ignored == ()


def test_csv_json_lines_and_parquet_packed_or_not_are_the_same_history(tmp_path: Path) -> None:
    frame = pd.read_csv(tmp_path / read(tmp_path, RACE).files[0], dtype=str)
    lines = "".join(json.dumps(row) + "\n" for row in frame.to_dict("records"))
    (tmp_path / "log.jsonl").write_text(lines)
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(RACE.encode()))
    (tmp_path / "log.tsv").write_text(RACE.replace(",", "\t"))
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "log.parquet")
    for name in ("log.jsonl", "log.csv.gz", "log.tsv", "log.parquet"):
        assert rows(read_files([tmp_path / name]).history) == RACED, name


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "utf-8-sig"])
def test_other_encodings_are_read_where_the_mapping_names_them(
    tmp_path: Path, encoding: str
) -> None:
    text = "account,amount\nJosé,1\n".encode(encoding)
    history = read(tmp_path, text, f"[file]\nencoding = '{encoding}'").history
    assert history.accounts[-1] == "José"


def test_json_numbers_never_become_floats(tmp_path: Path) -> None:
    line = (
        '{"account": "u", "amount": 0.1, "before": 90071992547409.93, "version": 9007199254740993}'
    )
    history = read(tmp_path, line + "\n").history
    assert history.log is not None
    assert history.log.amount.tolist() == [10]
    assert history.log.before.tolist() == [9007199254740993]
    assert history.log.version.tolist() == [9007199254740993]


def test_parquet_decimals_keep_theirs_and_floats_are_refused(tmp_path: Path) -> None:
    exact = pa.table({"account": ["u"], "amount": pa.array(["1.50"]).cast(pa.decimal128(9, 4))})
    pq.write_table(exact, tmp_path / "exact.parquet")
    history = read_files([tmp_path / "exact.parquet"]).history
    assert history.log is not None
    assert (history.log.amount.tolist(), history.decimals) == ([150], 2)
    pq.write_table(pa.table({"account": ["u"], "amount": [0.1]}), tmp_path / "float.parquet")
    with pytest.raises(HistoryMalformed, match=r"float\.parquet: column 'amount': .* round = 2"):
        read_files([tmp_path / "float.parquet"])
    rounded = read_files([tmp_path / "float.parquet"], parse_mapping("[money]\nround = 2"))
    assert rounded.history.log is not None
    assert rounded.history.log.amount.tolist() == [10]


def test_rows_of_one_operation_are_one_call(tmp_path: Path) -> None:
    text = """operation,account,kind,amount,before,after,invoked,completed
t1,alice,transfer,-5,10,5,0,9
t1,bob,transfer,5,0,5,0,9
"""
    history = read(tmp_path, text).history
    assert history.calls == 1
    assert history.first.tolist() == [0, 2]


def test_an_operation_whose_rows_name_several_kinds_is_a_change(tmp_path: Path) -> None:
    text = "operation,account,kind,amount,invoked\nt1,alice,withdraw,5,0\nt1,bob,add,5,0\n"
    assert read(tmp_path, text).history.kind.tolist() == [Kind.CHANGE]


def test_without_times_rows_are_an_operation_log_in_their_order(tmp_path: Path) -> None:
    history = read(tmp_path, "account,amount,before,after\nu,-5,9,4\nu,1,4,5\n").history
    assert history.calls == 0
    assert history.log is not None
    assert history.log.before.tolist() == [9, 4]
    newest_first = '[file]\norder = "newest-first"'
    turned = read(tmp_path, "account,amount,after\nu,1,5\nu,-5,4\n", newest_first).history
    assert turned.log is not None
    assert turned.log.after.tolist() == [4, 5]


def test_withdrawals_need_no_sign_and_a_check_asks_for_its_amount(tmp_path: Path) -> None:
    text = "account,kind,amount,invoked\nu,withdraw,5,0\nu,add,5,1\nu,check,7,2\n"
    history = read(tmp_path, text).history
    assert history.amount.tolist() == [-5, 5, 0]
    assert history.need.tolist() == [5, 0, 7]


def test_a_call_that_was_not_answered_is_unknown_and_the_history_incomplete(tmp_path: Path) -> None:
    text = "account,amount,invoked,completed,outcome\nu,5,0,,\nu,5,1,2,\n"
    history = read(tmp_path, text).history
    assert history.ended.tolist() == [Ended.UNKNOWN, Ended.OK]
    assert history.completed.tolist() == [FOREVER, 2]
    assert not history.complete
    assert read(tmp_path, text, "[file]\ncomplete = true").history.complete


def test_a_refusal_carries_its_code_and_leaves_what_it_found(tmp_path: Path) -> None:
    text = (
        "account,kind,amount,before,after,invoked,completed,outcome\n"
        "u,withdraw,5,3,,0,1,refused:insufficient_funds\n"
    )
    history = read(tmp_path, text).history
    assert history.ended.tolist() == [Ended.REFUSED]
    assert history.codes[history.code[0]] == "insufficient_funds"
    assert history.after.tolist() == [3]


def test_amounts_without_a_sign_get_that_of_their_word(tmp_path: Path) -> None:
    text = "account,amount,sign\nu,5,D\nu,7,C\n"
    history = read(tmp_path, text, '[signs]\nD = "-"\nC = "+"').history
    assert history.log is not None
    assert history.log.amount.tolist() == [-5, 7]
    with pytest.raises(HistoryMalformed, match=r"line 2: sign is 'D'; its sign is not known"):
        read(tmp_path, text, '[signs]\nX = "-"')


def test_what_was_taken_and_given_stands_for_an_amount_that_is_missing(tmp_path: Path) -> None:
    both = "account,debit,credit\nu,5,\nu,-5,\nu,,7\nu,,\n"
    log = read(tmp_path, both).history.log
    assert log is not None
    assert log.amount.tolist() == [-5, -5, 7, MISSING]
    log = read(tmp_path, "account,amount,debit\nu,5,true\n").history.log
    assert log is not None
    assert log.amount.tolist() == [5]


def test_several_files_are_one_history_with_a_clock_each(tmp_path: Path) -> None:
    text = "account,amount,invoked,completed\nu,5.5,10,20\n"
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "b.jsonl").write_text(
        '{"account": "u", "amount": "1.125", "invoked": 30, "completed": 40}\n'
    )
    (tmp_path / "notes.txt").write_text("not read")
    both = read_files([tmp_path]).history
    assert both.amount.tolist() == [5500, 1125]
    assert len(set(both.clock.tolist())) == 2
    assert [*both.operations] == ["a.csv row 1", "b.jsonl row 1"]
    one = read_files([tmp_path], clock_error_ns=3).history
    assert len(set(one.clock.tolist())) == 1
    assert list(zip(one.invoked.tolist(), one.completed.tolist(), strict=True)) == [
        (7, 23),
        (27, 43),
    ]


def test_other_lines_of_an_application_log_are_not_read(tmp_path: Path) -> None:
    text = '{"event": "up"}\n{"event": "call", "who": {"id": "u"}, "amount": 1}\n'
    mapping = '[only]\nevent = "call"\n[columns]\naccount = "who.id"'
    reading = read(tmp_path, text, mapping)
    assert reading.rows == 1
    assert reading.history.accounts[-1] == "u"
    with pytest.raises(HistoryMalformed, match="no rows"):
        read(tmp_path, text, mapping.replace("call", "shout"))


def test_what_is_raised_while_reading_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(RACE)

    def stop(done: int, total: int, name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_files([path], Mapping(), on_read=stop)


def test_balances_that_one_row_lacks_follow_from_the_others(tmp_path: Path) -> None:
    history = read(tmp_path, "account,amount,after\nu,5,9\nu,,4\n").history
    assert history.log is not None
    assert history.log.before.tolist() == [4, MISSING]
