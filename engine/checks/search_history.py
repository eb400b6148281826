"""The general search on a wallet's history: calls on several accounts where versions are not known.

Decides whatever was recorded, one way or the other, but only short histories in a short time: the
last resort for what `events` and `blackbox` cannot say. That a transfer by itself comes to nothing
is for the arithmetic to say.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from engine.checks.events_accounts import demand_order, endings, openings_of
from engine.checks.search import UNANSWERED, Model, Operation, check_linearizable
from engine.checks.telling import named
from engine.checks.verdict import Budget, CannotSay, Found, Level, together
from engine.histories.columns import FOREVER, MISSING, History, Ints
from engine.money import show
from engine.recording import Ended, Kind


class _Part(NamedTuple):
    """One account of one call; `account` is a place in the state."""

    account: int
    amount: int
    need: int
    before: int
    after: int


class _Asked(NamedTuple):
    """What a call asked for and found, `call` -1 for the balances in the end."""

    call: int
    looks: bool
    parts: tuple[_Part, ...]


_Balances = tuple[int, ...]


def check_search(history: History, budget: Budget) -> Found:
    """Judge each group of accounts that calls connect. Raises CannotSay and Exceeded."""
    budget.check()
    demand_order(history)
    found = together(*(_check(history, accounts, budget) for accounts in _groups(history)))
    # Groups that have an order say nothing of the level of those that have none.
    return replace(found, level=None if found.count else Level.STRICT_SERIALIZABLE)


def _groups(history: History) -> Iterator[list[int]]:
    """Accounts that calls touch together, directly or by way of others."""
    call, count = history.call_of_entry(), len(history.accounts)
    size, ends = count + history.calls, (history.account, count + call)
    touched = coo_array((np.ones(history.entries), ends), (size, size))  # type: ignore[no-untyped-call]
    _, groups = connected_components(touched, directed=False)
    order = np.argsort(groups[:count], kind="stable")
    bounds = np.flatnonzero(np.diff(groups[:count][order])) + 1
    yield from (group.tolist() for group in np.split(order, bounds) if len(group))


def _check(history: History, accounts: list[int], budget: Budget) -> Found:
    openings = openings_of(history)[accounts]
    if (openings == MISSING).any():
        name = history.accounts[accounts[int(np.argmax(openings == MISSING))]]
        raise CannotSay(f"what {name} held at first is not known")
    operations = _operations(history, accounts)
    found = check_linearizable(_model(history, accounts, openings), operations, budget)
    # The model's sentences name calls already; here they get the places that the history knows.
    return replace(
        found,
        violations=[
            replace(each, calls=tuple(call for call in calls if call >= 0))
            for each in found.violations
            for calls in [[operations[place].input.call for place in each.calls]]
        ],
    )


def _model(history: History, accounts: list[int], openings: Ints) -> Model[_Balances]:
    def describe(asked: _Asked, _: object) -> str:
        return "what is held in the end" if asked.call < 0 else named(history, asked.call)

    def describe_state(balances: _Balances) -> str:
        return ", ".join(_held(history, *each) for each in zip(accounts, balances, strict=True))

    return Model(
        tuple(openings.tolist()),
        _step,
        only_looked=lambda asked, accepted: asked.looks or accepted is False,
        describe=describe,
        describe_state=describe_state,
    )


def _held(history: History, account: int, balance: int) -> str:
    if history.accounts[account]:
        return f"{history.accounts[account]} {show(balance, history.decimals)}"
    return "the key granted" if balance else "the key free"


def _step(balances: _Balances, asked: _Asked, accepted: object) -> tuple[bool, _Balances]:
    """`accepted`: True, False for too little, or UNANSWERED."""
    held, short = list(balances), False
    for account, amount, need, before, after in asked.parts:
        balance = held[account]
        left = balance if accepted is False else balance + amount
        told = (before in (MISSING, balance)) and (after in (MISSING, left))
        if not told and accepted is not UNANSWERED:
            return False, balances
        short |= need > 0 and balance < need
        held[account] = left
    return short == (accepted is False), tuple(held)


def _operations(history: History, accounts: list[int]) -> list[Operation]:
    """The calls on these accounts that an order has to explain, and what is held in the end."""
    places = {account: place for place, account in enumerate(accounts)}
    ended, too_little = endings(history)
    mine = np.isin(history.account, accounts)
    happened = (ended != Ended.REFUSED) | too_little
    asks = history.kind <= Kind.CHECK
    happened &= ~(asks & (ended == Ended.UNKNOWN))
    operations = []
    for call in np.unique(history.call_of_entry()[mine & happened[history.call_of_entry()]]):
        unknown = ended[call] == Ended.UNKNOWN
        asked = _Asked(int(call), bool(asks[call]), tuple(_parts(history, int(call), places)))
        completed = None if unknown else min(int(history.completed[call]), FOREVER - 1)
        accepted = bool(ended[call] == Ended.OK)
        operations.append(Operation("", asked, accepted, int(history.invoked[call]), completed))
    finals = [
        _Part(places[account], 0, 0, int(history.finals[account]), MISSING)
        for account in accounts
        if history.complete and history.finals[account] != MISSING
    ]
    if finals:
        last = _Asked(-1, True, tuple(finals))
        operations.append(Operation("", last, True, FOREVER, FOREVER + 1))
    return operations


def _parts(history: History, call: int, places: dict[int, int]) -> Iterator[_Part]:
    first, after_last = int(history.first[call]), int(history.first[call + 1])
    refused = history.ended[call] == Ended.REFUSED
    columns = (history.account, history.amount, history.need, history.before, history.after)
    for account, told, needed, before, after in zip(
        *(column[first:after_last].tolist() for column in columns), strict=True
    ):
        moved = told == MISSING and not refused and MISSING not in (before, after)
        amount = after - before if moved else told
        if amount == MISSING:
            raise CannotSay(f"{named(history, call)} does not say by how much it changed")
        need = max(0, -amount) if needed == MISSING else needed
        yield _Part(places[account], amount, need, before, after)
