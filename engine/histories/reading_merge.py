"""The rows of several files as one table, as `table.history_from_table` takes it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.histories.columns import MISSING
from engine.histories.foreign import Part
from engine.histories.foreign_values import rescaled
from engine.histories.mapping import TIMES

_MONEY = ("amount", "need", "before", "after")


@dataclass(slots=True)
class FileRows:
    """One file's rows in our columns.

    `columns` are ours that it has, `ignored` theirs that are not read; `cut` says why it was not
    read to its end. `complete`: see History; None where nobody says.
    """

    path: Path
    columns: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    parts: list[Part] = field(default_factory=list)
    cut: str = ""
    complete: bool | None = None


def merged(files: Sequence[FileRows], *, newest_first: bool) -> tuple[pa.Table, int]:
    """All rows, and the decimals of their money. Rows that newer ones come before are turned."""
    decimals = max((part.decimals for file in files for part in file.parts), default=0)
    several = len(files) > 1
    tables = []
    for file in files:
        table = _rows_of(file, decimals)
        if newest_first:
            table = table.take(pa.array(np.arange(len(table))[::-1]))
        tables.append(_told_apart(table, file.path.name) if several else table)
    return _one_kind_each(pa.concat_tables(tables, promote_options="permissive")), decimals


def is_complete(files: Sequence[FileRows], table: pa.Table) -> bool:
    """Whether nothing happened that is not in here: said so, or nothing is left that may have."""
    if any(file.cut or file.complete is False for file in files):
        return False
    if all(file.complete for file in files):
        return True
    return (
        "outcome" not in table.column_names
        or not pc.any(pc.equal(table["outcome"], "unknown")).as_py()
    )


def on_one_clock(table: pa.Table, error_ns: int) -> pa.Table:
    """Intervals that hold whichever clock is wrong by up to `error_ns`, all on one clock."""
    if "clock" in table.column_names:
        table = table.drop_columns(["clock"])
    for name, by in zip(TIMES, (-error_ns, error_ns), strict=True):
        if name in table.column_names:
            place = table.column_names.index(name)
            table = table.set_column(place, name, pc.add(table[name], by))
    return table


def _rows_of(file: FileRows, decimals: int) -> pa.Table:
    tables = []
    for part in file.parts:
        table = part.table
        for name in _MONEY:
            if part.decimals < decimals and name in table.column_names:
                held = pc.fill_null(table[name], MISSING).to_numpy()
                held = rescaled(held, decimals - part.decimals)
                place = table.column_names.index(name)
                table = table.set_column(place, name, pa.array(held, mask=held == MISSING))
        tables.append(table)
    table = pa.concat_tables(tables, promote_options="permissive")
    return _without_last_operation(table) if file.cut else table


def _without_last_operation(table: pa.Table) -> pa.Table:
    """Where the rest was cut off, the last operation's other rows may have been."""
    if "operation" not in table.column_names or not len(table):
        return table
    last = table["operation"][-1]
    if not last.is_valid:
        return table
    others = pc.fill_null(pc.not_equal(table["operation"], last), True)
    return table.filter(others)


def _told_apart(table: pa.Table, name: str) -> pa.Table:
    """Rows without an operation or a clock get names that no other file has."""
    rows = len(table)
    if "operation" in table.column_names:
        given = pc.cast(table["operation"], pa.string())
    else:
        given = pa.chunked_array([pa.nulls(rows, pa.string())])
    if given.null_count:
        number = pa.array(np.arange(1, rows + 1)).cast(pa.string())
        given = pc.coalesce(given, pc.binary_join_element_wise(f"{name} row", number, " "))
    clock = pa.repeat(name, rows)
    if "clock" in table.column_names:
        clock = pc.coalesce(pc.cast(table["clock"], pa.string()), clock)
    rest = table.drop_columns(
        [each for each in ("operation", "clock") if each in table.column_names]
    )
    return rest.append_column("operation", given).append_column("clock", clock)


def _one_kind_each(table: pa.Table) -> pa.Table:
    """An operation whose rows name several kinds (a debit here, a credit there) is a change."""
    if not {"operation", "kind"} <= {*table.column_names}:
        return table
    keys = [name for name in ("record", "operation") if name in table.column_names]
    rows = table.select([*keys, "kind"])
    if "record" in keys:
        # The kind of an event is its step.
        rows = rows.filter(pc.not_equal(rows["record"].cast(pa.string()), "event"))
    kinds = rows.group_by(keys).aggregate([("kind", "count_distinct")])
    mixed = kinds.filter(pc.greater(kinds["kind_count_distinct"], 1))["operation"].drop_null()
    if not len(mixed):
        return table
    without = pc.if_else(pc.is_in(table["operation"], mixed), None, table["kind"])
    return table.set_column(table.column_names.index("kind"), "kind", without)
