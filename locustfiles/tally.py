"""All that one Locust process counts in a run; master and workers add theirs up.

Locust rounds its statistics to milliseconds and more, so the durations are kept here once more, in
HDR histograms of microseconds with three digits: their memory is bounded, and they merge exactly.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from hdrh.histogram import HdrHistogram

from locustfiles.answers import Answer
from locustfiles.ledger import Effects, Ledger

DURATION_US_MAX = 3_600_000_000
MEASURES = ("latency", "lock_wait", "store_wait")
PERCENTILES = {"p50_ms": 50.0, "p90_ms": 90.0, "p99_ms": 99.0, "p999_ms": 99.9, "max_ms": 100.0}

# hdrhistogram carries no types.
_new_histogram: Callable[..., Any] = HdrHistogram


def _histogram() -> Any:
    return _new_histogram(1, DURATION_US_MAX, 3)


class Tally:
    """Counts and durations of one process, for the run called `run_id`."""

    def __init__(self, run_id: str = "") -> None:
        self.run_id = run_id
        self.ledger = Ledger()
        self.sent = 0
        self.ok: Counter[str] = Counter()  # by kind of request
        self.refused: Counter[str] = Counter()  # by code
        self.errors: Counter[str] = Counter()  # by code
        self.unanswered = 0
        self.acknowledged = 0
        self.service_workers: set[str] = set()
        self.seconds = 0.0
        self._histograms: dict[tuple[str, str], Any] = defaultdict(_histogram)

    def begin(self, effects: Effects) -> None:
        """A request leaves; until `end` it counts as one whose outcome is unknown."""
        self.sent += 1
        self.unanswered += bool(effects)
        self.ledger.sent(effects)

    def end(self, kind: str, answer: Answer, code: str, effects: Effects) -> None:
        """What came of a request."""
        if answer is Answer.OK:
            self.ok[kind] += 1
            self.acknowledged += bool(effects)
            self.ledger.happened(effects)
        elif answer is Answer.REFUSED:
            self.refused[code] += 1
        else:
            self.errors[code] += 1
        if answer in (Answer.REFUSED, Answer.FAILED):
            self.ledger.nothing_happened(effects)
        self.unanswered -= bool(effects) and answer is not Answer.UNKNOWN

    def served_by(self, service_worker: str | None) -> None:
        """Which process of the service answered, if it says so."""
        if service_worker is not None:
            self.service_workers.add(service_worker)

    def note(self, kind: str, measure: str, duration_ms: float) -> None:
        """One duration of one kind of request."""
        self._histograms[kind, measure].record_value(min(int(duration_ms * 1000), DURATION_US_MAX))

    def percentiles(self) -> dict[str, dict[str, dict[str, float]]]:
        """Kind ("all" for all of them together) to measure to percentiles in milliseconds."""
        table: dict[str, dict[str, dict[str, float]]] = {}
        for measure in MEASURES:
            everything = _histogram()
            for (kind, of), histogram in sorted(self._histograms.items()):
                if of == measure:
                    everything.add(histogram)
                    table.setdefault(kind, {})[measure] = _percentiles(histogram)
            table.setdefault("all", {})[measure] = _percentiles(everything)
        return table

    def as_message(self) -> dict[str, Any]:
        """Plain values that travel to the master."""
        return {
            "run_id": self.run_id,
            "low": dict(self.ledger.low),
            "high": dict(self.ledger.high),
            "sent": self.sent,
            "ok": dict(self.ok),
            "refused": dict(self.refused),
            "errors": dict(self.errors),
            "unanswered": self.unanswered,
            "acknowledged": self.acknowledged,
            "service_workers": sorted(self.service_workers),
            "seconds": self.seconds,
            "histograms": [
                [kind, measure, histogram.encode()]
                for (kind, measure), histogram in self._histograms.items()
            ],
        }

    def merge(self, message: dict[str, Any]) -> None:
        """Add another process's `as_message`; processes run side by side, so the longest counts."""
        self.ledger.merge(message["low"], message["high"])
        self.ok.update(message["ok"])
        self.refused.update(message["refused"])
        self.errors.update(message["errors"])
        self.sent += message["sent"]
        self.unanswered += message["unanswered"]
        self.acknowledged += message["acknowledged"]
        self.service_workers.update(message["service_workers"])
        self.seconds = max(self.seconds, message["seconds"])
        for kind, measure, encoded in message["histograms"]:
            self._histograms[kind, measure].decode_and_add(encoded)


def _percentiles(histogram: Any) -> dict[str, float]:
    return {
        name: histogram.get_value_at_percentile(percent) / 1000
        for name, percent in PERCENTILES.items()
    }
