"""Jepsen's histories of etcd, as published with Porcupine; see the notice beside the data.

One JSON object a line: `linearizable`, and `operations` as client, verb, values, answer, invoked
and completed (null: never answered).
"""

import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from engine.checks.models import Register, register
from engine.checks.search import UNANSWERED, Operation, judge_model
from engine.errors import UsageError
from engine.verdicts import Verdict

_REQUESTS: dict[str, Callable[..., Register]] = {
    "read": Register.read,
    "write": Register.write,
    "cas": Register.cas,
}
FILE = Path(__file__).parents[2] / "tests/engine/checks/data/etcd.jsonl.xz"


class Published(NamedTuple):
    """One history by its number, and whether it is linearizable."""

    log: int
    linearizable: bool
    operations: list[Operation]


def published() -> list[Published]:
    """All of them. UsageError where the data is not there, as in an installed package."""
    try:
        with lzma.open(FILE, "rt") as lines:
            return [_history(json.loads(line)) for line in lines]
    except OSError as error:
        raise UsageError(f"no {FILE.name} ({error.strerror})", "run in the repository") from error


def told(histories: list[Published]) -> str:
    """How many verdicts are as published."""
    right = [
        (judge_model(register(), each.operations).verdict is Verdict.CLEAN) == each.linearizable
        for each in histories
    ]
    return f"{sum(right)} of {len(right)} right"


def _history(line: dict[str, Any]) -> Published:
    return Published(
        line["log"], line["linearizable"], [_operation(*each) for each in line["operations"]]
    )


def _operation(
    client: int, verb: str, values: list[int], answer: Any, invoked: int, completed: int | None
) -> Operation:
    request = _REQUESTS[verb](*values)
    unanswered = completed is None
    return Operation(
        f"client {client}", request, UNANSWERED if unanswered else answer, invoked, completed
    )
