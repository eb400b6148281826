"""What recordings spilt to disk, read back frame by frame as the rows of a table.

A frame that was cut off (the process was killed, the disk was full) ends its file: what stands
before it is read, and the recording does not count as closed.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.errors import HistoryMalformed
from engine.histories.columns import Ints
from engine.histories.layout import named, numbers, rows_of, texts
from engine.recording import (
    CALL_FIELDS,
    ENTRY_FIELDS,
    HEAD,
    MAGIC,
    STEP_FIELDS,
    SUFFIX,
    Ended,
    Kind,
    Step,
)

_CALL, _ENTRY, _STEP = (
    np.dtype([(name, f"<{code}") for name, code in fields])
    for fields in (CALL_FIELDS, ENTRY_FIELDS, STEP_FIELDS)
)
_MONEY = ("amount", "need", "before", "after", "version")
_KINDS, _ENDED, _STEPS = (
    tuple(word.name.lower() for word in words) for words in (Kind, Ended, Step)
)

Rows = NDArray[Any]


@dataclass(slots=True)
class Spilt:
    """One recording's file. What stands beside the path is known when `batches` has ended.

    `epoch_ns`: from this clock to the wall clock, the least and the most that was seen. `closed`:
    nothing is missing at the end.
    """

    path: Path
    clock: str = ""
    epoch_ns: tuple[int, int] = (0, 0)
    closed: bool = False
    _names: dict[str, list[str]] = field(default_factory=dict)

    def batches(self) -> Iterator[Any]:
        """Record batches of SCHEMA: a frame's calls, then their steps. HistoryMalformed."""
        self._names = {name: [] for name in ("accounts", "clients", "codes", "names")}
        self.closed = False
        try:
            with self.path.open("rb") as file:
                for place, parts in enumerate(_frames(file)):
                    self._note(json.loads(parts[0]), first=place == 0)
                    frame = _Frame(parts)
                    if len(frame.calls):
                        yield self._calls(frame)
                    if len(frame.steps):
                        yield self._steps(frame)
        except (OSError, ValueError, LookupError) as error:
            raise HistoryMalformed(
                f"{self.path} is no recording ({error})", f"name files that end in {SUFFIX}"
            ) from error

    def _note(self, names: dict[str, Any], *, first: bool) -> None:
        epoch_ns = names["epoch_ns"]
        least, most = (epoch_ns, epoch_ns) if first else self.epoch_ns
        self.epoch_ns = min(least, epoch_ns), max(most, epoch_ns)
        self.clock = names.get("clock", self.clock)
        self.closed = "closed" in names
        for name, known in self._names.items():
            known.extend(names.get(name, ()))

    def _calls(self, frame: "_Frame") -> Any:
        calls, call, entries = frame.calls, frame.call_of_entry(), frame.entries()
        known = calls["ended"] != Ended.UNKNOWN
        keys = np.full(len(calls), None, object)
        keys[calls["keyed"] == 1] = frame.keys
        return rows_of(
            len(call),
            record=named(np.full(len(call), 0), ("call",)),
            operation=texts(frame.operations, call),
            client=named(calls["client"][call], self._names["clients"]),
            kind=named(calls["kind"][call], _KINDS),
            account=named(entries["account"], self._names["accounts"]),
            **{name: numbers(entries[name]) for name in _MONEY},
            key=pa.array(keys, pa.string()).take(pa.array(call)),
            invoked=numbers(calls["invoked"][call]),
            completed=pa.array(calls["completed"][call], mask=~known[call]),
            outcome=named(calls["ended"][call], _ENDED),
            code=named(calls["code"][call], self._names["codes"]),
            clock=named(np.full(len(call), 0), (self.clock,)),
        )

    def _steps(self, frame: "_Frame") -> Any:
        steps = frame.steps
        return rows_of(
            len(steps),
            record=named(np.full(len(steps), 0), ("event",)),
            operation=texts(frame.operations, steps["call"]),
            kind=named(steps["step"], _STEPS),
            account=named(steps["name"], self._names["names"]),
            invoked=numbers(steps["at"]),
            clock=named(np.full(len(steps), 0), (self.clock,)),
        )


class _Frame:
    """The parts of one frame, decoded."""

    def __init__(self, parts: Sequence[bytes]) -> None:
        _, operations, keys, calls, further, steps = parts
        self.calls: Rows = np.frombuffer(calls, _CALL)
        self.further: Rows = np.frombuffer(further, _ENTRY)
        self.steps: Rows = np.frombuffer(steps, _STEP)
        self.operations = operations.decode().split("\n") if len(self.calls) else []
        self.keys = keys.decode().split("\n") if self.calls["keyed"].any() else []

    def call_of_entry(self) -> Ints:
        return np.repeat(np.arange(len(self.calls)), self.calls["entries"])

    def entries(self) -> dict[str, Rows]:
        """Each call's first entry, which stands beside it, and then its further ones."""
        call = self.call_of_entry()
        further = np.diff(call, prepend=-1) == 0
        found = {}
        for name in _ENTRY.names or ():
            found[name] = self.calls[name][call]
            found[name][further] = self.further[name]
        return found


def _frames(file: BinaryIO) -> Iterator[list[bytes]]:
    """The parts of each whole frame; ValueError where something else stands."""
    size = os.fstat(file.fileno()).st_size
    place = 0
    while head := file.read(HEAD.size):
        if not head.startswith(MAGIC[: len(head)]):
            raise ValueError(f"no frame begins at byte {place}")
        if len(head) < HEAD.size:
            return
        _, *lengths = HEAD.unpack(head)
        place += HEAD.size + sum(lengths)
        if place > size:
            return
        yield [file.read(length) for length in lengths]
