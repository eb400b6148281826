"""Histories from files of any kind: Parquet, CSV, JSON lines, packed or not, one or several.

What a file is, its first bytes say. Several files are one history; each has a clock of its own
unless its rows name theirs. A file that cannot be read to its end is read as far as it goes, and
`cut` says why: the rest may be judged, never as clean.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.errors import HistoryMalformed, UsageError
from engine.histories.columns import History
from engine.histories.folder import recorded_in
from engine.histories.foreign import Part, present, translated
from engine.histories.layout import SCHEMA
from engine.histories.mapping import COLUMNS, Mapping
from engine.histories.reading_csv import csv_header, csv_parts
from engine.histories.reading_lines import line_parts
from engine.histories.reading_merge import FileRows, is_complete, merged, with_one_clock
from engine.histories.reading_parquet import MAGIC, open_parquet, parquet_parts
from engine.histories.reading_runs import Run, cannot_open, runs_in
from engine.histories.reading_source import Cut, NoHistory, OnRead, Source, line_of
from engine.histories.table import history_from_table

ROWS_MAX = 200_000_000
_WAY_OUT = "docs/check.md says what a history holds"


@dataclass(frozen=True, slots=True)
class Reading:
    """A history, and what was made of the files that it was read from.

    `columns` are ours that were found, `ignored` theirs that were not read. `cut` says why it is
    not whole; with any of it, the best that can be said is `unknown`. `skipped` says which
    files of a folder are none, and why. `own`: walletrace recorded it.
    """

    history: History
    files: tuple[str, ...]
    rows: int
    columns: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    own: bool = False


def read_files(
    paths: Sequence[Path],
    mapping: Mapping | None = None,
    *,
    clock_error_ns: int | None = None,
    on_read: OnRead = lambda done, total, name: None,
) -> Reading:
    """One history from files and folders of them; as `read_run`. UsageError for several runs."""
    runs = runs_in(paths)
    if len(runs) > 1:
        first, second = (run.files[0] for run in runs[:2])
        raise UsageError(
            f"{first} and {second} are different runs, no one history", "read one after the other"
        )
    return read_run(runs[0], mapping, clock_error_ns=clock_error_ns, on_read=on_read)


def read_run(
    run: Run,
    mapping: Mapping | None = None,
    *,
    clock_error_ns: int | None = None,
    on_read: OnRead = lambda done, total, name: None,
) -> Reading:
    """One history from the files of a run; those found in a folder that are none are skipped.

    `clock_error_ns`: by how much the clocks of several files may differ; intervals are widened by
    it, and all calls then stand on one clock. HistoryMalformed and HistoryIncomplete if nothing
    can be read; UsageError where the mapping is of other files; NoHistory where a file that is
    none was named, or nothing else is there. `on_read` hears of progress; what it raises ends the
    reading.
    """
    mapping = mapping or Mapping()
    read, skipped = _read_all(run, mapping, on_read)
    table, decimals = merged(read, newest_first=mapping.file.order == "newest-first")
    if clock_error_ns is not None:
        table = with_one_clock(read, table, clock_error_ns)
    if not len(table):
        raise HistoryMalformed(f"{', '.join(map(str, run.files))}: no rows", _WAY_OUT)
    return Reading(
        history_from_table(table, decimals=decimals, complete=is_complete(read, table)),
        tuple(str(file.path) for file in read),
        len(table),
        tuple(name for name in COLUMNS if any(name in file.columns for file in read)),
        tuple(dict.fromkeys(chain.from_iterable(file.ignored for file in read))),
        tuple(file.cut for file in read if file.cut),
        skipped,
        all(file.own for file in read),
    )


def _read_all(
    run: Run, mapping: Mapping, on_read: OnRead
) -> tuple[list[FileRows], tuple[str, ...]]:
    """The rows of each file, and why those of others are not among them."""
    read: list[FileRows] = []
    strays: list[NoHistory] = []
    for path in run.files:
        try:
            read.append(_read_file(path, mapping, on_read))
        except NoHistory as error:
            if path in run.named:
                raise
            strays.append(error)
        except OSError as error:
            # Only what opens a file names it.
            if error.filename is not None:
                raise cannot_open(error) from error
            raise HistoryMalformed(f"{path} cannot be read ({error})", "copy it again") from error
    if not read:
        raise strays[0]
    return read, tuple(map(str, strays))


def _read_file(path: Path, mapping: Mapping, on_read: OnRead) -> FileRows:
    if path.is_dir():
        return _read_recorded(path)
    if not path.stat().st_size:
        raise HistoryMalformed(f"{path} is empty", _WAY_OUT)
    with path.open("rb") as file:
        parquet = file.read(len(MAGIC)) == MAGIC
    read = _read_parquet(path, mapping, on_read) if parquet else _read_text(path, mapping, on_read)
    if read.cut and not any(len(part.table) for part in read.parts):
        raise HistoryMalformed(read.cut, "nothing before that could be read")
    return read


def _read_recorded(folder: Path) -> FileRows:
    recorded = recorded_in(folder)
    table = pa.Table.from_batches(recorded.batches(), SCHEMA)
    return FileRows(
        folder,
        columns=tuple(table.column_names),
        parts=[Part(table, recorded.decimals)],
        complete=recorded.complete,
        own=True,
        clocks=recorded.clocks,
    )


def _read_parquet(path: Path, mapping: Mapping, on_read: OnRead) -> FileRows:
    rows = open_parquet(path)
    names = [*rows.names]
    if rows.decimals is None:
        read = FileRows(path, complete=mapping.file.complete)
        _name(read, names, mapping)
        parts = parquet_parts(rows, mapping.wanted(), on_read)
        return _through(read, parts, mapping, lambda row: f"row {row + 1}")
    read = FileRows(path, complete=rows.complete, own=True, clocks=rows.clocks)
    _name(read, names, Mapping())
    for part in parquet_parts(rows, COLUMNS, on_read):
        if isinstance(part, Cut):
            read.cut = part.reason
        else:
            read.parts.append(Part(part, rows.decimals))
    return read


def _read_text(path: Path, mapping: Mapping, on_read: OnRead) -> FileRows:
    read = FileRows(path, complete=mapping.file.complete)
    rules = mapping.file
    delimiter: str | None = None

    def place(row: int) -> str:
        return f"line {line_of(path, rules, row, delimiter)}"

    with Source(path, on_read, rules.encoding) as source:
        if not source.head:
            raise HistoryMalformed(f"{path}: {source.cut or 'it is empty'}", "export it again")
        names: list[str] = []
        if source.head.lstrip()[:1] in (b"{", b"["):
            lines = line_parts(source, mapping.wanted(), names)
            read = _through(read, lines, mapping, place)
            if names:
                _name(read, names, mapping)
            return read
        header = csv_header(source, rules)
        delimiter, names = header.delimiter, [*header.names]
        _name(read, names, mapping)
        parts = csv_parts(source, header, rules, mapping.wanted())
        return _through(read, parts, mapping, place)


def _name(read: FileRows, names: list[str], mapping: Mapping) -> None:
    """Note which columns there are. UsageError if one is missing that is needed.

    NoHistory if there is none that could be read: any other file may be one of a wrong mapping.
    """
    there = {*names, *(name.partition(".")[0] for name in names)}

    def has(name: str) -> bool:
        return name in there or name.partition(".")[0] in there

    kind = UsageError if any(map(has, mapping.wanted())) else NoHistory
    needed = (*mapping.columns.values(), *mapping.only)
    missing = next((name for name in needed if not has(name)), None)
    if missing is not None:
        raise kind(
            f"{read.path} has no column {missing!r}, which the mapping names",
            f"its columns are {', '.join(names)}",
        )
    read.columns = present(names, mapping)
    if "account" not in read.columns:
        raise kind(
            f"{read.path}: no column {mapping.theirs('account')!r} names the account",
            f"map one of {', '.join(names)}, or a constant; see docs/check.md",
        )
    used = {part for name in mapping.wanted() for part in (name, name.partition(".")[0])}
    read.ignored = tuple(name for name in names if name not in used)


def _through(
    read: FileRows,
    parts: Iterator[Any],
    mapping: Mapping,
    place: Callable[[int], str],
) -> FileRows:
    """Their parts as ours, up to the first row that cannot be read, which `place` finds."""
    rows = 0
    for part in parts:
        if isinstance(part, Cut):
            read.cut = part.reason
            break
        try:
            ours = translated(part, mapping)
        except HistoryMalformed as error:
            raise HistoryMalformed(f"{read.path}: {error}") from error
        read.parts.append(ours)
        if ours.fault:
            read.cut = f"{read.path.name} {place(rows + ours.at)}: {ours.fault}"
            break
        rows += len(part)
        if rows > ROWS_MAX:
            read.cut = f"{read.path.name} has more than {ROWS_MAX:,} rows"
            break
    return read
