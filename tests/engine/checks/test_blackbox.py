"""Only answers are known: pending changes explain them together, or no order does."""

from itertools import chain, combinations
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.checks.blackbox import check_blackbox
from engine.checks.subsets import ITEMS_MAX, Sums, minimal
from engine.checks.verdict import Budget, CannotSay, Exceeded
from engine.histories.by_hand import OneCall, OneEntry, from_calls
from engine.histories.columns import INSUFFICIENT
from engine.histories.drawing import Shape
from engine.histories.generate import Known, generate, hide
from engine.recording import Ended, Kind
from engine.verdicts import Break


def call(
    kind: Kind,
    amount: int,
    invoked: int,
    completed: int,
    *,
    ok: bool = True,
    need: int | None = None,
) -> OneCall:
    """A call of which only the answer is known; a BALANCE answered `amount`."""
    entry = (
        OneEntry("u", 0, amount, amount)
        if kind is Kind.BALANCE
        else OneEntry("u", amount, need=max(0, -amount) if need is None else need)
    )
    name = f"{kind.name.lower()} at {invoked}"
    ended, code = (Ended.OK, "") if ok else (Ended.REFUSED, INSUFFICIENT)
    return OneCall(name, name, kind, invoked, completed, ended, code, entries=(entry,))


def broken(*calls: OneCall, opening: int = 1000) -> bool:
    history = from_calls(calls, openings={"u": opening})
    return bool(check_blackbox(history, Budget()).count)


@pytest.mark.parametrize(("seen", "wrong"), [(1000, False), (1200, False), (1300, True)])
def test_a_balance_must_be_a_sum_of_pending_changes(seen: int, wrong: bool) -> None:
    pending = [call(Kind.ADD, amount, 0, 100) for amount in (500, 700)]
    spent = call(Kind.WITHDRAW, -1000, 0, 100)
    assert broken(*pending, spent, call(Kind.BALANCE, seen, 10, 20)) == wrong


def test_two_balances_must_be_explained_in_their_order() -> None:
    pending = [call(Kind.ADD, 500, 0, 100), call(Kind.ADD, 300, 0, 100)]
    seen = [call(Kind.BALANCE, 1800, 10, 20), call(Kind.BALANCE, 1300, 30, 40)]
    assert broken(*pending, *seen)
    assert not broken(*pending, seen[0], seen[1]._replace(invoked=15))


def test_a_refusal_needs_a_moment_of_too_little() -> None:
    refused = call(Kind.WITHDRAW, -800, 10, 20, ok=False)
    assert broken(refused)
    assert not broken(refused, call(Kind.WITHDRAW, -300, 0, 30))


def test_a_refusal_may_be_right_for_a_moment_between_two_others() -> None:
    # The quick search makes the deposit first, and misses that moment; it must not have the say.
    assert not broken(
        call(Kind.ADD, 800, 0, 40),
        call(Kind.WITHDRAW, -800, 0, 50),
        call(Kind.WITHDRAW, -500, 10, 60, ok=False),
    )


def test_of_two_explanations_neither_is_dropped() -> None:
    late, soon = (
        call(Kind.ADD, 300, 0, 100),
        [call(Kind.ADD, 200, 1, 30), call(Kind.ADD, 100, 2, 30)],
    )
    seen = [call(Kind.BALANCE, 1300, 5, 10), call(Kind.BALANCE, 1300, 40, 50)]
    assert not broken(late, *soon, *seen)
    assert broken(late._replace(completed=35), *soon, *seen)


def test_of_equal_changes_the_one_that_returns_first_is_not_put_off() -> None:
    seen = [call(Kind.BALANCE, 1500, 5, 10), call(Kind.BALANCE, 1500, 30, 40)]
    assert not broken(call(Kind.ADD, 500, 0, 100), call(Kind.ADD, 500, 1, 20), *seen)


def test_calls_that_touch_at_one_moment_overlap() -> None:
    assert not broken(call(Kind.BALANCE, 500, 0, 10), call(Kind.WITHDRAW, -500, 10, 20))
    assert broken(call(Kind.BALANCE, 500, 0, 9), call(Kind.WITHDRAW, -500, 10, 20))


def test_an_accepted_withdrawal_needs_a_moment_of_enough() -> None:
    assert broken(call(Kind.WITHDRAW, -1200, 10, 20))
    assert not broken(call(Kind.WITHDRAW, -1200, 10, 20), call(Kind.ADD, 300, 0, 30))


@pytest.mark.parametrize(("ok", "wrong"), [(True, True), (False, False)])
def test_a_check_says_whether_there_was_enough(ok: bool, wrong: bool) -> None:
    assert broken(call(Kind.CHECK, 0, 0, 9, ok=ok, need=1001)) == wrong


def test_a_refusal_that_lacked_nothing_is_wrong_whatever_the_balance() -> None:
    assert broken(call(Kind.ADD, 100, 0, 9, ok=False))


