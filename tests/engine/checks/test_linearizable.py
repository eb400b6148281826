"""The search for an order agrees with trying every order there is."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations, permutations
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from engine.checks.linearizable import explained
from engine.errors import BusinessError
from engine.history import CallRecord, Entry, Outcome, Receipt
from engine.operations import Add, Balance, Batch, CheckSufficient, Transfer, Withdraw

OK, REFUSED, UNKNOWN = Outcome.OK, Outcome.REFUSED, Outcome.UNKNOWN
OPENINGS = {"a": 3, "b": 1}


class Model:
    """Wallets that answer one call after the other."""

    def __init__(self) -> None:
        self.balances = dict(OPENINGS)
        self.keys: dict[str, tuple[Any, Receipt]] = {}

    def answer(self, request: Any, key: str | None) -> tuple[Outcome, str, Any]:
        if isinstance(request, Balance | CheckSufficient):
            return OK, "", request.answer(self.balances)
        if key in self.keys:
            first, receipt = self.keys[key]
            return (OK, "", receipt) if first == request else (REFUSED, "key_reused", None)
        try:
            after = request.apply(self.balances)
        except BusinessError as error:
            return REFUSED, error.code, None
        receipt = Receipt("", tuple(Entry(name, 0, after[name], 0) for name in sorted(after)))
        self.balances |= after
        if key is not None:
            self.keys[key] = request, receipt
        return OK, "", receipt


def explains(order: Sequence[CallRecord], final: dict[str, int]) -> bool:
    model = Model()
    for call in order:
        answered = model.answer(call.request, call.key)
        if call.outcome is not UNKNOWN and answered != (call.outcome, call.code, call.answer):
            return False
    return model.balances == final


def allowed(order: Sequence[CallRecord], real_time: bool) -> bool:
    return not any(
        later.completed_ns is not None
        and later.completed_ns < earlier.invoked_ns
        and (real_time or later.client == earlier.client)
        for earlier, later in combinations(order, 2)
    )


def orders(history: Sequence[CallRecord]) -> Iterable[tuple[CallRecord, ...]]:
    """Every order of the answered calls and any of the others."""
    answered = [call for call in history if call.outcome is not UNKNOWN]
    others = [call for call in history if call.outcome is UNKNOWN]
    for count in range(len(others) + 1):
        for some in combinations(others, count):
            yield from permutations([*answered, *some])


def by_brute_force(history: list[CallRecord], final: dict[str, int], real_time: bool) -> bool:
    return any(explains(order, final) for order in orders(history) if allowed(order, real_time))


names = st.sampled_from(["a", "b"])
cents = st.integers(1, 3)
legs = st.one_of(
    st.builds(Withdraw, names, cents),
    st.builds(Add, names, cents),
    st.sampled_from([("a", "b"), ("b", "a")]).flatmap(
        lambda pair: st.builds(Transfer, st.just(pair[0]), st.just(pair[1]), cents)
    ),
)
requests = st.one_of(
    legs,
    legs,
    st.lists(legs, min_size=1, max_size=2).map(tuple).map(Batch),
    st.builds(Balance, names),
    st.builds(CheckSufficient, names, cents),
)
keys = st.sampled_from([None, None, "k"])


@st.composite
def right_histories(draw: st.DrawFn) -> tuple[list[CallRecord], dict[str, int]]:
    """Calls that did happen one after the other, each somewhere within its interval."""
    model = Model()
    history = []
    for number in range(draw(st.integers(1, 5))):
        request, key = draw(requests), draw(keys)
        if isinstance(request, Balance | CheckSufficient):
            key = None
        happened_ns = 10 * number
        invoked_ns = happened_ns - draw(st.integers(0, 25))
        outcome, code, answer = OK, "", None
        answered = draw(st.sampled_from([True, True, True, False]))
        if answered or draw(st.booleans()):  # else it never happened
            outcome, code, answer = model.answer(request, key)
        completed_ns = happened_ns + draw(st.integers(0, 25)) if answered else None
        if not answered:
            outcome, code, answer = UNKNOWN, "", None
        history.append(
            CallRecord(
                draw(st.sampled_from("AB")),
                request,
                invoked_ns,
                completed_ns,
                outcome,
                code,
                answer,
                key,
            )
        )
    return draw(st.permutations(history)), model.balances


@st.composite
def doubtful_histories(draw: st.DrawFn) -> tuple[list[CallRecord], dict[str, int]]:
    """A right history with one thing changed: often wrong, sometimes still right."""
    history, final = draw(right_histories())
    which = draw(st.integers(0, len(history) - 1))
    call = history[which]
    match draw(st.sampled_from(["final", "interval", "answer", "request"])):
        case "final":
            final = final | {draw(names): draw(st.integers(0, 6))}
        case "interval" if call.completed_ns is not None:
            moved = draw(st.integers(-40, 40))
            history[which] = replace(
                call,
                invoked_ns=call.invoked_ns + moved,
                completed_ns=call.completed_ns + moved,
            )
        case "answer" if isinstance(call.answer, Receipt):
            entry, *rest = call.answer.entries
            wrong = entry._replace(after=draw(st.integers(0, 6)))
            history[which] = replace(call, answer=Receipt("", (wrong, *rest)))
        case "answer" if call.outcome is REFUSED:
            code = draw(st.sampled_from(["insufficient_funds", "key_reused", "unknown_wallet"]))
            history[which] = replace(call, code=code)
        case "answer" if call.outcome is OK:
            history[which] = replace(call, answer=draw(st.integers(0, 6)))
        case _ if not isinstance(call.request, Balance | CheckSufficient):
            history[which] = replace(call, request=draw(legs))
    return history, final


@given(right_histories())
def test_what_did_happen_is_always_explained(made: tuple[list[CallRecord], dict[str, int]]) -> None:
    history, final = made
    assert explained(OPENINGS, history, final)
    assert explained(OPENINGS, history, final, real_time=False)


@settings(max_examples=max(300, settings().max_examples))
@given(doubtful_histories(), st.booleans())
def test_the_search_agrees_with_brute_force(
    made: tuple[list[CallRecord], dict[str, int]], real_time: bool
) -> None:
    history, final = made
    expected = by_brute_force(history, final, real_time)
    event("right" if expected else "wrong")
    assert explained(OPENINGS, history, final, real_time=real_time) == expected


def done(client: str, request: Any, start: int, end: int, answer: Any = None) -> CallRecord:
    return CallRecord(client, request, start, end, OK, "", answer)


def test_the_lost_update_of_the_guide_has_no_order() -> None:
    withdrawn, added = Withdraw("u", 500), Add("u", 300)
    history = [done("A", withdrawn, 0, 5), done("B", added, 1, 6)]
    assert explained({"u": 1000}, history, {"u": 800})
    assert not explained({"u": 1000}, history, {"u": 1300})


def test_an_answer_older_than_what_had_been_answered_is_only_right_without_real_time() -> None:
    history = [done("A", Add("u", 1), 0, 1), done("B", Balance("u"), 2, 3, 0)]
    assert not explained({"u": 0}, history, {"u": 1})
    assert explained({"u": 0}, history, {"u": 1}, real_time=False)


@pytest.mark.parametrize("final", [10, 7])
def test_an_unanswered_call_may_have_happened_or_not(final: int) -> None:
    lost = CallRecord("A", Withdraw("u", 3), 0, None, UNKNOWN)
    assert explained({"u": 10}, [lost], {"u": final})
    assert not explained({"u": 10}, [lost], {"u": 4})


def test_an_unanswered_call_may_happen_after_everything_else() -> None:
    lost = CallRecord("A", Withdraw("u", 3), 0, None, UNKNOWN)
    assert explained({"u": 10}, [lost, done("B", Balance("u"), 90, 99, 10)], {"u": 7})


@pytest.mark.parametrize("code", ["store_busy", "conflict", "lock_timeout", "fence_lost"])
def test_a_refusal_by_the_system_says_nothing_about_balances(code: str) -> None:
    busy = CallRecord("A", Withdraw("u", 3), 0, 1, REFUSED, code)
    assert explained({"u": 10}, [busy], {"u": 10})
    assert not explained({"u": 10}, [busy], {"u": 7})
