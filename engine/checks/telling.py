"""The words in which judges name calls, accounts and money."""

from engine.histories.columns import MISSING, History
from engine.money import made_words, show
from engine.recording import Kind


def made_or_lost(amount: int, decimals: int) -> str:
    """How a sentence ends that says what a break cost: `: 5.00 made`, or nothing."""
    if not amount:
        return ""
    return f": {made_words(amount, decimals)}"


def short(history: History, call: int) -> str:
    """An operation by its id alone, where a sentence has named it already: `w7`."""
    return history.operations[int(history.operation[call])] or f"call {call}"


def named(history: History, call: int) -> str:
    """An operation as sentences name it first: `w7 (withdraw 5.00)`."""
    kind = Kind(int(history.kind[call]))
    first, after_last = int(history.first[call]), int(history.first[call + 1])
    amounts = {int(amount) for amount in history.amount[first:after_last]} - {0, MISSING}
    if kind is not Kind.CHANGE:
        # The kind tells which way the money went.
        amounts = {abs(amount) for amount in amounts}
    if kind is Kind.CHECK:
        amounts = {int(need) for need in history.need[first:after_last]} - {MISSING}
    shown = f" {show(amounts.pop(), history.decimals)}" if len(amounts) == 1 else ""
    return f"{short(history, call)} ({kind.name.lower()}{shown})"


def shown_account(history: History, account: int) -> str:
    """The name of an account."""
    return str(history.accounts[account])
