"""Where a request's time went, for the response header `Server-Timing`.

Timings belong to calls and are opened below the wallet; a request finds those of its own calls
through a context variable.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter_ns
from typing import Literal

from engine.history import Outcome, Receipt
from engine.ports import Call, Monitor
from engine.timings import CURRENT, Timings


class Notes:
    """The calls of one request."""

    __slots__ = ("_calls", "_started_ns")

    def __init__(self) -> None:
        self._started_ns = perf_counter_ns()
        self._calls: list[tuple[str, Timings]] = []

    def note(self, call_id: str, timings: Timings) -> None:
        self._calls.append((call_id, timings))

    def is_earlier(self, receipt: Receipt) -> bool:
        """The receipt was made by an earlier request."""
        return all(receipt.call_id != call_id for call_id, _ in self._calls)

    @property
    def seen(self) -> Mapping[str, tuple[int, int]]:
        """Account to (cents, version), as the last of the calls found them."""
        return (self._calls[-1][1].seen or {}) if self._calls else {}

    def header(self) -> str:
        """`lock` the strategy's wait, `db` the time in the store, `dbwait` the part of it spent
        waiting, `total` the whole request so far; all in ms.
        """
        durations_ns = {
            "lock": sum(timings.lock_wait_ns for _, timings in self._calls),
            "db": sum(timings.store_ns for _, timings in self._calls),
            "dbwait": sum(timings.store_wait_ns for _, timings in self._calls),
            "total": perf_counter_ns() - self._started_ns,
        }
        return ", ".join(f"{name};dur={ns / 1e6:.3f}" for name, ns in durations_ns.items())


_NOTES: ContextVar[Notes | None] = ContextVar("walletrace_notes", default=None)


@contextmanager
def noting() -> Iterator[Notes]:
    """Collect the calls made inside."""
    notes = Notes()
    token = _NOTES.set(notes)
    try:
        yield notes
    finally:
        _NOTES.reset(token)


@contextmanager
def looking() -> Iterator[Timings]:
    """Timings for a question, of which no lock strategy knows; `seen` will hold the row it saw."""
    timings = Timings(started_ns=perf_counter_ns())
    token = CURRENT.set(timings)
    try:
        yield timings
    finally:
        CURRENT.reset(token)


class NotingMonitor:
    """A Monitor that also tells the request which made the call."""

    def __init__(self, inner: Monitor) -> None:
        self._inner = inner

    def finished(
        self, call: Call, outcome: Outcome, code: str, receipt: Receipt | None, timings: Timings
    ) -> None:
        notes = _NOTES.get()
        if notes is not None:
            notes.note(call.id, timings)
        self._inner.finished(call, outcome, code, receipt, timings)

    def cache(self, event: Literal["hit", "miss", "failed"]) -> None:
        self._inner.cache(event)
