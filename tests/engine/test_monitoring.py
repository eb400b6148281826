"""What operators see: metrics and log lines of real operations."""

import asyncio
import json
import re
from io import StringIO
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry, generate_latest

from engine.errors import Conflict, InsufficientFunds, SystemFault
from engine.history import Entry, Outcome, Receipt
from engine.locks.per_user import PerUserLock
from engine.monitoring import PrometheusMonitor, family_of
from engine.operations import Withdraw
from engine.ports import Call
from engine.runtimes import AsyncioRuntime
from engine.stores.sqlite import SqliteDatabase
from engine.timed import TimedRuntime, Watched
from engine.timings import Timings
from engine.wallet import WalletService

MS = 1_000_000


def logger_into(file):
    return structlog.wrap_logger(
        structlog.WriteLogger(file),
        processors=[structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(20),
    )


class Watch:
    """A monitor, what it measured and what it logged."""

    def __init__(self):
        self.registry = CollectorRegistry()
        self.file = StringIO()
        self.monitor = PrometheusMonitor(self.registry, logger_into(self.file))

    def value(self, name, **labels):
        return self.registry.get_sample_value(name, labels)

    def lines(self):
        return [json.loads(line) for line in self.file.getvalue().splitlines()]


CALL = Call("op-1", Withdraw("alice", 150))
RECEIPT = Receipt("op-1", (Entry("alice", 1000, 850, 2),))
TIMINGS = Timings(
    started_ns=1 * MS,
    requested_ns=1 * MS,
    acquired_ns=4 * MS,
    released_ns=9 * MS,
    finished_ns=11 * MS,
    lock_wait_ns=3 * MS,
    store_wait_ns=2 * MS,
    locks=1,
    retries=2,
)


def test_each_duration_goes_into_its_own_histogram():
    watch = Watch()
    watch.monitor.finished(CALL, Outcome.OK, "", RECEIPT, TIMINGS)
    sums = {
        name: watch.value(f"walletrace_{name}_seconds_sum", kind="withdraw")
        for name in ("operation", "lock_wait", "lock_hold", "store_wait")
    }
    assert sums == pytest.approx(
        {"operation": 0.010, "lock_wait": 0.003, "lock_hold": 0.005, "store_wait": 0.002}
    )
    assert watch.value("walletrace_retries_total", kind="withdraw") == 2


def test_buckets_reach_from_50_microseconds_to_10_seconds():
    watch = Watch()
    watch.monitor.finished(CALL, Outcome.OK, "", RECEIPT, TIMINGS)
    text = generate_latest(watch.registry).decode()
    bounds = re.findall(r'walletrace_operation_seconds_bucket{kind="withdraw",le="([^"]+)"', text)
    assert (float(bounds[0]), bounds[-2:]) == (0.00005, ["10.0", "+Inf"])


def test_without_a_lock_no_lock_wait_is_counted():
    watch = Watch()
    watch.monitor.finished(CALL, Outcome.OK, "", RECEIPT, Timings(started_ns=1, finished_ns=2))
    assert watch.value("walletrace_lock_wait_seconds_count", kind="withdraw") is None
    assert watch.value("walletrace_operation_seconds_count", kind="withdraw") == 1


@pytest.mark.parametrize(
    ("error", "family"), [(InsufficientFunds, "business"), (Conflict, "system")]
)
def test_business_errors_are_counted_apart_from_system_errors(error, family):
    watch = Watch()
    watch.monitor.finished(CALL, Outcome.REFUSED, error.code, None, TIMINGS)
    assert (
        watch.value("walletrace_errors_total", kind="withdraw", family=family, code=error.code) == 1
    )
    assert watch.value("walletrace_operations_total", kind="withdraw", outcome="refused") == 1


def test_what_has_no_code_in_the_tree_is_the_systems_fault():
    assert {family_of(code) for code in ("cancelled", "fault", SystemFault.code)} == {"system"}


def test_cache_events_are_counted():
    watch = Watch()
    for event in ("hit", "hit", "miss", "failed"):
        watch.monitor.cache(event)
    counts = [
        watch.value("walletrace_cache_events_total", event=e) for e in ("hit", "miss", "failed")
    ]
    assert counts == [2, 1, 1]


def test_a_log_line_tells_the_operation_with_exact_decimals():
    watch = Watch()
    watch.monitor.finished(CALL, Outcome.OK, "", RECEIPT, TIMINGS)
    assert watch.lines() == [
        {
            "event": "operation",
            "operation_id": "op-1",
            "replayed": False,
            "kind": "withdraw",
            "accounts": [{"account": "alice", "before": "10.00", "after": "8.50", "version": 2}],
            "outcome": "ok",
            "code": "",
            "lock_wait_ms": 3.0,
            "latency_ms": 10.0,
        }
    ]


def test_a_failing_logger_breaks_no_operation_and_is_counted():
    watch = Watch()
    watch.file.close()
    watch.monitor.finished(CALL, Outcome.OK, "", RECEIPT, TIMINGS)
    assert watch.value("walletrace_log_failures_total") == 1


def test_real_operations_are_measured_and_logged(tmp_path):
    watch = Watch()

    async def act():
        async with await SqliteDatabase.open(tmp_path / "wallets.db") as database:
            await database.reset({"alice": 1000})
            runtime = TimedRuntime(AsyncioRuntime())
            lock = Watched(PerUserLock(runtime), watch.monitor)
            wallet = WalletService(lock, database.session, runtime)
            await wallet.withdraw("alice", 400, key="k")
            await wallet.withdraw("alice", 400, key="k")
            with pytest.raises(InsufficientFunds):
                await wallet.withdraw("alice", 700)

    asyncio.run(act())
    first, replay, refused = watch.lines()
    assert (first["outcome"], first["replayed"], first["accounts"][0]["after"]) == (
        *("ok", False, "6.00"),
    )
    assert (replay["operation_id"], replay["replayed"]) == (first["operation_id"], True)
    assert (refused["outcome"], refused["code"], refused["accounts"]) == (
        *("refused", "insufficient_funds", [{"account": "alice"}]),
    )
    assert watch.value("walletrace_lock_hold_seconds_count", kind="withdraw") == 3
    assert watch.value("walletrace_lock_hold_seconds_sum", kind="withdraw") > 0


def test_alert_rules_name_only_metrics_that_exist():
    watch = Watch()
    rules = Path(__file__).parents[2] / "docs" / "alerts.yml"
    named = set(re.findall(r"walletrace_\w+", rules.read_text(encoding="utf-8")))
    families = {family.name: family.type for family in watch.registry.collect()}
    shown = {f"{name}_total" for name, kind in families.items() if kind == "counter"} | {
        f"{name}_bucket" for name, kind in families.items() if kind == "histogram"
    }
    assert named <= shown
    assert len(named) > 8