def test_money_that_nobody_moved_is_found_without_any_call() -> None:
    history = from_calls([], openings={"u": 5}, finals={"u": 6})
    violation = check_blackbox(history, Budget()).violations[0]
    assert (violation.kind, violation.account) == (Break.MONEY, 0)


def test_the_message_says_what_was_still_possible() -> None:
    history = from_calls(
        [
            call(Kind.ADD, 500, 0, 100),
            call(Kind.BALANCE, 1200, 10, 20),
            call(Kind.WITHDRAW, -100, 12, 50),
        ],
        openings={"u": 1000},
    )
    assert check_blackbox(history, Budget()).violations[0].message == (
        "u: no order of the calls is left when balance at 10 (balance) returns, which found 12.00;"
        " possible until then: 10.00 with add at 0 (add 5.00), withdraw at 12 (withdraw 1.00) to"
        " come"
    )


def test_what_changes_found_is_not_looked_at() -> None:
    entry = OneEntry("u", 100, 7, 107)
    history = from_calls([OneCall("a", "A", Kind.ADD, 0, 1, entries=(entry,))], openings={"u": 0})
    assert check_blackbox(history, Budget()).count == 0


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        (from_calls([call(Kind.ADD, 1, 0, 1)], openings={}), "what u held at first"),
        (
            from_calls([call(Kind.WITHDRAW, -1, 0, 1, need=5)], openings={"u": 9}),
            r"what calls like withdraw at 0 \(withdraw 0.01\) found",
        ),
        (from_calls([call(Kind.ADD, 1, 0, 1)], openings={"u": -9}), "below zero"),
    ],
)
def test_what_is_not_known_is_said(history: object, reason: str) -> None:
    with pytest.raises(CannotSay, match=reason):
        check_blackbox(history, Budget())  # type: ignore[arg-type]


def test_a_long_right_history_is_clean_and_one_wrong_read_is_found() -> None:
    shape = Shape(calls=300, clients=16, amounts=(1, 10**9), opening=10**10)
    history = hide(generate(shape, seed=3), Known.ANSWERS)
    assert check_blackbox(history, Budget()).count == 0
    place = int(history.first[(history.kind == Kind.BALANCE).nonzero()[0][-20]])
    history.before[place] = history.after[place] = history.before[place] + 1
    assert check_blackbox(history, Budget()).violations[0].anomaly == "stale read"


def test_an_ambiguous_history_ends_with_its_budget() -> None:
    shape = Shape(calls=1000, clients=32, amounts=(1, 100), opening=1000)
    history = hide(generate(shape, seed=1), Known.ANSWERS)
    started_s = monotonic()
    with pytest.raises(Exceeded):
        check_blackbox(history, Budget(seconds_max=0.3))
    # Far less on a quiet machine; a shared one stalls.
    assert monotonic() - started_s < 2


def test_the_memory_of_the_budget_is_honoured() -> None:
    history = hide(generate(Shape(calls=300, clients=16), seed=1), Known.ANSWERS)
    with pytest.raises(Exceeded, match="more than 100 MB of memory were needed"):
        check_blackbox(history, Budget(memory_mb_max=100, held_mb=lambda: 101.0))


amounts = st.lists(st.integers(-6, 6).filter(bool), max_size=7)


@given(amounts, st.integers(-12, 12), st.integers(1, 5))
def test_the_sums_within_a_window_are_those_of_all_subsets(
    items: list[int], low: int, width: int
) -> None:
    sums = Sums([(1 << place, amount) for place, amount in enumerate(items)], Budget())
    found = sums.within([(low, low + width)])
    everything = chain.from_iterable(
        combinations(range(len(items)), size) for size in range(len(items) + 1)
    )
    reached = {sum(items[place] for place in subset) for subset in everything}
    assert {total for _, total in found} == {x for x in reached if low <= x < low + width}
    assert all(
        total == sum(amount for place, amount in enumerate(items) if bits >> place & 1)
        for bits, total in found
    )


def test_of_equal_amounts_the_first_is_taken_first() -> None:
    sums = Sums([(4, 5), (2, 5), (1, 5)], Budget())
    assert sums.within([(10, 11)]) == [(6, 10)]


def test_sets_that_include_another_can_wait() -> None:
    kept = minimal([(7, 0), (5, 0), (2, 0), (12, 0)], Budget())
    assert sorted(kept) == [(2, 0), (5, 0), (12, 0)]


@pytest.mark.parametrize(
    "items", [[(1 << k, 3**k) for k in range(38)], [(1 << k, 1) for k in range(ITEMS_MAX + 1)]]
)
def test_more_sums_than_can_be_searched_are_refused(items: list[tuple[int, int]]) -> None:
    with pytest.raises(Exceeded, match="too many sums"):
        Sums(items, Budget())


def test_more_ways_than_can_be_followed_are_refused() -> None:
    sums = Sums([(1 << k, k + 1) for k in range(24)], Budget())
    with pytest.raises(Exceeded, match="sets of pending changes explain one answer"):
        sums.within([(0, 1000)])
    some, all_of_them = sums.some_within([(0, 1000)], 50)
    assert (len(some), all_of_them) == (50, False)
