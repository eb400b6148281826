"""The rows of several files as one table, as `table.history_from_table` takes it."""

from collections.abc import Mapping as Named
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.histories.clocks import on_one_clock
from engine.histories.columns import MISSING
from engine.histories.foreign import Part
from engine.histories.foreign_values import rescaled
from engine.histories.mapping import TIMES

_MONEY = ("amount", "need", "before", "after")


@dataclass(slots=True)
class FileRows:
    """One file's rows in our columns.

    `columns` are ours that it has, `ignored` theirs that are not read; `cut` says why it was not
    read to its end. `complete`: see History; None where nobody says. `own`: written by walletrace;
    such a file tells how far each of its `clocks` is from the wall clock (see `on_one_clock`).
    """

    path: Path
    columns: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    parts: list[Part] = field(default_factory=list)
    cut: str = ""
    complete: bool | None = None
    own: bool = False
    clocks: Named[str, tuple[int, int]] = field(default_factory=dict)


def merged(files: Sequence[FileRows], *, newest_first: bool) -> tuple[pa.Table, int]:
    """All rows, and the decimals of their money. Rows that newer ones come before are turned."""
    decimals = max((part.decimals for file in files for part in file.parts), default=0)
    several = len(files) > 1
    tables = []
    for file in files:
        table = _rows_of(file, decimals)
        if newest_first:
            table = table.take(pa.array(np.arange(len(table))[::-1]))
        if not file.own:
            table = _one_kind_each(table)
        tables.append(_told_apart(_decoded(table), file.path.name) if several else table)
    return pa.concat_tables(tables, promote_options="permissive"), decimals


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


def with_one_clock(files: Sequence[FileRows], table: pa.Table, error_ns: int) -> pa.Table:
    """Intervals widened by as much as clocks may differ, all on one; see `clocks`.

    Other people's files tell wall-clock time, or at least one and the same.
    """
    if not {*TIMES} <= {*table.column_names}:
        return table
    if "clock" not in table.column_names:
        table = table.append_column("clock", pa.nulls(len(table), pa.string()))
    names = pc.unique(pc.cast(table["clock"], pa.string())).to_pylist()
    known = {name: (0, 0) for name in names if name is not None}
    for file in files:
        known |= file.clocks
    return on_one_clock(table, known, error_ns)


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
    return pa.concat_tables(tables or [pa.table({})], promote_options="permissive")


def _decoded(table: pa.Table) -> pa.Table:
    """Texts as such, so that they meet those of other files."""
    for place, each in enumerate(table.schema):
        if pa.types.is_dictionary(each.type):
            table = table.set_column(place, each.name, pc.cast(table[each.name], pa.string()))
    return table


def _told_apart(table: pa.Table, name: str) -> pa.Table:
    """Rows without an operation or a clock get names that no other file has."""
    rows = len(table)
    if "operation" in table.column_names:
        given = table["operation"]
    else:
        given = pa.chunked_array([pa.nulls(rows, pa.string())])
    if given.null_count:
        number = pa.array(np.arange(1, rows + 1)).cast(pa.string())
        given = pc.coalesce(given, pc.binary_join_element_wise(f"{name} row", number, " "))
    clock = pa.repeat(name, rows)
    if "clock" in table.column_names:
        clock = pc.coalesce(table["clock"], clock)
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
