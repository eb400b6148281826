"""The long table of a history as it is written: its columns, and batches of its rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.recording import MISSING

_NAME = pa.dictionary(pa.int32(), pa.string())

# What each column holds stands in `table`.
SCHEMA = pa.schema(
    [
        ("record", _NAME),
        ("operation", pa.string()),
        ("client", _NAME),
        ("kind", _NAME),
        ("account", _NAME),
        ("amount", pa.int64()),
        ("need", pa.int64()),
        ("before", pa.int64()),
        ("after", pa.int64()),
        ("version", pa.int64()),
        ("key", pa.string()),
        ("invoked", pa.int64()),
        ("completed", pa.int64()),
        ("outcome", _NAME),
        ("code", _NAME),
        ("clock", _NAME),
    ]
)


def rows_of(count: int, **columns: Any) -> Any:
    """A record batch of SCHEMA; columns that are not given are null."""
    return pa.record_batch(
        [columns.get(each.name, pa.nulls(count, each.type)) for each in SCHEMA], schema=SCHEMA
    )


def named(places: NDArray[Any], names: Sequence[str]) -> Any:
    """Places in names as a dictionary column, the empty name as null."""
    empty = [place for place, name in enumerate(names) if not name]
    mask = np.isin(places, empty) if empty else None
    return pa.DictionaryArray.from_arrays(
        pa.array(places.astype(np.int32), mask=mask), pa.array(names, pa.string())
    )


def numbers(column: NDArray[Any]) -> Any:
    """Whole numbers, null where MISSING."""
    return pa.array(column, pa.int64(), mask=column == MISSING)


def texts(known: Sequence[str], places: NDArray[Any]) -> Any:
    """`known[place]` for each place, the empty text as null."""
    return pa.array([text or None for text in known], pa.string()).take(pa.array(places))
