"""What a run remembers of its calls while it runs: rows of packed numbers, spilt to disk.

Standard library only, since Locust's processes record too. A `Recording` costs some 0.4 µs a call
(`struct` packs a row four times as fast as an `array` takes its numbers) and keeps no more than
SPILL_CALLS of them in memory. `engine.histories.spilt` reads what it wrote.

The file is a sequence of frames: HEAD, then six parts of the lengths that HEAD gives. Names are a
JSON object: what is new since the last frame, or that the recording was closed. Operations and keys
are a text on each line, for each call and for each call with a key. Calls, further entries (of
calls with more than one) and steps are rows. What was spilt stays readable, whatever happens.
"""

import json
import os
import socket
import struct
from collections.abc import Sequence
from enum import IntEnum
from io import FileIO
from pathlib import Path
from time import perf_counter_ns, time_ns

from engine.errors import HistoryIncomplete, UsageError

# Not recorded. Far outside of every balance and clock, and safe to add small numbers to.
MISSING = -(2**62)

# So few that writing them (0.2 ms) does not show in the latencies of the calls beside.
SPILL_CALLS = 4096

SUFFIX = ".spill"
# Beside the recordings of a run: what its final phase read, one JSON document a line.
BOOKS = "books.jsonl"
MAGIC = b"walletr1"
HEAD = struct.Struct("<8s6q")


class Kind(IntEnum):
    """What a call asked for. CHANGE: some change of balances, known by its entries only."""

    BALANCE = 0
    CHECK = 1
    WITHDRAW = 2
    ADD = 3
    TRANSFER = 4
    BATCH = 5
    OPEN = 6
    CHANGE = 7


class Ended(IntEnum):
    """How a call ended. A CHECK that was answered "not enough" is REFUSED."""

    OK = 0
    REFUSED = 1
    UNKNOWN = 2


class Step(IntEnum):
    """A step inside of a call, where lock and transaction events are recorded."""

    LOCK_ASKED = 0
    LOCK_GRANTED = 1
    LOCK_RELEASED = 2
    BEGUN = 3
    SNAPSHOT = 4
    WRITTEN = 5
    COMMITTED = 6
    ROLLED_BACK = 7
    CACHE_PUT = 8


# One account of one call: its name, then amount, need, before, after and version, in cents, MISSING
# where unknown. What they mean stands in `histories.columns.History`.
Touched = tuple[str, int, int, int, int, int]


# Field and `struct` code of each row in a frame; names stand as their places.
ENTRY_FIELDS = (
    *(("amount", "q"), ("need", "q"), ("before", "q"), ("after", "q"), ("version", "q")),
    ("account", "i"),
)
CALL_FIELDS = (
    *ENTRY_FIELDS,
    *(("invoked", "q"), ("completed", "q"), ("client", "i"), ("code", "H"), ("entries", "H")),
    *(("kind", "B"), ("ended", "B"), ("keyed", "B")),
)
STEP_FIELDS = (("at", "q"), ("call", "i"), ("name", "i"), ("step", "B"))


def _struct(fields: Sequence[tuple[str, str]]) -> struct.Struct:
    return struct.Struct("<" + "".join(code for _, code in fields))


_pack_call, _CALL_BYTES = _struct(CALL_FIELDS).pack_into, _struct(CALL_FIELDS).size
_pack_entry, _pack_step = _struct(ENTRY_FIELDS).pack, _struct(STEP_FIELDS).pack


class _Numbers(dict[str, int]):
    """Texts numbered as they come; `new` are those since the last frame."""

    def __init__(self, *known: str) -> None:
        super().__init__()
        self.new: list[str] = []
        for text in known:
            self[text]

    def __missing__(self, text: str) -> int:
        self[text] = place = len(self)
        self.new.append(text)
        return place


