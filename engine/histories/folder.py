"""A run in a folder: the recordings of its processes, and the books that its final phase read.

Locust's processes leave such a folder behind. Each line of the books is {"balance": [account,
cents, version]}, {"log": [the fields of a LogRow]} or, in the end, {"complete": true}.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from engine.errors import HistoryMalformed
from engine.histories.parquet import Books, Recorded
from engine.history import LogRow
from engine.ports import Row
from engine.recording import BOOKS, SUFFIX


class _Line(msgspec.Struct):
    balance: tuple[str, int, int] | None = None
    log: LogRow | None = None
    complete: bool = False


def is_recorded(folder: Path) -> bool:
    """Whether `folder` holds recordings."""
    return any(folder.glob(f"*{SUFFIX}"))


def recorded_in(folder: Path) -> Recorded:
    """The run whose processes recorded into `folder`. HistoryMalformed.

    Without books to their end the final phase is missing, and the history is never complete.
    """
    recordings = sorted(folder.glob(f"*{SUFFIX}"))
    if not recordings:
        raise HistoryMalformed(f"{folder} holds no recordings", "record a run there first")
    books = _books(folder / BOOKS)
    openings: Mapping[str, Row] = {
        row.account: Row(row.after, row.version)
        for row in (books.log if books else ())
        if row.kind == "open"
    }
    return Recorded(recordings, openings, books)


def _books(path: Path) -> Books | None:
    balances: dict[str, Row] = {}
    log: list[LogRow] = []
    complete = False
    for line in _lines(path):
        complete = line.complete
        if line.log is not None:
            log.append(line.log)
        if line.balance is not None:
            account, cents, version = line.balance
            balances[account] = Row(cents, version)
    return Books(balances, log) if complete else None


def _lines(path: Path) -> Iterator[_Line]:
    if not path.exists():
        return
    decoder = msgspec.json.Decoder(_Line)
    with path.open("rb") as file:
        try:
            yield from map(decoder.decode, file)
        except msgspec.DecodeError:
            return  # cut off in the middle: what follows is missing, "complete" with it
