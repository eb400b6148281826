"""The guide's claims about speed, measured: what batches and the cache save.

The guide says that a batch takes fewer locks than its operations one by one, and that reading from
the cache first spares the database.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from engine.load.rounds import Progress, compare
from engine.load.workload import BATCH_LEGS
from engine.results import Load, LoadRun

# One by one what `workload.batch` does at once, kind by kind.
_SINGLES_MIX, _BATCH_MIX = "withdraw=1,add=2,transfer=1", "batch=1"
_READS_MIX = "balance=9,add=1"

# A call of several legs counts as that many operations.
_ACCESSES = "database accesses per operation"
MEASURES: dict[str, Callable[[LoadRun, int], float]] = {
    "lock acquisitions per operation": lambda run, legs: run.locks_per_operation / legs,
    _ACCESSES: lambda run, legs: run.store_accesses_per_operation / legs,
    "operations per second": lambda run, legs: run.throughput_per_s * legs,
    "median answer, ms": lambda run, legs: run.latency.p50_ms,
}
_OF_BATCHES = ("lock acquisitions per operation", _ACCESSES, "operations per second")
# Not throughput: clients that are answered from memory at once keep the loop busy, and those that
# write beside them wait for it.
_OF_CACHE = (_ACCESSES, "median answer, ms")


@dataclass(frozen=True, slots=True)
class Claim:
    """One measure without and with what the guide recommends, per single operation."""

    claim: str
    measure: str
    without: float
    with_it: float

    @property
    def times(self) -> float:
        """How many times as much it is with the recommendation (0.25: a quarter)."""
        return self.with_it / self.without if self.without else 0.0


def guide_claims(
    *,
    lock: str = "per-user",
    clients: int = 16,
    rounds: int = 3,
    seconds: float = 0.5,
    seed: int = 0,
    pin: bool = True,
    on_progress: Progress = lambda run, done, of: None,
) -> tuple[Claim, ...]:
    """Batch against single operations, and cache on against off: medians over the rounds."""
    singles = Load(lock, clients, "uniform:1000", _SINGLES_MIX)
    batches = replace(singles, mix=_BATCH_MIX)
    direct = Load(lock, clients, "zipf:1000", _READS_MIX)
    cached = replace(direct, cache=True)
    runs = compare(
        [singles, batches, direct, cached],
        rounds=rounds,
        seconds=seconds,
        seed=seed,
        pin=pin,
        on_progress=on_progress,
    )

    def claim(what: str, measure: str, without: Load, with_it: Load, legs: int = 1) -> Claim:
        value = MEASURES[measure]
        return Claim(
            what,
            measure,
            _median(runs, without, lambda run: value(run, 1)),
            _median(runs, with_it, lambda run: value(run, legs)),
        )

    batch = f"batches of {BATCH_LEGS}, not one by one"
    cache = "cache first, 9 of 10 calls read"
    return (
        *(claim(batch, measure, singles, batches, BATCH_LEGS) for measure in _OF_BATCHES),
        *(claim(cache, measure, direct, cached) for measure in _OF_CACHE),
    )


def _median(runs: Sequence[LoadRun], load: Load, value: Callable[[LoadRun], float]) -> float:
    found = [value(run) for run in runs if run.load == load]
    return median(found) if found else 0.0