class Recording:
    """The calls of one process, appended to one file. Not for several threads at once.

    A file that cannot be written ends the recording and not the run: `trouble` then says why, and
    the history is never complete.
    """

    def __init__(self, path: Path, *, clock: str = "") -> None:
        """A new file at `path`; `clock` names the clock if not this machine's. UsageError."""
        try:
            self._file = FileIO(path, "w")
        except OSError as error:
            raise UsageError(
                f"cannot record to {path} ({error.strerror})", "name a folder that can be written"
            ) from error
        self.path = path
        self.trouble = ""
        self._accounts, self._clients, self._codes = _Numbers(), _Numbers(), _Numbers("")
        self._names = _Numbers()
        self._numbers = {
            "accounts": self._accounts,
            "clients": self._clients,
            "codes": self._codes,
            "names": self._names,
        }
        # Packed in place: appending would cost half as much again.
        self._calls, self._filled = bytearray(SPILL_CALLS * _CALL_BYTES), 0
        self._further: list[bytes] = []
        self._steps: list[bytes] = []
        self._operations: list[str] = []
        self._keys: list[str] = []
        self._write({"clock": clock or this_clock()})

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def call(
        self,
        operation: str,
        client: str,
        kind: Kind,
        ended: Ended,
        invoked: int,
        completed: int,
        touched: Sequence[Touched],
        code: str = "",
        key: str | None = None,
        steps: Sequence[tuple[Step, str, int]] = (),
    ) -> None:
        """One call that ended: `perf_counter_ns` readings, and what it touched (one at least).

        `operation` may be empty where nobody will look for it. `steps`: what, on which name, when.
        HistoryIncomplete after `close`.
        """
        # What stands beside the row comes before it, which may be the last of its frame.
        if len(touched) > 1:
            for account, amount, need, before, after, version in touched[1:]:
                place = self._accounts[account]
                self._further.append(_pack_entry(amount, need, before, after, version, place))
        if key is not None:
            self._keys.append(key)
        for step, name, at in steps:
            place = self._names[name]
            self._steps.append(_pack_step(at, len(self._operations), place, step))
        account, amount, need, before, after, version = touched[0]
        self.one(
            operation, client, kind, ended, invoked, completed,
            account, amount, need, before, after, version,
            code, len(touched), key is not None,
        )  # fmt: skip

    def one(
        self,
        operation: str,
        client: str,
        kind: Kind,
        ended: Ended,
        invoked: int,
        completed: int,
        account: str,
        amount: int,
        need: int,
        before: int,
        after: int,
        version: int,
        code: str = "",
        entries: int = 1,
        keyed: bool = False,
    ) -> None:
        """As `call`, for one account and without a key: the same at half the cost."""
        try:
            _pack_call(
                self._calls, self._filled,
                amount, need, before, after, version, self._accounts[account],
                invoked, completed, self._clients[client], self._codes[code],
                entries, kind, ended, keyed,
            )  # fmt: skip
        except struct.error as error:
            # It could not be packed: too large a number, or no room, which `close` took away.
            self.trouble = f"{self.path} lacks the call {operation!r} ({error})"
            raise HistoryIncomplete(
                self.trouble, "close a recording after the last call; use numbers below 64 bits"
            ) from error
        self._operations.append(operation)
        self._filled += _CALL_BYTES
        if self._filled == len(self._calls):
            self.spill()

    def spill(self) -> None:
        """Write what is in memory, if the file can still be written, and forget it."""
        self._write({}, _lines(self._operations), _lines(self._keys))

    def close(self) -> None:
        """Write the rest, and that it is the rest. Twice is as good as once."""
        if self._file.closed:
            return
        self.spill()
        self._write({"closed": True})
        self._file.close()
        self._calls = bytearray()  # so that a call that comes too late finds no room

    def _write(self, names: dict[str, object], operations: str = "", keys: str = "") -> None:
        # What the wall clock says beside ours, for those who compare clocks of several machines.
        names["epoch_ns"] = time_ns() - perf_counter_ns()
        names |= {name: numbers.new for name, numbers in self._numbers.items() if numbers.new}
        texts = (json.dumps(names), operations, keys)
        parts = [text.encode("utf-8", "backslashreplace") for text in texts]
        with memoryview(self._calls) as calls:
            rows = (calls[: self._filled], b"".join(self._further), b"".join(self._steps))
            lengths = map(len, (*parts, *rows))
            self._append((HEAD.pack(MAGIC, *lengths), *parts, *rows))
        for numbers in self._numbers.values():
            numbers.new = []
        for kept in (self._further, self._steps, self._operations, self._keys):
            kept.clear()
        self._filled = 0

    def _append(self, frame: Sequence[bytes | bytearray | memoryview]) -> None:
        if self.trouble:
            return
        try:
            for part in frame:
                self._append_part(memoryview(part))
        except OSError as error:
            # Half a frame may stand at the end now, which no reader takes for one.
            self.trouble = f"recording stopped ({self.path}: {error.strerror})"

    def _append_part(self, left: memoryview) -> None:
        while left:
            left = left[self._file.write(left) :]


def _lines(texts: Sequence[str]) -> str:
    """One on each line; a text that has several lines itself is put on one."""
    lines = "\n".join(texts)
    if lines.count("\n") >= max(1, len(texts)):
        return "\n".join(text.replace("\n", " ") for text in texts)
    return lines


def this_clock() -> str:
    """A name for the clock behind `perf_counter_ns`: processes of one machine share it.

    On Linux it is CLOCK_MONOTONIC, which begins with the boot (and with the time namespace); where
    the boot has no name, each process has a clock of its own.
    """
    host = socket.gethostname()
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{host} {boot} {Path('/proc/self/ns/time').readlink()}"
    except OSError:
        return f"{host} process {os.getpid()}"
