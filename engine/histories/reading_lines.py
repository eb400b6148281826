"""The rows of a file of JSON lines as columns of text, part by part, as far as they can be read.

Numbers stay what they are written as: 1000.10 never becomes a float.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec
import pyarrow as pa

from engine.errors import HistoryMalformed
from engine.histories.reading_source import Cut, Source

# What is held as objects at a time is some twenty times as large.
BLOCK_BYTES = 1 << 22
# How long one line may be.
LINE_BYTES_MAX = 1 << 24
_SHOWN_MAX = 60
_TOP = 1_000

_DECODER = msgspec.json.Decoder(float_hook=str)


def line_parts(source: Source, wanted: Sequence[str], names: list[str]) -> Iterator[Any]:
    """Tables of the columns `wanted`, as texts; last, if not all could be read, a Cut.

    A name with dots leads into nested objects. To `names` go those that were met (of others than
    those wanted, at the top of each block). HistoryMalformed for one large JSON array.
    """
    if source.head.lstrip()[:1] == b"[":
        raise HistoryMalformed(
            f"{source.path} is one JSON array", "write one object a line, as jq -c '.[]' does"
        )
    before = 0
    for block in _blocks(source):
        try:
            objects: list[Any] = _DECODER.decode_lines(block)
            cut = ""
        except (msgspec.DecodeError, UnicodeDecodeError):
            objects, cut = _until_the_first_bad(block)
        strange = next((n for n, each in enumerate(objects) if not isinstance(each, dict)), None)
        if strange is not None:
            objects, cut = objects[:strange], f'{strange + 1}: no object, like {{"account": …}}'
        table = _table(objects, wanted, names)
        tops = chain.from_iterable(objects[:_TOP])
        met = dict.fromkeys([*tops, *filter(None, table.column_names)])
        names += [name for name in met if name not in names]
        yield table
        if cut:
            number, _, why = cut.partition(": ")
            yield Cut(f"{source.path.name} line {before + int(number)}: {why}{_maybe_cut(source)}")
            return
        before += block.count(b"\n")
    if source.cut:
        yield Cut(f"{source.path.name}: {source.cut}")


def _maybe_cut(source: Source) -> str:
    return f"; {source.cut or 'the file was cut there'}" if not source.whole else ""


def _blocks(source: Source) -> Iterator[bytes]:
    """Whole lines, many at a time."""
    rest = b""
    while data := source.read(BLOCK_BYTES):
        data = rest + data
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        if len(rest) > LINE_BYTES_MAX:
            raise HistoryMalformed(
                f"{source.path} has a line of more than {LINE_BYTES_MAX:,} bytes",
                "one object a line is expected",
            )
        yield data[:end]
    if rest:
        yield rest


def _until_the_first_bad(block: bytes) -> tuple[list[Any], str]:
    """The objects before the first line that is no JSON, and what is wrong with that line."""
    objects = []
    for number, line in enumerate(block.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            objects.append(_DECODER.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            shown = line[:_SHOWN_MAX].decode(errors="replace")
            return objects, f"{number}: no JSON ({error}): {shown}"
    return objects, ""


def _table(
    objects: Sequence[Mapping[str, Any]], wanted: Sequence[str], met: Sequence[str]
) -> pa.Table:
    """The wanted columns that occur here or were met before."""
    columns = {}
    for name in wanted:
        values = [each.get(name) for each in objects]
        if "." in name and not any(value is not None for value in values):
            values = [_inside(each, name.split(".")) for each in objects]
        if name in met or any(value is not None for value in values):
            columns[name] = _texts(values)
    # Rows of which nothing is wanted are rows still.
    return pa.table(columns or {"": pa.nulls(len(objects), pa.string())})


def _inside(found: Any, path: Sequence[str]) -> Any:
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _texts(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value) if type(value) is int else json.dumps(value)
