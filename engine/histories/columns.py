"""A history as columns of whole numbers: one row a call, one row for each account it touched.

Judges of millions of operations want arrays, not objects: everything here is numpy. Names (of
accounts, clients, operations, codes) are places in sequences of texts. What was not recorded is
MISSING. See `by_hand` for histories that people write.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.recording import MISSING

__all__ = ["FOREVER", "INSUFFICIENT", "MISSING", "Events", "History", "Ints", "Log", "Names"]

Ints = NDArray[np.int64]
Names = Sequence[str]

# The end of a call that was never answered.
FOREVER = 2**62


# The code of the one refusal that says something about a balance: it held less than was needed.
INSUFFICIENT = "insufficient_funds"


@dataclass(frozen=True, slots=True)
class Log:
    """The operation log: one row for each account touched by one operation, in any order.

    `operation` and `account` are places in the history's names; money in its smallest unit.
    """

    operation: Ints
    account: Ints
    kind: Ints
    amount: Ints
    before: Ints
    after: Ints
    version: Ints

    def __len__(self) -> int:
        return len(self.operation)


@dataclass(frozen=True, slots=True)
class Events:
    """Steps inside of calls (see `recording.Step`), in any order: `call` did `step` on `name`.

    `at`: the clock of the call's interval. `name` is a place in `names`.
    """

    call: Ints
    step: Ints
    name: Ints
    at: Ints
    names: Names = ()


@dataclass(frozen=True, slots=True)
class History:
    """Calls as intervals, in order of invocation, with what each did to each account.

    Per call: `operation` (a place in `operations`), `client`, `kind`, `ended`, `code` (a place in
    `codes`, 0 is none), `key` (a number for each idempotency key, -1 is none), `invoked` and
    `completed` (ns, FOREVER if unknown; MISSING in both where only an operation log is known) and
    `clock` (calls of different clocks have no real-time order).

    Per entry (call i has those from `first[i]` to `first[i + 1]`): `account`; `amount`, by which
    the call wanted to change it (signed; 0 for a BALANCE); `need`, what the account had to hold
    (for a CHECK: the amount asked about); `before`, `after`, `version`: what it found, what it
    left, and the version it wrote, or saw where nothing was changed. MISSING where unknown.

    `openings`, `opening_versions`, `finals`, `final_versions`: per account, MISSING where unknown.
    `log`: the operation log in the end, None where unknown; `log_keys`: for each of its rows the
    number of an idempotency key, -1 is none (None where no row has one). `complete`: the final
    phase (drain, read all balances and the log) ended; else what is not in the log may still
    happen.
    `decimals`: how many digits of the money stand behind the point. `clocks` names the clocks.
    """

    operation: Ints
    client: Ints
    kind: Ints
    ended: Ints
    code: Ints
    key: Ints
    invoked: Ints
    completed: Ints
    clock: Ints
    first: Ints
    account: Ints
    amount: Ints
    need: Ints
    before: Ints
    after: Ints
    version: Ints
    operations: Names
    clients: Names
    accounts: Names
    codes: Names
    openings: Ints
    opening_versions: Ints
    finals: Ints
    final_versions: Ints
    log: Log | None = None
    log_keys: Ints | None = None
    events: Events | None = None
    complete: bool = False
    decimals: int = 2
    clocks: Names = ("",)

    @property
    def calls(self) -> int:
        return len(self.kind)

    @property
    def entries(self) -> int:
        return len(self.account)

    def call_of_entry(self) -> Ints:
        """For each entry, its call."""
        return np.repeat(np.arange(self.calls), np.diff(self.first))

    def keep(self, calls: NDArray[np.bool_]) -> "History":
        """The history of these calls alone (a mask); names, openings, finals, log stay."""
        entries = np.repeat(calls, np.diff(self.first))
        first = np.concatenate(([0], np.cumsum(np.diff(self.first)[calls])))
        per_call = {name: getattr(self, name)[calls] for name in PER_CALL}
        per_entry = {name: getattr(self, name)[entries] for name in PER_ENTRY}
        return replace(self, first=first, events=None, **per_call, **per_entry)


PER_CALL = (
    "operation",
    "client",
    "kind",
    "ended",
    "code",
    "key",
    "invoked",
    "completed",
    "clock",
)
PER_ENTRY = ("account", "amount", "need", "before", "after", "version")
