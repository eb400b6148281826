"""The rows of a Parquet file, part by part, as far as they can be read; our own files too."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import HistoryIncomplete, HistoryMalformed
from engine.histories.parquet import METADATA, VERSION
from engine.histories.reading_source import Cut, OnRead

MAGIC = b"PAR1"
ROWS_AT_A_TIME = 1 << 18


@dataclass(frozen=True, slots=True)
class ParquetRows:
    """An open Parquet file; of one of ours, what it says of itself."""

    path: Path
    file: Any
    names: tuple[str, ...]
    decimals: int | None = None
    complete: bool = False
    clocks: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def open_parquet(path: Path) -> ParquetRows:
    """HistoryIncomplete if its footer is missing: without it nothing in it can be found."""
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise HistoryIncomplete(
            f"{path} is a Parquet file without its footer ({str(error).splitlines()[0][:60]}…)",
            "it was cut or is still being written; export it again",
        ) from error
    names = tuple(file.schema_arrow.names)
    own = (file.metadata.metadata or {}).get(METADATA)
    if own is None:
        return ParquetRows(path, file, names)
    said = json.loads(own)
    if said["version"] != VERSION:
        raise HistoryMalformed(
            f"{path} is a history of version {said['version']}", "read it with another walletrace"
        )
    clocks = {name: tuple(clock["epoch_ns"]) for name, clock in said["clocks"].items()}
    return ParquetRows(path, file, names, said["decimals"], said["complete"], clocks)


def is_own(path: Path) -> bool:
    """Whether this is a whole Parquet file that walletrace wrote: a run. OSError."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return False
    try:
        return METADATA in (pq.read_metadata(path).metadata or {})
    except (pa.ArrowInvalid, OSError):
        return False


def parquet_parts(rows: ParquetRows, wanted: Sequence[str], on_read: OnRead) -> Iterator[Any]:
    """Tables of the columns `wanted`; last, if not all could be read, a Cut."""
    columns = [name for name in wanted if name.partition(".")[0] in rows.names]
    total, done = rows.file.metadata.num_rows, 0
    try:
        for batch in rows.file.iter_batches(ROWS_AT_A_TIME, columns=columns):
            done += len(batch)
            on_read(done, total, rows.path.name)
            batch.validate(full=True)
            yield _flat(pa.Table.from_batches([batch]))
    except (pa.ArrowInvalid, OSError) as error:
        yield Cut(f"{rows.path.name} cannot be read on after row {done}: {error}")


def _flat(table: pa.Table) -> pa.Table:
    """Structs as columns of their own, "entry.account"."""
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    return table
