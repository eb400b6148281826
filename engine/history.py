"""What happened: receipts, and calls as intervals between invocation and completion.

Standard library only. A call that was never answered has no `completed_ns` and the outcome
`unknown`: it may have happened or not, at any time after it was invoked.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from engine.operations import Operation, Question


class Entry(NamedTuple):
    """What one operation did to one account (cents; `version` is the one it wrote)."""

    account: str
    before: int
    after: int
    version: int


class Receipt(NamedTuple):
    """The answer to a mutation. It carries no clock: a retry gets the very same one."""

    call_id: str
    entries: tuple[Entry, ...]


class LogRow(NamedTuple):
    """One row of the operation log: one account touched by one operation.

    Amounts in cents; `amount` is after - before; `time_ms` since the epoch.
    """

    operation_id: str
    account: str
    kind: str
    amount: int
    before: int
    after: int
    version: int
    description: str
    time_ms: int


class Outcome(StrEnum):
    """How a call ended, as its caller knows it."""

    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call as its client saw it. `answer`: the Receipt, or what a question returned.

    `invoked_ns` and `completed_ns` come from one monotonic clock (in explored runs: step numbers).
    """

    client: str
    request: Operation | Question
    invoked_ns: int
    completed_ns: int | None
    outcome: Outcome
    code: str = ""
    answer: Receipt | int | bool | None = None
    key: str | None = None
