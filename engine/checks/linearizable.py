"""Is there one order of all calls that explains every answer and the balances in the end?

The sequential model is the operations' own `apply`. Small histories only: it searches the orders
that real time allows (after Wing and Gong, 1993, with Lowe's memory of visited states). A call
whose outcome is unknown may have happened at any time after its invocation, or not at all.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from engine.errors import SYSTEM_CODES, BusinessError, KeyReused
from engine.history import CallRecord, Outcome, Receipt
from engine.operations import Balance, CheckSufficient, Operation


class _First(NamedTuple):
    """What an idempotency key stands for once a call has happened under it."""

    key: str
    request: Operation
    after: tuple[tuple[str, int], ...]


_State = tuple[frozenset[int], tuple[tuple[str, int], ...], frozenset[_First]]


def explained(
    openings: Mapping[str, int],
    history: Sequence[CallRecord],
    final: Mapping[str, int],
    *,
    real_time: bool = True,
) -> bool:
    """Whether some order explains it all. Without `real_time`, each client's own order only."""
    # A refusal by the system says nothing about balances: it has no place in the order.
    calls = [
        call
        for call in history
        if not (call.outcome is Outcome.REFUSED and call.code in SYSTEM_CODES)
    ]
    before = [
        {
            j
            for j, earlier in enumerate(calls)
            if earlier.completed_ns is not None
            and earlier.completed_ns < call.invoked_ns
            and (real_time or earlier.client == call.client)
        }
        for call in calls
    ]
    return _search(calls, before, dict(openings), dict(final))


def _search(
    calls: Sequence[CallRecord],
    before: Sequence[set[int]],
    openings: dict[str, int],
    final: dict[str, int],
) -> bool:
    known = {i for i, call in enumerate(calls) if call.outcome is not Outcome.UNKNOWN}
    seen: set[_State] = set()
    stack: list[tuple[frozenset[int], dict[str, int], frozenset[_First]]] = [
        (frozenset(), openings, frozenset())
    ]
    while stack:
        done, balances, keys = stack.pop()
        if known <= done and balances == final:
            return True
        state = (done, tuple(sorted(balances.items())), keys)
        if state in seen:
            continue
        seen.add(state)
        for i, call in enumerate(calls):
            if i not in done and before[i] & known <= done:
                after = _step(call, balances, keys)
                if after is not None:
                    stack.append((done | {i}, *after))
    return False


def _step(
    call: CallRecord, balances: dict[str, int], keys: frozenset[_First]
) -> tuple[dict[str, int], frozenset[_First]] | None:
    """The state after `call`, or None if its answer does not fit here."""
    request = call.request
    if isinstance(request, Balance | CheckSufficient):
        return (balances, keys) if _answers(call, request, balances) else None
    for first in keys:
        if first.key == call.key:
            return (balances, keys) if _repeats(call, first) else None
    try:
        changed = request.apply(balances)
    except BusinessError as error:
        return (balances, keys) if _refused(call, error.code) else None
    if call.outcome is Outcome.REFUSED or not _fits(call.answer, changed):
        return None
    if call.key is not None:
        keys |= {_First(call.key, request, tuple(sorted(changed.items())))}
    return balances | changed, keys


def _answers(
    call: CallRecord, question: Balance | CheckSufficient, balances: dict[str, int]
) -> bool:
    if call.outcome is Outcome.UNKNOWN:
        return True
    try:
        answer = question.answer(balances)
    except BusinessError as error:
        return _refused(call, error.code)
    return call.outcome is Outcome.OK and call.answer == answer


def _repeats(call: CallRecord, first: _First) -> bool:
    """The key has been used: the same body gets the first receipt, any other one is refused."""
    if call.outcome is Outcome.UNKNOWN:
        return True
    if call.request != first.request:
        return _refused(call, KeyReused.code)
    return call.outcome is Outcome.OK and _fits(call.answer, dict(first.after))


def _refused(call: CallRecord, code: str) -> bool:
    return call.outcome is Outcome.REFUSED and call.code == code


def _fits(answer: Any, changed: Mapping[str, int]) -> bool:
    if not isinstance(answer, Receipt):
        return True
    return {entry.account: entry.after for entry in answer.entries} == dict(changed)
