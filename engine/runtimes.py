"""The free-running world: asyncio, the real clock, real luck."""

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from engine.ports import Cell

T = TypeVar("T")

BACKOFF_MS = 1.0
BACKOFF_MS_MAX = 200.0


class AsyncioRuntime:
    """One service instance in this process. `rng` decides only the jitter of back-offs."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()
        self._cells: dict[str, Cell[Any]] = {}
        self._beside: set[asyncio.Task[None]] = set()
        self._prefix = uuid.uuid4().hex[:16]
        self._ids = 0

    def mutex(self, name: str) -> asyncio.Lock:
        """asyncio's own lock: FIFO, and released without a wait."""
        return asyncio.Lock()

    def cell(self, name: str, initial: Callable[[], T]) -> Cell[T]:
        if name not in self._cells:
            self._cells[name] = Cell(initial())
        return self._cells[name]

    async def backoff(self, attempt: int) -> None:
        longest_ms = min(BACKOFF_MS_MAX, BACKOFF_MS * 2.0**attempt)
        await asyncio.sleep(self._rng.random() * longest_ms / 1000)

    def now_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def new_id(self) -> str:
        self._ids += 1
        return f"{self._prefix}-{self._ids}"

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._beside.add(task)  # the loop itself keeps tasks only weakly
        task.add_done_callback(self._beside.discard)

    async def drain(self) -> None:
        """Wait until all spawned work has ended."""
        while self._beside:
            tasks = list(self._beside)
            await asyncio.gather(*tasks, return_exceptions=True)
            # From Python 3.12 on, gathering what has ended does not even let its callbacks run.
            self._beside.difference_update(tasks)
