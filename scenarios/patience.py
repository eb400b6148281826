"""While code under test runs in our process: Ctrl-C interrupts it, and running for ever is told."""

import asyncio
import logging
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import uvloop

from engine.errors import UsageError
from engine.explore.loop import Loop, by_hand

T = TypeVar("T")

LOOK_EVERY_S = 1.0
# Code that has not awaited anything at so many looks holds everybody up.
LOOKS_MAX = 5
_HAND, _LOOP = by_hand.__code__, asyncio.Handle._run.__code__


@contextmanager
def patience() -> Iterator[None]:
    """KeyboardInterrupt at once on Ctrl-C; UsageError for code that never awaits.

    asyncio's own handler would wait for the main task to await something; an exploration does not.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    watch = _Watch()
    before = signal.signal(signal.SIGINT, watch.interrupt)
    rang = signal.signal(signal.SIGALRM, watch.look)
    signal.setitimer(signal.ITIMER_REAL, LOOK_EVERY_S, LOOK_EVERY_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, rang)
        signal.signal(signal.SIGINT, before)


class _Watch:
    """Told of Ctrl-C, and asked every second which resumption it finds running."""

    def __init__(self) -> None:
        self._interrupted = False
        self._met: FrameType | None = None
        self._looks = 0

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-C."""
        self._interrupted = True
        # Tasks that are cut short here are nobody's news.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        raise KeyboardInterrupt

    def look(self, number: int, frame: FrameType | None) -> None:
        """Another second has passed."""
        if self._interrupted:  # it was raised where exceptions are ignored, as in __del__
            raise KeyboardInterrupt
        now = _resumption(frame)
        self._looks = self._looks + 1 if now is self._met else 0
        self._met = now
        if now is None or frame is None or self._looks < LOOKS_MAX:
            return
        at = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        raise UsageError(
            f"the code under test has run for {LOOKS_MAX} s without awaiting, now at {at}",
            "does it loop for ever, or hold a lock of threads across an await?",
        )


def _resumption(frame: FrameType | None) -> FrameType | None:
    """The frame in which code under test is being resumed, if it is; by hand or on our own loop."""
    while frame is not None:
        if frame.f_code is _HAND:
            return frame
        if frame.f_code is _LOOP and isinstance(frame.f_locals["self"]._loop, Loop):
            return frame
        frame = frame.f_back
    return None


def run_patiently(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` for what explores code under test; on uvloop, for many short round trips."""
    with patience(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
