"""The bytes of a text file, packed by gzip or not, for readers that must know if it was cut."""

import codecs
import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import UsageError
from engine.histories.mapping import File

# (bytes of the file read, its size, its name); whoever is asked may raise, and reading ends.
OnRead = Callable[[int, int, str], None]

_GZIP = b"\x1f\x8b"
_HEAD_BYTES = 1 << 16


class Cut(NamedTuple):
    """Why the rest of a file is not read. What came before may be judged, never as clean."""

    reason: str


class NoHistory(UsageError):
    """A file that has none of the columns that are read."""


class Source(io.RawIOBase):
    """One file's text, unpacked, as UTF-8. What cannot be read ends it, and `cut` says so.

    UsageError for an encoding that is none.
    """

    def __init__(self, path: Path, on_read: OnRead, encoding: str = "utf-8") -> None:
        super().__init__()
        self.path, self.on_read, self.encoding, self.cut = path, on_read, encoding, ""
        self.decoder = _decoder(encoding)
        self.size = path.stat().st_size
        self.raw = path.open("rb")
        packed = self.raw.read(2) == _GZIP
        self.raw.seek(0)
        self.file = gzip.GzipFile(fileobj=self.raw) if packed else self.raw
        self.last, self.lines, self.quotes = b"", 0, 0
        self.ahead = b""
        self.ahead = self.read(_HEAD_BYTES)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """The next `size` bytes; fewer at the end only."""
        if self.ahead:
            given, self.ahead = self.ahead[:size], self.ahead[size:]
            return given
        data = b""
        # A piece may hold but the first half of one letter.
        while not data and (piece := b"".join(self._pieces(size))):
            data = self._text(piece)
        self.last = data[-1:] or self.last
        self.lines += data.count(b"\n")
        self.quotes += data.count(b'"')
        self.on_read(self.raw.tell(), self.size, self.path.name)
        return data

    def readinto(self, buffer: Any, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _pieces(self, size: int) -> Iterator[bytes]:
        # One piece after the other: what was unpacked before the cut would else be lost with it.
        while size > 0 and not self.cut:
            try:
                piece = self.file.read1(size)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                self.cut = f"its gzip stream ends early ({error})"
                return
            if not piece:
                return
            size -= len(piece)
            yield piece

    def _text(self, data: bytes) -> bytes:
        """As UTF-8, up to the first byte that is no text."""
        try:
            return self.decoder.decode(data).encode()
        except UnicodeError as error:
            good = error.object[: error.start] if isinstance(error, UnicodeDecodeError) else b""
            text = good.decode(self.encoding, errors="ignore").encode()
            line = self.lines + text.count(b"\n") + 1
            self.cut = (
                f"line {line} is no {self.encoding} text; set encoding under [file] in a mapping,"
                " like cp1252 or utf-16"
            )
            return text

    @property
    def head(self) -> bytes:
        """Its first bytes, while nothing was read yet."""
        return self.ahead

    @property
    def whole(self) -> bool:
        """Whether, read to its end, the last line was ended, in none of its values."""
        return not self.cut and self.last in (b"\n", b"\r") and not self.quotes % 2

    def close(self) -> None:
        # The base class closes also what could not be opened, when it is let go.
        for opened in ("file", "raw"):
            if hasattr(self, opened):
                getattr(self, opened).close()
        super().close()


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    plain = encoding.lower().replace("-", "") == "utf8"
    try:
        return codecs.getincrementaldecoder("utf-8-sig" if plain else encoding)()
    except LookupError as error:
        raise UsageError(f"[file] encoding: {error}", "like utf-8 or cp1252") from error


def line_of(path: Path, rules: File, row: int, delimiter: str | None) -> int:
    """The line in the file (from 1) on which a row (from 0) ends; without `delimiter`, of JSON."""
    with Source(path, lambda *_: None, rules.encoding) as source:
        text = io.TextIOWrapper(io.BufferedReader(source), "utf-8", newline="")
        if delimiter is None:
            full = (number for number, line in enumerate(text, 1) if line.strip())
            return next(itertools.islice(full, row, None), row + 1)
        for _ in range(rules.skip):
            text.readline()
        lines = csv.reader(text, delimiter=delimiter)
        full = (lines.line_num + rules.skip for values in lines if values)
        return next(itertools.islice(full, row + 1, None), rules.skip + row + 2)
