"""What a load run remembers of each call: one row of whole numbers, cheap enough to keep them all.

A `Monitor` that appends clock readings to one flat array; every figure is computed afterwards.
Beside that it sums what was acknowledged, account by account, for the judgement at the end.
"""

from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.errors import WalletraceError
from engine.history import Outcome, Receipt
from engine.ports import Call
from engine.timings import CURRENT, Timings

COLUMNS = (
    "invoked",
    "requested",
    "acquired",
    "committed",
    "released",
    "completed",
    "lock_wait",
    "store_wait",
    "locks",
    "store_accesses",
    "retries",
    "question",
    "code",
)
# About 100 MB. A run that gets so far ends early.
ROWS_MAX = 1_000_000

OK = ""


@dataclass(slots=True)
class Recorder:
    """Rows of COLUMNS (clock readings and waits in ns), and the sums that were acknowledged.

    `acknowledged` maps an account to the cents that receipts say it gained; `unsettled` are ids of
    calls that may or may not have happened. A row's `code` is its place in `codes`.
    """

    rows: "array[int]" = field(default_factory=lambda: array("q"))
    codes: dict[str, int] = field(default_factory=lambda: {OK: 0})
    acknowledged: Counter[str] = field(default_factory=Counter)
    unsettled: set[str] = field(default_factory=set)

    @property
    def full(self) -> bool:
        return len(self.rows) >= ROWS_MAX * len(COLUMNS)

    def finished(
        self, call: Call, outcome: Outcome, code: str, receipt: Receipt | None, timings: Timings
    ) -> None:
        """A mutation ended."""
        if receipt is not None:
            for account, before, after, _ in receipt.entries:
                self.acknowledged[account] += after - before
        if outcome is Outcome.UNKNOWN:
            self.unsettled.add(call.id)
        self._keep(timings, code, question=False)

    def cache(self, event: Literal["hit", "miss", "failed"]) -> None:
        """Hits show as questions that needed no database."""

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Time a question, of which a lock strategy knows nothing."""
        timings = Timings(started_ns=perf_counter_ns())
        token = CURRENT.set(timings)
        code = OK
        try:
            yield
        except WalletraceError as error:
            code = error.code
            raise
        finally:
            CURRENT.reset(token)
            timings.finished_ns = perf_counter_ns()
            self._keep(timings, code, question=True)

    def _keep(self, timings: Timings, code: str, *, question: bool) -> None:
        self.rows.extend(
            (
                timings.started_ns,
                timings.requested_ns,
                timings.acquired_ns,
                timings.committed_ns,
                timings.released_ns,
                timings.finished_ns,
                timings.lock_wait_ns,
                timings.store_wait_ns,
                timings.locks,
                timings.store_accesses,
                timings.retries,
                question,
                self.codes.setdefault(code, len(self.codes)),
            )
        )


def table(recorder: Recorder, *, from_ns: int, until_ns: int) -> dict[str, NDArray[np.int64]]:
    """The columns of the calls that were completed in this time, so without the warm-up."""
    rows = np.array(recorder.rows, np.int64).reshape(-1, len(COLUMNS))
    completed = rows[:, COLUMNS.index("completed")]
    kept = rows[(completed >= from_ns) & (completed < until_ns)]
    return {name: kept[:, place] for place, name in enumerate(COLUMNS)}
