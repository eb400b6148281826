"""Is there an order of the calls that a small sequential model explains? For models of any kind.

A history from elsewhere, judged: the second read is stale.

>>> from engine.checks.models import Register, register
>>> judge_model(register(), [
...     Operation("A", Register.write(1), None, invoked=0, completed=10),
...     Operation("B", Register.read(), 1, invoked=5, completed=20),
...     Operation("B", Register.read(), None, invoked=30, completed=40),
... ]).violations[0].message
"no order is left when B's read -> None returns; possible until then: 1"

A call that was never answered (`completed` None) may have happened at any time after, or never:

>>> str(judge_model(register(), [
...     Operation("A", Register.write(1), None, invoked=0, completed=None),
...     Operation("B", Register.read(), None, invoked=5, completed=20),
...     Operation("B", Register.read(), 1, invoked=30, completed=40),
... ]).verdict)
'clean'
"""

from collections.abc import Sequence
from time import monotonic
from typing import Any

from engine.checks.search_order import (
    UNANSWERED,
    Explained,
    Model,
    Operation,
    explain,
)
from engine.checks.verdict import (
    VIOLATIONS_MAX,
    Budget,
    Exceeded,
    Found,
    Judgement,
    Level,
    Violation,
)
from engine.resident import memory_mb
from engine.verdicts import Break, Verdict

__all__ = ["UNANSWERED", "Model", "Operation", "check_linearizable", "judge_model"]

LAYER = "general search"


def judge_model(
    model: Model[Any], operations: Sequence[Operation], *, budget: Budget | None = None
) -> Judgement:
    """The verdict on a history of any object that `model` describes."""
    started_s = monotonic()
    notes: tuple[str, ...] = ()
    found = Found()
    try:
        found = check_linearizable(model, operations, budget or Budget())
        verdict = Verdict.BROKEN if found.violations else Verdict.CLEAN
    except Exceeded as reason:
        verdict, notes = Verdict.UNKNOWN, (f"{LAYER}: {reason}",)
    return Judgement(
        verdict=verdict,
        layer=LAYER,
        level=found.level,
        violations=tuple(found.violations),
        count=found.count,
        passed=(LAYER,) if verdict is Verdict.CLEAN else (),
        notes=notes,
        operations=len(operations),
        seconds=monotonic() - started_s,
        memory_mb=memory_mb(),
    )


def check_linearizable(model: Model[Any], operations: Sequence[Operation], budget: Budget) -> Found:
    """Judge each part of the history; one violation a part. Raises Exceeded."""
    violations = []
    parts = [range(len(operations))] if model.partition is None else model.partition(operations)
    for part in parts:
        explained = explain(model, [operations[place] for place in part], budget)
        if explained.order is None:
            violations.append(_violation(model, operations, part[explained.stuck], explained))
    return Found(
        violations[:VIOLATIONS_MAX],
        len(violations),
        None if violations else Level.STRICT_SERIALIZABLE,
    )


def _violation(
    model: Model[Any], operations: Sequence[Operation], stuck: int, explained: Explained
) -> Violation:
    operation = operations[stuck]
    states = "; ".join(map(model.describe_state, explained.states))
    told = model.describe(operation.input, operation.output)
    who = f"{operation.client}'s {told}" if operation.client else told
    message = f"no order is left when {who} returns; possible until then: {states}"
    return Violation(Break.ORDER, "no order", message, (stuck,))
