"""What a suspended coroutine waits for, in words, read off the frames it is suspended in."""

from collections.abc import Iterator
from pathlib import PurePath
from types import FrameType
from typing import Any, NamedTuple


class Awaited(NamedTuple):
    """`name` is for people; `lock`: somebody is expected to release it."""

    name: str
    lock: bool


def awaiting(work: Any, kinds: set[str]) -> Awaited:
    """What `work` waits for, and where; a primitive of asyncio's is noted in `kinds`."""
    frames = list(_frames(work))
    own = [frame for frame in frames if not _is_asyncio(frame)]
    theirs = [frame for frame in frames if _is_asyncio(frame)]
    where = ""
    if own:
        at = own[-1]
        where = f" at {PurePath(at.f_code.co_filename).name}:{at.f_lineno}"
    if not theirs:
        return Awaited(f"a future or task{where}", lock=False)
    primitive = theirs[0].f_locals.get("self")
    lock = theirs[-1].f_code.co_name == "acquire"
    if primitive is None:
        return Awaited(f"asyncio.{theirs[0].f_code.co_name}{where}", lock)
    name = f"asyncio.{type(primitive).__name__}"
    kinds.add(name)
    return Awaited(f"{name}{where}", lock)


def place_of(work: Any) -> object:
    """Where in its code `work` is suspended: equal for two rounds of one loop."""
    return tuple((frame.f_code, frame.f_lasti) for frame in _frames(work))


def _frames(work: Any) -> Iterator[FrameType]:
    """The frames of a suspended coroutine, the outermost first."""
    while work is not None:
        for prefix in ("cr", "gi", "ag"):
            frame = getattr(work, f"{prefix}_frame", None)
            if frame is not None:
                yield frame
                work = getattr(work, f"{prefix}_await", None) or getattr(work, "gi_yieldfrom", None)
                break
        else:
            return


def _is_asyncio(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "asyncio"
