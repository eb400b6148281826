"""The rows of a CSV file as columns of text, part by part, as far as they can be read."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from engine.errors import HistoryMalformed
from engine.histories.mapping import File
from engine.histories.reading_source import Cut, NoHistory, Source, line_of

BLOCK_BYTES = 1 << 24
# What stands for nothing, as databases and pandas write it.
NULLS = ("", "NULL", "null", "None", "NaN", "nan", "\\N")
_DELIMITERS = ",;\t|"
_SHOWN_MAX = 60


@dataclass(frozen=True, slots=True)
class Header:
    """The names of a file's columns, and what stands between them."""

    names: tuple[str, ...]
    delimiter: str


def csv_header(source: Source, rules: File) -> Header:
    """The header of a CSV file. NoHistory where there is none, HistoryMalformed."""
    lines = source.head.decode(errors="ignore").splitlines()[rules.skip :]
    if not lines or not lines[0].strip():
        raise NoHistory(
            f"{source.path} has no header", "its first line names the columns; see docs/check.md"
        )
    delimiter = rules.delimiter or max(_DELIMITERS, key=lines[0].count)
    names = tuple(name.strip() for name in next(csv.reader(lines[:1], delimiter=delimiter)))
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise HistoryMalformed(f"{source.path} has several columns {twice[0]!r}", "rename one")
    return Header(names, delimiter)


def csv_parts(source: Source, header: Header, rules: File, wanted: Sequence[str]) -> Iterator[Any]:
    """Tables of the columns `wanted`, as texts; last, if not all could be read, a Cut."""
    columns = [name for name in header.names if name in wanted]
    return _ended(_split(source, header, rules, columns), source)


def _split(source: Source, header: Header, rules: File, columns: Sequence[str]) -> Iterator[Any]:
    """Texts, up to the first row that has too many or too few."""
    wrong: list[Any] = []

    def note(row: Any) -> str:
        wrong.append(row)
        return "skip"

    read = pacsv.ReadOptions(
        use_threads=False,
        block_size=BLOCK_BYTES,
        column_names=list(header.names),
        skip_rows=rules.skip + 1,
    )
    parse = pacsv.ParseOptions(
        delimiter=header.delimiter, newlines_in_values=True, invalid_row_handler=note
    )
    convert = pacsv.ConvertOptions(
        column_types=dict.fromkeys(header.names, pa.string()),
        include_columns=columns,
        strings_can_be_null=True,
        null_values=NULLS,
    )
    rows = 0
    try:
        for batch in pacsv.open_csv(source, read, parse, convert):
            # Rows are numbered from 1, those skipped included.
            good = wrong[0].number - rules.skip - 2 if wrong else rows + len(batch)
            yield pa.Table.from_batches([batch.slice(0, good - rows)])
            rows += len(batch)
            if wrong:
                break
    except pa.ArrowInvalid as error:
        yield Cut(f"{source.path.name} cannot be read on after row {rows}: {_brief(str(error))}")
    if wrong:
        line = line_of(source.path, rules, wrong[0].number - rules.skip - 2, header.delimiter)
        end = source.cut or "if the file ends there, it was cut"
        yield Cut(
            f"{source.path.name} line {line}: {wrong[0].actual_columns} values instead of"
            f" {wrong[0].expected_columns} ({_brief(wrong[0].text)}); {end}"
        )


def _ended(parts: Iterator[Any], source: Source) -> Iterator[Any]:
    """Without the last row where its line was not ended: its last value may lack some digits."""
    held: Any = None
    for part in parts:
        if held is not None:
            yield held
        held = part
    if held is None or isinstance(held, Cut) or source.whole:
        if held is not None:
            yield held
        return
    yield held.slice(0, max(0, len(held) - 1))
    end = "if it is whole, end its last line with a line break"
    yield Cut(
        f"{source.path.name} ends in the middle of line {source.lines + 1}; {source.cut or end}"
    )


def _brief(text: str) -> str:
    line = text.splitlines()[0] if text else ""
    return line if len(line) <= _SHOWN_MAX else line[:_SHOWN_MAX] + "…"
