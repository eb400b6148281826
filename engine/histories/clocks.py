"""Clocks of several machines, put on one with an error that somebody vouches for.

Without that, calls on different clocks have no real-time order. With it, both ends of an interval
are moved outwards as far as the truth may lie: intervals are widened and never narrowed.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import UsageError

# A day: whoever knows the time no better knows nothing of the order of calls.
ERROR_NS_MAX = 86_400 * 10**9


def on_one_clock(table: Any, clocks: Mapping[str, tuple[int, int]], error_ns: int) -> Any:
    """`table` (as in `history_from_table`) with every interval on the wall clock, widened.

    `clocks`: name to the least and the most from that clock to its machine's wall clock, in ns;
    (0, 0) where it is the wall clock. `error_ns`: how far a wall clock may be from the true time.
    Steps inside of calls are left out: at this precision they have no order. UsageError.
    """
    if not 0 <= error_ns <= ERROR_NS_MAX:
        raise UsageError(f"a clock error of {error_ns} ns", f"use 0 to {ERROR_NS_MAX}")
    if "record" in table.column_names:
        table = table.filter(pc.fill_null(pc.not_equal(table["record"], "event"), True))
    names = pc.fill_null(pc.cast(table["clock"], pa.string()), "").to_numpy()
    known, place = np.unique(names.astype(str), return_inverse=True)
    unknown = sorted(set(known.tolist()) - set(clocks) - {""})
    if unknown:
        raise UsageError(f"nothing is known of the clock {unknown[0]!r}", "leave the error out")
    far = np.array([clocks.get(name, (0, 0)) for name in known.tolist()], np.int64)
    moves = {"invoked": far[place, 0] - error_ns, "completed": far[place, 1] + error_ns}
    for name, by in moves.items():
        moved = pc.add(table[name], pa.array(by))
        table = table.set_column(table.column_names.index(name), name, moved)
    nothing = pa.nulls(len(table), pa.string())
    return table.set_column(table.column_names.index("clock"), "clock", nothing)
