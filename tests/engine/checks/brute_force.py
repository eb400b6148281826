"""Every order of a few calls that real time allows, one by one: what all layers must agree to.

Knows nothing of how the layers decide; what a call does is the operation's own `apply`. A history
is explained if some order of its calls fits all that was recorded of them; calls of unknown outcome
may have happened at any time after they were invoked, or never.
"""

from collections.abc import Iterator
from typing import NamedTuple

from engine.errors import BusinessError, InsufficientFunds
from engine.histories.columns import MISSING, History
from engine.operations import Add, Balance, Batch, CheckSufficient, Operation, Transfer, Withdraw
from engine.recording import Ended, Kind

CALLS_MAX = 9
QUESTIONS = (Balance, CheckSufficient)


class Touched(NamedTuple):
    """One account of one call: what was recorded of it."""

    account: int
    amount: int
    need: int
    before: int
    after: int
    version: int


class Called(NamedTuple):
    """One call of the history. A `request` of None is one that no wallet carries out."""

    operation: int
    request: Operation | Balance | CheckSufficient | None
    ended: Ended
    code: str
    key: int
    invoked: int
    completed: int
    clock: int
    touched: tuple[Touched, ...]


class Row(NamedTuple):
    """What a change leaves in the operation log."""

    operation: int
    account: int
    amount: int
    before: int
    after: int
    version: int


class State(NamedTuple):
    """The wallets, which rows of the log have been written, and what each key stands for."""

    balances: tuple[int, ...]
    versions: tuple[int, ...]
    written: frozenset[Row] = frozenset()
    keys: frozenset[tuple[int, Operation, tuple[Row, ...]]] = frozenset()


def explained(history: History, *, real_time: bool = True) -> bool:
    """Whether some order of the calls explains the history; without `real_time`, any order may."""
    calls = list(_calls(history))
    assert len(calls) <= CALLS_MAX, f"{len(calls)} calls have too many orders"
    state = State(tuple(history.openings.tolist()), tuple(history.opening_versions.tolist()))
    rows = _log(history)
    return rows is not None and _explained(history, calls, state, rows, real_time)


def _explained(
    history: History, calls: list[Called], first: State, rows: frozenset[Row], real_time: bool
) -> bool:
    seen: set[tuple[frozenset[int], State]] = set()
    stack = [(frozenset[int](), first)]
    while stack:
        done, state = stack.pop()
        if (done, state) in seen:
            continue
        seen.add((done, state))
        left = [place for place in range(len(calls)) if place not in done]
        if all(calls[place].ended is Ended.UNKNOWN for place in left) and _ends(
            history, state, rows
        ):
            return True
        for place in left:
            if real_time and any(precedes(calls[other], calls[place]) for other in left):
                continue
            after = carried_out(calls[place], state)
            if after is not None and _logged(history, after, rows):
                stack.append((done | {place}, after))
    return False


def precedes(one: Called, other: Called) -> bool:
    """Whether `one` had been answered before `other` was asked, by the same clock."""
    return one.clock == other.clock and one.completed < other.invoked


def carried_out(call: Called, state: State) -> State | None:
    """The state after `call`, or None if what was recorded of it does not fit here."""
    if call.ended is Ended.REFUSED and call.code != InsufficientFunds.code:
        return state  # refused for a reason that says nothing about balances
    for key, request, rows in state.keys:
        if key == call.key:
            return state if _repeats(call, request, rows) else None
    answer = answered(call, state)
    if answer is None or answer.refused != (call.ended is Ended.REFUSED):
        return None
    balances, versions, rows = list(state.balances), list(state.versions), []
    for each in call.touched:
        before, version = balances[each.account], versions[each.account]
        after = answer.changed.get(str(each.account), before)
        if str(each.account) in answer.changed:
            version += 1
            rows.append(Row(call.operation, each.account, each.amount, before, after, version))
        if not _fits((each.before, before), (each.after, after), (each.version, version)):
            return None
        balances[each.account], versions[each.account] = after, version
    keys = state.keys
    if call.key >= 0 and not answer.refused and not isinstance(call.request, QUESTIONS):
        assert call.request is not None
        keys |= {(call.key, call.request, tuple(rows))}
    return State(tuple(balances), tuple(versions), state.written | set(rows), keys)


