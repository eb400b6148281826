"""What operators watch: Prometheus metrics, and one structured log line for each mutation.

A lock's wait and hold, and the database's wait, are kept apart from the latency of the whole
operation: a strategy that looks slow may only be waiting for a busy database.
"""

import logging
import sys
from typing import Literal

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from structlog.typing import FilteringBoundLogger

from engine.errors import BusinessError
from engine.history import Entry, Outcome, Receipt
from engine.money import show_cents
from engine.ports import Call
from engine.timings import Timings

BUCKETS_S = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)

Family = Literal["business", "system"]


def family_of(code: str) -> Family:
    """Whether an error `code` is the request's fault or the system's."""
    return "business" if code in _codes(BusinessError) else "system"


def _codes(root: type[BusinessError]) -> set[str]:
    # Walked anew each time: users' own errors may join the tree later.
    return {root.code}.union(*(_codes(kind) for kind in root.__subclasses__()))


def operation_logger(*, enabled: bool = True) -> FilteringBoundLogger:
    """A logger that writes JSON lines to standard error; not `enabled`, it says warnings only."""
    level = logging.INFO if enabled else logging.WARNING
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return logger


class PrometheusMonitor:
    """The `Monitor` port. Its metrics live in `registry`, all times in seconds.

    walletrace_operation_seconds, walletrace_lock_wait_seconds, walletrace_lock_hold_seconds
    (acquired to released) and walletrace_store_wait_seconds: histograms by kind. Counters:
    walletrace_operations_total by kind and outcome, walletrace_errors_total by kind, family
    (business or system) and code, walletrace_retries_total by kind, walletrace_cache_events_total
    by event, walletrace_log_failures_total.
    """

    def __init__(
        self, registry: CollectorRegistry, logger: FilteringBoundLogger | None = None
    ) -> None:
        self._logger = logger or operation_logger()

        def histogram(name: str, text: str) -> Histogram:
            return Histogram(name, text, ("kind",), registry=registry, buckets=BUCKETS_S)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        self._latency = histogram("walletrace_operation_seconds", "Whole operation")
        self._lock_wait = histogram("walletrace_lock_wait_seconds", "Wait for the locks")
        self._hold = histogram("walletrace_lock_hold_seconds", "Locks acquired to released")
        self._store_wait = histogram("walletrace_store_wait_seconds", "Wait for the database")
        self._operations = counter("walletrace_operations", "Mutations", "kind", "outcome")
        self._errors = counter("walletrace_errors", "Errors by code", "kind", "family", "code")
        self._retries = counter("walletrace_retries", "Retries after conflicts", "kind")
        self._cache = counter("walletrace_cache_events", "Cache hit, miss or failed", "event")
        self._log_failures = counter("walletrace_log_failures", "Log lines that were lost")

    def finished(
        self, call: Call, outcome: Outcome, code: str, receipt: Receipt | None, timings: Timings
    ) -> None:
        kind = call.operation.kind
        self._operations.labels(kind, outcome.value).inc()
        self._latency.labels(kind).observe((timings.finished_ns - timings.started_ns) / 1e9)
        self._store_wait.labels(kind).observe(timings.store_wait_ns / 1e9)
        # Without a lock there is no wait: a column of zeros would only flatter the others' median.
        if timings.locks:
            self._lock_wait.labels(kind).observe(timings.lock_wait_ns / 1e9)
        if timings.released_ns > timings.acquired_ns:
            self._hold.labels(kind).observe((timings.released_ns - timings.acquired_ns) / 1e9)
        if timings.retries:
            self._retries.labels(kind).inc(timings.retries)
        if code:
            self._errors.labels(kind, family_of(code), code).inc()
        if self._logger.is_enabled_for(logging.INFO):
            self._log(call, outcome, code, receipt, timings)

    def cache(self, event: Literal["hit", "miss", "failed"]) -> None:
        self._cache.labels(event).inc()

    def _log(
        self, call: Call, outcome: Outcome, code: str, receipt: Receipt | None, timings: Timings
    ) -> None:
        try:
            self._logger.info(
                "operation",
                # A replay names the operation that really happened.
                operation_id=receipt.call_id if receipt else call.id,
                replayed=receipt is not None and receipt.call_id != call.id,
                kind=call.operation.kind,
                accounts=_accounts(call, receipt),
                outcome=outcome.value,
                code=code,
                lock_wait_ms=round(timings.lock_wait_ns / 1e6, 3),
                latency_ms=round((timings.finished_ns - timings.started_ns) / 1e6, 3),
            )
        except Exception:  # the money has moved: a full disk must not turn that into an error
            self._log_failures.inc()


def _accounts(call: Call, receipt: Receipt | None) -> list[dict[str, str | int]]:
    if receipt is None:
        return [{"account": account} for account in call.accounts]
    return [_line(entry) for entry in receipt.entries]


def _line(entry: Entry) -> dict[str, str | int]:
    return {
        "account": entry.account,
        "before": show_cents(entry.before),
        "after": show_cents(entry.after),
        "version": entry.version,
    }
