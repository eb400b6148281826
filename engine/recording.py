"""What a run remembers of its calls while it runs: numbers in flat arrays, spilt to disk.

Standard library only, since Locust's processes record too.
"""

from enum import IntEnum


class Kind(IntEnum):
    """What a call asked for. CHANGE: some change of balances, known by its entries only."""

    BALANCE = 0
    CHECK = 1
    WITHDRAW = 2
    ADD = 3
    TRANSFER = 4
    BATCH = 5
    OPEN = 6
    CHANGE = 7


class Ended(IntEnum):
    """How a call ended. A CHECK that was answered "not enough" is REFUSED."""

    OK = 0
    REFUSED = 1
    UNKNOWN = 2


class Step(IntEnum):
    """A step inside of a call, where lock and transaction events are recorded."""

    LOCK_ASKED = 0
    LOCK_GRANTED = 1
    LOCK_RELEASED = 2
    BEGUN = 3
    SNAPSHOT = 4
    WRITTEN = 5
    COMMITTED = 6
    ROLLED_BACK = 7
    CACHE_PUT = 8
