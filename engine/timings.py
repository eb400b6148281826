"""Where the time of one call went, measured where it happens and carried beside the call.

Wrappers note into the call's own `Timings`, found through a context variable, so that neither lock
strategies nor the wallet know about clocks. All times are `time.perf_counter_ns()` readings.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter_ns

from engine.recording import Step


@dataclass(slots=True)
class Timings:
    """One call's clock readings and sums, in nanoseconds; zero means it did not happen.

    `requested_ns` the first lock was asked for, `acquired_ns` the last was granted,
    `committed_ns` the write was committed, `released_ns` the last lock was given back.
    `lock_wait_ns` is the strategy's own waiting; `store_wait_ns` the database's (queue for a
    connection, and its busy lock); `store_ns` all time in the store, waiting included. `seen` is
    what the last look at balances found: account to (cents, version), absent wallets left out.
    `steps`, unless None, collects what was done inside of the call: which step, on what, and when.
    """

    started_ns: int = 0
    requested_ns: int = 0
    acquired_ns: int = 0
    committed_ns: int = 0
    released_ns: int = 0
    finished_ns: int = 0
    lock_wait_ns: int = 0
    store_wait_ns: int = 0
    store_ns: int = 0
    store_accesses: int = 0
    locks: int = 0
    retries: int = 0
    seen: Mapping[str, tuple[int, int]] | None = None
    steps: list[tuple[Step, str, int]] | None = None


CURRENT: ContextVar[Timings | None] = ContextVar("walletrace_timings", default=None)


def saw(rows: Mapping[str, tuple[int, int]]) -> None:
    """Note balances that the current call has looked at, if anybody keeps its Timings."""
    timings = CURRENT.get()
    if timings is not None:
        timings.seen = rows


def note(step: Step, *names: str) -> None:
    """Note a step that the current call has just taken, if its steps are collected."""
    timings = CURRENT.get()
    if timings is not None and timings.steps is not None:
        at_ns = perf_counter_ns()
        timings.steps += [(step, name, at_ns) for name in names or ("",)]
