"""Lock wait as rows of its own in Locust's statistics, from the service's Server-Timing header.

The service measures where the waiting happens, so network and JSON are not in it: `LOCK` rows are
the lock strategy's own waiting, `DBWAIT` rows the database's.

>>> durations_ms("lock;dur=1.250, db;dur=0.5;desc=sqlite, cache")
{'lock': 1.25, 'db': 0.5}
"""

import re
from typing import Any, NamedTuple

from locustfiles.tally import Tally

_DURATION = re.compile(
    r"""(?:^|,)\s*([^\s;,]+)[^,]*?;\s*dur\s*=\s*"?(\d+(?:\.\d+)?)""", re.ASCII | re.IGNORECASE
)


class Wait(NamedTuple):
    metric: str  # in the header (W3C Server Timing)
    measure: str  # in the tally
    row_type: str  # in Locust's statistics
    row_name: str


WAITS = (
    Wait("lock", "lock_wait", "LOCK", "lock wait"),
    Wait("dbwait", "store_wait", "DBWAIT", "db wait"),
)


def durations_ms(header: str | None) -> dict[str, float]:
    """Metric to milliseconds; metrics without a readable duration are left out."""
    return {name: float(duration) for name, duration in _DURATION.findall(header or "")}


def note_waits(header: str | None, kind: str, tally: Tally, stats: Any) -> None:
    """Note the waits of one request of `kind` in `tally` and in Locust's `stats`."""
    durations = durations_ms(header)
    for wait in WAITS:
        duration_ms = durations.get(wait.metric)
        if duration_ms is not None:
            tally.note(kind, wait.measure, duration_ms)
            # Into the row only: waits are no requests, the sum of all requests stays true.
            stats.entries[f"{kind} {wait.row_name}", wait.row_type].log(duration_ms, 0)
