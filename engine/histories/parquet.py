"""One Parquet file for a history: assembled from recordings, and read back.

The file is a long table that anybody can open (`table` says what its columns hold): openings first,
calls in the order in which they were recorded, then the operation log and the final balances. Its
metadata has the key "walletrace": {"version", "decimals", "complete", "clocks": {name: {"epoch_ns":
[least, most]}}}, the last being the distance from that clock to the wall clock.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from errno import ENOSPC
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import HistoryIncomplete, HistoryMalformed, StoreFull, UsageError
from engine.histories.clocks import on_one_clock
from engine.histories.columns import History
from engine.histories.layout import SCHEMA, named, rows_of
from engine.histories.spilt import Spilt
from engine.histories.table import history_from_table
from engine.history import LogRow
from engine.ports import Row

VERSION = 1
METADATA = b"walletrace"
ROWS_AT_A_TIME = 1 << 16


class Books(NamedTuple):
    """What the final phase read, at one instant: every wallet and the whole operation log."""

    balances: Mapping[str, Row]
    log: Sequence[LogRow]


@dataclass(slots=True)
class Recorded:
    """A run as it was recorded: by several recorders, maybe, and with or without a final phase.

    `openings`: what the wallets held before. `books` is None where the final phase failed.
    `decimals`: how many digits of the money stand behind the point.
    """

    recordings: Sequence[Path]
    openings: Mapping[str, Row] = field(default_factory=dict)
    books: Books | None = None
    decimals: int = 2
    _spilt: list[Spilt] = field(default_factory=list)

    def batches(self) -> Iterator[Any]:
        """Record batches of SCHEMA, a few at a time in memory. HistoryMalformed."""
        yield _balances("opening", self.openings)
        self._spilt = [Spilt(path) for path in self.recordings]
        for spilt in self._spilt:
            yield from spilt.batches()
        if self.books is not None:
            rows = iter(self.books.log)
            while some := list(islice(rows, ROWS_AT_A_TIME)):
                yield _logged(some)
            yield _balances("balance", self.books.balances)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing. Known when `batches` has ended."""
        return self.books is not None and all(spilt.closed for spilt in self._spilt)

    @property
    def clocks(self) -> dict[str, tuple[int, int]]:
        """By name, the least and the most from the clock to the wall clock, in ns."""
        known: dict[str, tuple[int, int]] = {}
        for spilt in self._spilt:
            least, most = known.get(spilt.clock, spilt.epoch_ns)
            known[spilt.clock] = min(least, spilt.epoch_ns[0]), max(most, spilt.epoch_ns[1])
        return known

    def history(self, *, clock_error_ns: int | None = None) -> History:
        """All of it in memory; `clock_error_ns` as in `on_one_clock`. HistoryMalformed."""
        table = pa.Table.from_batches(self.batches(), SCHEMA)
        if clock_error_ns is not None:
            table = on_one_clock(table, self.clocks, clock_error_ns)
        return history_from_table(table, decimals=self.decimals, complete=self.complete)

    def write(self, path: Path) -> None:
        """All of it to `path`, whole or not at all. HistoryMalformed, StoreFull, UsageError."""
        part = path.with_name(f"{path.name}.part")
        try:
            with pq.ParquetWriter(part, SCHEMA, compression="zstd") as writer:
                for batch in self.batches():
                    writer.write_batch(batch)
                writer.add_key_value_metadata({METADATA: json.dumps(self._metadata())})
            part.replace(path)
        except OSError as error:
            kind = StoreFull if error.errno == ENOSPC else UsageError
            why = error.strerror or str(error)
            raise kind(f"cannot write the history {path} ({why})", "name another file") from error
        finally:
            part.unlink(missing_ok=True)

    def _metadata(self) -> dict[str, Any]:
        clocks = {name: {"epoch_ns": epoch_ns} for name, epoch_ns in self.clocks.items()}
        known = {"version": VERSION, "decimals": self.decimals}
        return known | {"complete": self.complete, "clocks": clocks}


def read_history(path: Path, *, clock_error_ns: int | None = None) -> History:
    """What `Recorded.write` wrote. `clock_error_ns` as in `on_one_clock`.

    HistoryIncomplete for a file that was cut off, HistoryMalformed for one that is none of ours.
    """
    names = [each.name for each in SCHEMA if pa.types.is_dictionary(each.type)]
    try:
        with pq.ParquetFile(path, read_dictionary=names) as file:
            told = (file.schema_arrow.metadata or {}) | (file.metadata.metadata or {})
            known = json.loads(told[METADATA])
            table = file.read()
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(path, error) from error
    except (KeyError, ValueError) as error:
        raise HistoryMalformed(
            f"{path} is a table of somebody else's", "map its columns"
        ) from error
    if clock_error_ns is not None:
        clocks = {name: clock["epoch_ns"] for name, clock in known["clocks"].items()}
        table = on_one_clock(table, clocks, clock_error_ns)
    return history_from_table(table, decimals=known["decimals"], complete=known["complete"])


def _unreadable(path: Path, error: Exception) -> Exception:
    try:
        with path.open("rb") as file:
            began = file.read(4) == b"PAR1"
    except OSError as why:
        return HistoryMalformed(f"cannot read {path} ({why.strerror})", "name a history's file")
    if began:
        return HistoryIncomplete(f"{path} was cut off ({error})", "copy it again, or record again")
    return HistoryMalformed(f"{path} is no Parquet file", "name a history's file")


def _balances(record: str, held: Mapping[str, Row]) -> Any:
    places = np.arange(len(held))
    return rows_of(
        len(held),
        record=named(np.zeros(len(held)), (record,)),
        account=named(places, tuple(held)),
        after=pa.array([row.balance for row in held.values()], pa.int64()),
        version=pa.array([row.version for row in held.values()], pa.int64()),
    )


def _logged(rows: Sequence[LogRow]) -> Any:
    def column(name: str, kind: Any) -> Any:
        return pa.array([getattr(row, name) for row in rows], kind)

    whole = ("amount", "before", "after", "version")
    return rows_of(
        len(rows),
        record=named(np.zeros(len(rows)), ("log",)),
        operation=column("operation_id", pa.string()),
        kind=column("kind", pa.string()).dictionary_encode(),
        account=column("account", pa.string()).dictionary_encode(),
        **{name: column(name, pa.int64()) for name in whole},
    )
