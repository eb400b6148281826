"""Each call as it was seen from outside, recorded for judges of whole histories.

A client cannot know the id of an operation whose answer never came. So every call carries a
reference of its own as its description, which the operation log shows beside what was done: that
resolves the calls of unknown outcome in the end.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from engine.errors import InvalidAmount
from engine.history import LogRow
from engine.money import parse_balance
from engine.recording import BOOKS, MISSING, SUFFIX, Ended, Kind, Recording
from locustfiles.answers import Answer
from locustfiles.requests import Request

_ENDED = {
    Answer.OK: Ended.OK,
    Answer.REFUSED: Ended.REFUSED,
    Answer.FAILED: Ended.REFUSED,
    Answer.UNKNOWN: Ended.UNKNOWN,
}
_KINDS = {kind.name.lower(): kind for kind in Kind}


@dataclass(slots=True)
class Noted:
    """One call on its way. Unless `end` is told otherwise, nobody knows whether it happened."""

    request: Request
    reference: str
    invoked_ns: int = 0
    completed_ns: int = MISSING
    ended: Ended = Ended.UNKNOWN
    code: str = ""
    seen: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)

    @property
    def body(self) -> Mapping[str, Any] | None:
        """What to send: the request's body with the reference."""
        if self.request.body is None or not self.reference:
            return self.request.body
        return {**self.request.body, "description": self.reference}

    def returned(self) -> None:
        """An answer is there; what it says may be read later."""
        self.completed_ns = perf_counter_ns()

    def end(self, answer: Answer, code: str, content: bytes | None) -> None:
        """What the answer said."""
        if not self.reference:
            return
        self.ended, self.code = _ENDED[answer], code
        self.seen = _seen(content) if answer in (Answer.OK, Answer.REFUSED) else {}
        if answer is Answer.UNKNOWN:
            self.completed_ns = MISSING

    def touched(self) -> list[tuple[str, int, int, int, int, int]]:
        """For each account: amount, need, before, after, version, as `Recording.call` has them."""
        effects = self.request.effects or {self.request.asked: 0}
        unseen = (MISSING, MISSING, MISSING)
        return [
            (account, cents, self.request.needs.get(account, 0), *self.seen.get(account, unseen))
            for account, cents in effects.items()
        ]


class Journal:
    """The calls of one Locust process, in a file of their own; without a folder, nothing is kept.

    `prefix` begins every reference, and tells this process from the others of the run.
    """

    def __init__(self, folder: str = "", prefix: str = "") -> None:
        self._prefix = prefix
        self._recording = Recording(Path(folder) / f"{prefix}{SUFFIX}") if folder else None
        self._calls = 0

    @contextmanager
    def call(self, client: str, request: Request) -> Iterator[Noted]:
        """Record what is noted inside, also of a user that is stopped in the middle."""
        self._calls += 1
        noted = Noted(request, f"{self._prefix}-{self._calls}" if self._recording else "")
        noted.invoked_ns = perf_counter_ns()
        try:
            yield noted
        finally:
            if self._recording is not None:
                self._recording.call(
                    noted.reference,
                    client,
                    _KINDS[request.kind],
                    noted.ended,
                    noted.invoked_ns,
                    noted.completed_ns,
                    noted.touched(),
                    noted.code,
                )

    def close(self) -> None:
        """Write what is left, and that this is all."""
        if self._recording is not None:
            self._recording.close()


def write_books(folder: str, balances: Mapping[str, tuple[int, int]], log: list[LogRow]) -> None:
    """What the wallets hold in the end (cents and version) and the whole operation log."""
    with (Path(folder) / BOOKS).open("w", encoding="utf-8") as file:
        for account, (cents, version) in balances.items():
            print(json.dumps({"balance": [account, cents, version]}), file=file)
        for row in log:
            # The client's own name for the call, where it gave one: the journal has no other.
            own = row._replace(operation_id=row.description or row.operation_id)
            print(json.dumps({"log": own}), file=file)
        print(json.dumps({"complete": True}), file=file)


def _seen(content: bytes | None) -> dict[str, tuple[int, int, int]]:
    """By account, the balance before and after and the version that an answer tells.

    >>> _seen(b'{"account": "u", "balance": "12.50", "version": 3}')
    {'u': (1250, 1250, 3)}
    """
    try:
        told = json.loads(content or b"null")
        if "balance" in told:
            return {told["account"]: _row(told)}
        if "seen" in told:
            return {row["account"]: _row(row) for row in told["seen"]}
        return {
            entry["account"]: (
                parse_balance(entry["before"]),
                parse_balance(entry["after"]),
                entry["version"],
            )
            for entry in told.get("entries", ())
        }
    except (ValueError, TypeError, KeyError, AttributeError, InvalidAmount):
        return {}  # another service than ours: nothing was seen


def _row(told: Mapping[str, Any]) -> tuple[int, int, int]:
    cents = parse_balance(told["balance"])
    return cents, cents, told.get("version", MISSING)
