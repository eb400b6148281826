"""Small sequential models to judge histories with: a register, a bank of totals, a set of wallets.

A model of one's own is an initial state and a function:

>>> from engine.checks.search import Model, Operation, judge_model
>>> counter = Model(0, lambda count, _, answer: (answer in (count, UNANSWERED), count + 1))
>>> twice = [Operation(name, "next", 7, 0, 10) for name in "AB"]
>>> judge_model(Model(7, counter.step), twice).violations[0].message
"no order is left when B's next -> 7 returns; possible until then: 8"
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from engine.checks.search import UNANSWERED, Model, Operation
from engine.errors import BusinessError
from engine.money import show_cents
from engine.operations import Balance, CheckSufficient


class Register(NamedTuple):
    """A request to a register, as in Jepsen's tests of etcd. `key`: which register of several.

    Outputs: of a read the value, of a write anything, of a compare-and-set whether it was done.
    """

    verb: str
    value: Hashable = None
    expected: Hashable = None
    key: Hashable = None

    def __str__(self) -> str:
        values = {"read": (), "write": (self.value,), "cas": (self.expected, self.value)}[self.verb]
        shown = " ".join(str(value) for value in values)
        return " ".join(filter(None, [self.verb, shown]))

    @classmethod
    def read(cls, *, key: Hashable = None) -> "Register":
        return cls("read", key=key)

    @classmethod
    def write(cls, value: Hashable, *, key: Hashable = None) -> "Register":
        return cls("write", value, key=key)

    @classmethod
    def cas(cls, expected: Hashable, value: Hashable, *, key: Hashable = None) -> "Register":
        return cls("cas", value, expected, key)


def register(initial: Hashable = None) -> Model[Hashable]:
    """Registers that all hold `initial` at first; each key is judged by itself."""
    return Model(initial, _register_step, _by_key, _register_looked)


def _register_step(state: Hashable, request: Register, output: Any) -> tuple[bool, Hashable]:
    verb, value, expected, _ = request
    if verb == "read":
        return output is UNANSWERED or output == state, state
    if verb == "write":
        return True, value
    done = state == expected
    return output is UNANSWERED or output == done, value if done else state


def _register_looked(request: Register, output: Any) -> bool:
    return request.verb == "read" or (request.verb == "cas" and not output)


def _by_key(operations: Sequence[Operation]) -> Iterable[list[int]]:
    parts: dict[Hashable, list[int]] = {}
    for place, operation in enumerate(operations):
        parts.setdefault(operation.input.key, []).append(place)
    return parts.values()


class Bank(NamedTuple):
    """A request to a bank, as in Jepsen's bank test: a transfer, or (without amount) a read of all.

    Outputs: of a transfer whether it was done (not if the source held less), of a read a mapping
    of accounts to balances. So a read must fit what the transfers before it left, not the total
    alone.
    """

    source: str = ""
    target: str = ""
    amount: int = 0

    def __str__(self) -> str:
        return f"transfer {self.amount} {self.source} to {self.target}" if self.amount else "read"


def bank(openings: Mapping[str, int]) -> Model[tuple[int, ...]]:
    """A bank whose accounts hold these amounts at first.

    >>> from engine.checks.search import Operation, judge_model
    >>> torn = Operation("B", Bank(), {"x": 5, "y": 3}, invoked=1, completed=9)
    >>> moved = Operation("A", Bank("x", "y", 5), True, invoked=0, completed=8)
    >>> judge_model(bank({"x": 10, "y": 3}), [moved, torn]).violations[0].message
    "no order is left when B's read -> {'x': 5, 'y': 3} returns; possible until then: x 5, y 8"
    """
    names = tuple(openings)
    places = {name: place for place, name in enumerate(names)}

    def step(balances: tuple[int, ...], request: Bank, output: Any) -> tuple[bool, tuple[int, ...]]:
        if not request.amount:
            fits = output is UNANSWERED or output == dict(zip(names, balances, strict=True))
            return fits, balances
        held = list(balances)
        held[places[request.source]] -= request.amount
        held[places[request.target]] += request.amount
        done = held[places[request.source]] >= 0
        return output is UNANSWERED or output == done, tuple(held) if done else balances

    def describe_state(balances: tuple[int, ...]) -> str:
        return ", ".join(f"{name} {held}" for name, held in zip(names, balances, strict=True))

    def only_looked(request: Bank, output: Any) -> bool:
        return not request.amount or output is False

    return Model(
        tuple(openings.values()), step, only_looked=only_looked, describe_state=describe_state
    )


def wallets(openings: Mapping[str, int]) -> Model[frozenset[tuple[str, int]]]:
    """Wallets that hold these cents at first; inputs are those of `engine.operations`.

    Outputs: of a question its answer; of an operation the balances it left (a mapping), or None if
    only its success is known; of what was refused the error's code.

    >>> from engine.operations import Withdraw
    >>> from engine.checks.search import Operation, judge_model
    >>> both = [Operation(who, Withdraw("u", 80_00), None, 0, 10) for who in "AB"]
    >>> judge_model(wallets({"u": 100_00}), both).violations[0].message
    "no order is left when B's withdraw u 80.00 -> ok returns; possible until then: u 20.00"
    """
    return Model(
        frozenset(openings.items()),
        _wallets_step,
        only_looked=_wallets_looked,
        describe=_described,
        describe_state=lambda held: ", ".join(
            f"{name} {show_cents(cents)}" for name, cents in sorted(held)
        ),
    )


def _wallets_step(
    state: frozenset[tuple[str, int]], request: Any, output: Any
) -> tuple[bool, frozenset[tuple[str, int]]]:
    held = dict(state)
    try:
        if isinstance(request, Balance | CheckSufficient):
            return output is UNANSWERED or request.answer(held) == output, state
        after = request.apply(held)
    except BusinessError as error:
        return output is UNANSWERED or output == error.code, state
    fits = output is UNANSWERED or output is None or output == after
    return fits, frozenset((held | after).items())


def _wallets_looked(request: Any, output: Any) -> bool:
    return isinstance(request, Balance | CheckSufficient) or isinstance(output, str)


def _described(request: Any, output: Any) -> str:
    amount = getattr(request, "amount", None)
    accounts = [request.account] if hasattr(request, "account") else list(request.written)
    words = [request.kind, *accounts, *([] if amount is None else [show_cents(amount)])]
    if isinstance(request, Balance) and type(output) is int:
        output = show_cents(output)
    return f"{' '.join(words)} -> {'ok' if output is None else output}"
