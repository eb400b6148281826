"""A history judged by one of the small models: a register or a bank instead of wallets.

So published histories can be judged, as those of Jepsen's tests. As a register, a BALANCE reads
`after`, and a CHANGE writes it, if `before` is known only where it held that (compare-and-set). As
a bank, a TRANSFER has two entries, and a BALANCE those of all accounts; openings are known.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from engine.checks.models import Bank, Register, bank, register
from engine.checks.search import UNANSWERED, Model, Operation, judge_model
from engine.checks.verdict import Budget, Judgement
from engine.errors import HistoryMalformed
from engine.histories.columns import FOREVER, MISSING, History
from engine.recording import Ended, Kind

# One entry of a call: account, amount, before, after.
Entry = tuple[str, int, int, int]


def judge_as(name: str, history: History, budget: Budget) -> Judgement:
    """The verdict on `history` by the model of this name, one of MODELS.

    HistoryMalformed for a history that is none of such an object.
    """
    model, asked = MODELS[name](history)
    timed = history.calls and (history.invoked != MISSING).all()
    if not timed or len(np.unique(history.clock)) > 1:
        raise HistoryMalformed(
            f"a {name} is judged by when calls were made and answered, on one clock",
            "name the columns invoked and completed, and give --clock-error-ms for several files",
        )
    operations = [_operation(history, call, asked) for call in range(history.calls)]
    return judge_model(model, operations, budget=budget)


def _operation(
    history: History, call: int, asked: Callable[[Kind, list[Entry]], tuple[Any, Any]]
) -> Operation:
    kind, ended = Kind(int(history.kind[call])), int(history.ended[call])
    try:
        request, answer = asked(kind, list(_entries(history, call)))
    except ValueError as error:
        name = history.operations[int(history.operation[call])]
        raise HistoryMalformed(
            f"{name} ({kind.name.lower()}): {error}", "see docs/check.md"
        ) from None
    output = UNANSWERED if ended == Ended.UNKNOWN else answer and ended == Ended.OK
    if kind is Kind.BALANCE and ended == Ended.OK:
        output = answer
    completed = int(history.completed[call])
    client = str(history.clients[int(history.client[call])])
    end = None if completed == FOREVER else completed
    return Operation(client, request, output, int(history.invoked[call]), end)


def _entries(history: History, call: int) -> Iterator[Entry]:
    for place in range(int(history.first[call]), int(history.first[call + 1])):
        numbers = (int(getattr(history, name)[place]) for name in ("amount", "before", "after"))
        amount, before, after = numbers
        yield str(history.accounts[int(history.account[place])]), amount, before, after


def _as_register(history: History) -> tuple[Model[Any], Any]:
    def asked(kind: Kind, entries: list[Entry]) -> tuple[Register, Any]:
        if len(entries) != 1 or kind not in (Kind.BALANCE, Kind.CHANGE):
            raise ValueError("a register is read (balance) or changed (change), one at a time")
        key, _, before, after = entries[0]
        value = None if after == MISSING else after
        if kind is Kind.BALANCE:
            return Register.read(key=key), value
        if before == MISSING:
            return Register.write(value, key=key), True
        return Register.cas(before, value, key=key), True

    return register(), asked


def _as_bank(history: History) -> tuple[Model[Any], Any]:
    used = sorted(set(history.account.tolist()))
    openings = {str(history.accounts[place]): int(history.openings[place]) for place in used}
    if MISSING in openings.values():
        raise HistoryMalformed(
            "a bank is judged from what its accounts held at first",
            "add a row of record = opening for each",
        )

    def asked(kind: Kind, entries: list[Entry]) -> tuple[Bank, Any]:
        if kind is Kind.BALANCE:
            return Bank(), {account: after for account, _, _, after in entries}
        sides = sorted(entries, key=lambda entry: entry[1])
        if kind is not Kind.TRANSFER or len(sides) != 2 or sides[0][1] + sides[1][1]:
            raise ValueError("a bank is read (balance, all accounts), or a transfer has two sides")
        return Bank(sides[0][0], sides[1][0], sides[1][1]), True

    return bank(openings), asked


MODELS: dict[str, Callable[[History], tuple[Model[Any], Any]]] = {
    "register": _as_register,
    "bank": _as_bank,
}