def _repeats(call: Called, request: Operation, rows: tuple[Row, ...]) -> bool:
    """Whether an answer is the receipt that its key stands for: the call changes nothing again."""
    return (
        call.ended is Ended.OK
        and call.request == request
        and all(
            _fits((each.before, row.before), (each.after, row.after), (each.version, row.version))
            for each, row in zip(call.touched, rows, strict=True)
        )
    )


class Answer(NamedTuple):
    """What the wallet's own model says to a call."""

    refused: bool
    changed: dict[str, int]


def answered(call: Called, state: State) -> Answer | None:
    """The wallet's answer, None to what is no call at all."""
    held = {str(account): balance for account, balance in enumerate(state.balances)}
    try:
        match call.request:
            case None:
                return None
            case Balance():
                return Answer(False, {})
            case CheckSufficient():
                return Answer(not call.request.answer(held), {})
            case _:
                return Answer(False, call.request.apply(held))
    except BusinessError:
        return Answer(True, {})


def request_of(
    kind: Kind, touched: tuple[Touched, ...]
) -> Operation | Balance | CheckSufficient | None:
    """What the wallet was asked for. Accounts are called by their places."""
    names = [str(each.account) for each in touched]
    if kind == Kind.BALANCE:
        return Balance(names[0])
    if kind == Kind.CHECK:
        return CheckSufficient(names[0], touched[0].need)
    if kind == Kind.TRANSFER:
        if [each.amount < 0 for each in touched] != [True, False]:
            return None
        source, target = touched
        balanced = source.amount + target.amount == 0
        return Transfer(names[0], names[1], target.amount) if balanced else None
    return Batch(
        tuple(
            (Withdraw if each.amount < 0 else Add)(name, abs(each.amount))
            for name, each in zip(names, touched, strict=True)
        )
    )


def _fits(*pairs: tuple[int, int]) -> bool:
    return all(recorded in (MISSING, true) for recorded, true in pairs)


def _calls(history: History) -> Iterator[Called]:
    touched = [
        Touched(*row)
        for row in zip(
            history.account.tolist(),
            history.amount.tolist(),
            history.need.tolist(),
            history.before.tolist(),
            history.after.tolist(),
            history.version.tolist(),
            strict=True,
        )
    ]
    for place in range(history.calls):
        entries = tuple(touched[history.first[place] : history.first[place + 1]])
        yield Called(
            int(history.operation[place]),
            request_of(Kind(history.kind[place]), entries),
            Ended(history.ended[place]),
            history.codes[history.code[place]],
            int(history.key[place]),
            int(history.invoked[place]),
            int(history.completed[place]),
            int(history.clock[place]),
            entries,
        )


def _log(history: History) -> frozenset[Row] | None:
    """The rows of changes; None if the log contradicts itself before any call is looked at."""
    log = history.log
    if log is None or not history.complete:
        return frozenset()
    columns = (log.operation, log.account, log.amount, log.before, log.after, log.version)
    rows = [Row(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    opened = {row for row, kind in zip(rows, log.kind.tolist(), strict=True) if kind == Kind.OPEN}
    for row in opened:
        if row.before != 0 or not row.amount == row.after == history.openings[row.account]:
            return None
    if len(set(rows)) != len(rows) or len({row.account for row in opened}) != len(opened):
        return None
    return frozenset(rows) - opened


def _logged(history: History, state: State, rows: frozenset[Row]) -> bool:
    """Whether everything written so far is in the log, where there is one."""
    return history.log is None or not history.complete or state.written <= rows


def _ends(history: History, state: State, rows: frozenset[Row]) -> bool:
    """Whether log and balances in the end are this state's, where they are known to be final."""
    if not history.complete:
        return True
    finals = zip(history.finals.tolist(), state.balances, strict=True)
    versions = zip(history.final_versions.tolist(), state.versions, strict=True)
    logged = history.log is None or state.written == rows
    return logged and _fits(*finals) and _fits(*versions)
