"""What a load run remembers of each call: one row of whole numbers, cheap enough to keep them all.

A `Monitor` that appends clock readings to one flat buffer; every figure is computed afterwards.
Beside that it sums what was acknowledged, account by account, and hands each call to a `Recording`,
both for the judgement at the end.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from struct import Struct
from time import perf_counter_ns
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.errors import SYSTEM_CODES, InsufficientFunds, WalletraceError
from engine.history import Outcome, Receipt
from engine.load.touched import touched
from engine.operations import Add, Balance, Question, Withdraw
from engine.ports import Call
from engine.recording import MISSING, Ended, Kind, Recording
from engine.timings import CURRENT, Timings

COLUMNS = (
    "invoked",
    "requested",
    "acquired",
    "committed",
    "released",
    "completed",
    "lock_wait",
    "store_wait",
    "locks",
    "store_accesses",
    "retries",
    "question",
    "code",
)
# About 100 MB. A run that gets so far ends early.
ROWS_MAX = 1_000_000

OK = ""
# Who is asking, set once by each client.
CLIENT: ContextVar[str] = ContextVar("walletrace_client", default="")

# Packed, a row costs a third of what an `array` takes for its numbers.
_ROW = Struct(f"{len(COLUMNS)}q")
_KINDS = {kind.name.lower(): kind for kind in Kind}
_SINGLE = (Withdraw, Add)
# Looked up once: a member of an enumeration costs as much as a whole row.
_OK, _UNKNOWN = Outcome.OK, Outcome.UNKNOWN
_WITHDRAW = Kind.WITHDRAW
_ENDED_OK, _ENDED_REFUSED, _ENDED_UNKNOWN = Ended.OK, Ended.REFUSED, Ended.UNKNOWN


@dataclass(slots=True)
class Recorder:
    """Rows of COLUMNS (clock readings and waits in ns), and the sums that were acknowledged.

    `acknowledged` maps an account to the cents that receipts say it gained; `unsettled` are ids of
    calls that may or may not have happened. A row's `code` is its place in `codes`.
    """

    recording: Recording | None = None
    boundaries: bool = False
    rows: bytearray = field(default_factory=bytearray)
    codes: dict[str, int] = field(default_factory=lambda: {OK: 0})
    acknowledged: Counter[str] = field(default_factory=Counter)
    unsettled: set[str] = field(default_factory=set)

    @property
    def full(self) -> bool:
        return len(self.rows) >= ROWS_MAX * _ROW.size

    def finished(
        self, call: Call, outcome: Outcome, code: str, receipt: Receipt | None, timings: Timings
    ) -> None:
        """A mutation ended."""
        if receipt is not None:
            for account, before, after, _ in receipt.entries:
                self.acknowledged[account] += after - before
        if outcome is _UNKNOWN:
            self.unsettled.add(call.id)
        self._keep(timings, code, question=False)
        if self.recording is not None:
            self._record(self.recording, call, outcome, code, receipt, timings)

    def cache(self, event: Literal["hit", "miss", "failed"]) -> None:
        """Hits show as questions that needed no database."""

    def _record(
        self,
        recording: Recording,
        call: Call,
        outcome: Outcome,
        code: str,
        receipt: Receipt | None,
        timings: Timings,
    ) -> None:
        operation = call.operation
        kind = _KINDS[operation.kind]
        plain = call.key is None and timings.steps is None
        if plain and receipt is not None and isinstance(operation, _SINGLE):
            # Most calls, spelt out for speed; `touched` says what it means.
            amount = operation.amount
            account, before, after, version = receipt.entries[0]
            recording.one(
                call.id,
                CLIENT.get(),
                kind,
                _ENDED_OK,
                timings.started_ns,
                timings.finished_ns,
                account,
                -amount if kind is _WITHDRAW else amount,
                amount if kind is _WITHDRAW else 0,
                before,
                after,
                version,
            )
            return
        ended, seen = _ENDED_OK, None
        if outcome is _UNKNOWN:
            ended = _ENDED_UNKNOWN
        elif outcome is not _OK:
            ended = _ENDED_REFUSED
            # What an undone transaction has read need never have been true.
            seen = None if code in SYSTEM_CODES else timings.seen
        rows = touched(operation, receipt, seen)
        recording.call(
            call.id,
            CLIENT.get(),
            kind,
            ended,
            timings.started_ns,
            timings.finished_ns,
            rows,
            code,
            call.key,
            timings.steps or (),
        )

    async def asked(
        self, question: Question, ask: Callable[[Question], Awaitable[int | bool]]
    ) -> None:
        """Ask, and time it: of questions a lock strategy knows nothing."""
        timings = Timings(started_ns=perf_counter_ns())
        token = CURRENT.set(timings)
        code, answer = OK, None
        try:
            answer = await ask(question)
        except WalletraceError as error:
            code = error.code
            raise
        finally:
            CURRENT.reset(token)
            timings.finished_ns = perf_counter_ns()
            self._keep(timings, code, question=True)
            if self.recording is not None:
                self._record_question(self.recording, question, answer, code, timings)

    def _record_question(
        self,
        recording: Recording,
        question: Question,
        answer: int | bool | None,
        code: str,
        timings: Timings,
    ) -> None:
        seen = timings.seen
        if isinstance(question, Balance) and answer is not None:
            # What the client was told counts, whatever row it was read from.
            _, version = (seen or {}).get(question.account, (0, MISSING))
            seen = {question.account: (answer, version)}
        if answer is False:
            code = InsufficientFunds.code
        ended = (
            Ended.UNKNOWN if answer is None and not code else Ended.REFUSED if code else Ended.OK
        )
        recording.call(
            "",
            CLIENT.get(),
            _KINDS[question.kind],
            ended,
            timings.started_ns,
            timings.finished_ns,
            touched(question, seen=seen),
            code,
        )

    def _keep(self, timings: Timings, code: str, *, question: bool) -> None:
        self.rows += _ROW.pack(
            timings.started_ns,
            timings.requested_ns,
            timings.acquired_ns,
            timings.committed_ns,
            timings.released_ns,
            timings.finished_ns,
            timings.lock_wait_ns,
            timings.store_wait_ns,
            timings.locks,
            timings.store_accesses,
            timings.retries,
            question,
            self.codes.setdefault(code, len(self.codes)),
        )


def table(recorder: Recorder, *, from_ns: int, until_ns: int) -> dict[str, NDArray[np.int64]]:
    """The columns of the calls that were completed in this time, so without the warm-up."""
    rows = np.frombuffer(bytes(recorder.rows), np.int64).reshape(-1, len(COLUMNS))
    completed = rows[:, COLUMNS.index("completed")]
    kept = rows[(completed >= from_ns) & (completed < until_ns)]
    return {name: kept[:, place] for place, name in enumerate(COLUMNS)}
