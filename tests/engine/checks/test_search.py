"""The general search agrees with published verdicts, and with trying every order there is."""

from itertools import chain, combinations, permutations
from time import monotonic
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from engine.checks.models import Register, register
from engine.checks.search import UNANSWERED, Model, Operation, judge_model
from engine.checks.search_history import check_search
from engine.checks.search_order import explain
from engine.checks.verdict import Budget, CannotSay, Exceeded, Level
from engine.histories.by_hand import OneCall, OneEntry, from_calls
from engine.histories.columns import INSUFFICIENT, MISSING
from engine.histories.generate import Known, hide
from engine.recording import Ended, Kind
from engine.verdicts import Verdict
from scenarios.check_bench.etcd import Published, published
from tests.engine.checks.brute_force import explained
from tests.engine.checks.small_histories import small_draft

HISTORIES = 100


def test_the_published_histories_are_those_that_were_published() -> None:
    logs = published()
    assert (len(logs), sum(each.linearizable for each in logs)) == (102, 23)
    assert sum(len(each.operations) for each in logs) > 8_000


@pytest.mark.parametrize("history", published(), ids=lambda each: f"{each.log:03}")
def test_every_published_history_of_etcd_gets_its_published_verdict(history: Published) -> None:
    judgement = judge_model(register(), history.operations)
    assert judgement.verdict is (Verdict.CLEAN if history.linearizable else Verdict.BROKEN)
    assert judgement.operations == len(history.operations)


def test_the_operation_named_is_the_earliest_at_which_no_order_is_left() -> None:
    for history in published()[:20]:
        whole = explain(register(), history.operations, Budget())
        if whole.order is None:
            end = history.operations[whole.stuck].completed
            assert end is not None
            until = [_until(each, end) for each in history.operations if each.invoked <= end]
            before = [_until(each, end - 1) for each in history.operations if each.invoked < end]
            assert explain(register(), until, Budget()).order is None
            assert explain(register(), before, Budget()).order is not None


def _until(operation: Operation, end: int) -> Operation:
    answered = operation.completed is not None and operation.completed <= end
    return operation if answered else operation._replace(completed=None)


values = st.sampled_from([1, 2, None])
requests = st.one_of(
    st.just((Register.read(), 0)),
    st.builds(lambda value: (Register.write(value), 1), values),
    st.builds(lambda old, new: (Register.cas(old, new), 2), values, values),
)


@st.composite
def operations(draw: st.DrawFn) -> list[Operation]:
    """Calls of a register that did happen one after the other, some answers then changed."""
    made, state = [], None
    for number in range(draw(st.integers(1, 6))):
        (request, _), answered = draw(requests), draw(st.sampled_from([True, True, False]))
        invoked = 10 * number - draw(st.integers(0, 25))
        completed = 10 * number + draw(st.integers(0, 25)) if answered else None
        output: Any = None
        if answered or draw(st.booleans()):
            _, after = register().step(state, request, UNANSWERED)
            output = {"read": state, "cas": state == request.expected}.get(request.verb)
            state = after
        if request.verb == "read" and draw(st.integers(0, 5)) == 0:
            output = draw(values)
        made.append(Operation("A", request, output, invoked, completed))
    return draw(st.permutations(made))


def by_brute_force(history: list[Operation]) -> bool:
    answered = [each for each in history if each.completed is not None]
    others = [each for each in history if each.completed is None]
    some = chain.from_iterable(combinations(others, count) for count in range(len(others) + 1))
    return any(_fits(order) for more in some for order in permutations([*answered, *more]))


def _fits(order: tuple[Operation, ...]) -> bool:
    state: Any = None
    for place, operation in enumerate(order):
        if any(
            later.completed is not None and later.completed < operation.invoked
            for later in order[place:]
        ):
            return False
        output = UNANSWERED if operation.completed is None else operation.output
        fits, state = register().step(state, operation.input, output)
        if not fits:
            return False
    return True


@settings(max_examples=max(200, settings().max_examples))
@given(operations())
def test_the_search_agrees_with_brute_force(history: list[Operation]) -> None:
    right = by_brute_force(history)
    event("right" if right else "wrong")
    found = explain(register(), history, Budget())
    assert (found.order is not None) == right
    if found.order is not None:
        assert _fits(tuple(history[place] for place in found.order))


def test_wallet_histories_get_the_verdict_of_brute_force() -> None:
    hunting = settings.get_current_profile_name() == "hunt"
    decided = 0
    for seed in range(settings().max_examples if hunting else HISTORIES):
        draft = small_draft(seed)
        for known in (Known.VALUES, Known.ANSWERS):
            history = hide(draft.history(), known)
            if (history.key < 0).all():
                found = check_search(history, Budget())
                assert bool(found.count) != explained(history), (seed, known)
                decided += 1
    assert decided > HISTORIES


def test_a_torn_transfer_is_found_though_each_account_has_an_order() -> None:
    moved = (OneEntry("u", -100), OneEntry("v", 100))
    seen = (OneEntry("u", 0, 900, 900), OneEntry("v", 0, 0, 0))
    history = from_calls(
        [
            OneCall("t", "A", Kind.TRANSFER, 0, 50, entries=moved),
            OneCall("r", "B", Kind.BALANCE, 10, 20, entries=seen),
        ],
        openings={"u": 1000, "v": 0},
    )
    violation = check_search(history, Budget()).violations[0]
    assert violation.message == (
        "no order is left when r (balance) returns; possible until then: u 10.00, v 0.00;"
        " u 9.00, v 1.00"
    )
    assert violation.calls == (1,)


def test_what_is_held_in_the_end_is_part_of_the_order() -> None:
    history = from_calls([], openings={"u": 5}, finals={"u": 6})
    assert check_search(history, Budget()).violations[0].message == (
        "no order is left when what is held in the end returns; possible until then: u 0.05"
    )


def test_without_openings_nothing_is_said() -> None:
    call = OneCall("a", "A", Kind.ADD, 0, 1, entries=(OneEntry("u", 1),))
    with pytest.raises(CannotSay, match="what u held at first is not known"):
        check_search(from_calls([call], openings={}), Budget())


def test_a_change_that_does_not_say_by_how_much_cannot_be_placed() -> None:
    entry = OneEntry("u", amount=-(2**62), need=0)
    call = OneCall("a", "A", Kind.CHANGE, 0, None, Ended.UNKNOWN, entries=(entry,))
    with pytest.raises(CannotSay, match="does not say by how much"):
        check_search(from_calls([call], openings={"u": 1}), Budget())


def _hard() -> list[Operation]:
    """Every order of 30 increments by different amounts has to be tried."""
    many = [Operation("A", 2**place, None, 0, 100) for place in range(30)]
    return [*many, Operation("B", 0, 2**31, 0, 100)]


SUM = Model(0, lambda total, more, out: (out in (None, UNANSWERED, total), total + more))


def test_the_budget_is_honoured_and_leaves_unknown() -> None:
    started_s = monotonic()
    judgement = judge_model(SUM, _hard(), budget=Budget(seconds_max=0.3))
    assert monotonic() - started_s < 2
    assert judgement.verdict is Verdict.UNKNOWN
    assert judgement.notes == ("general search: more than 0.3 s were needed",)
    with pytest.raises(Exceeded, match="more than 9 MB of memory"):
        explain(SUM, _hard(), Budget(memory_mb_max=9))


def test_a_history_of_nothing_is_clean() -> None:
    nothing = judge_model(register(), [])
    assert (nothing.verdict, nothing.level) == (Verdict.CLEAN, Level.STRICT_SERIALIZABLE)
    assert explain(register(), [], Budget()).order == ()


def test_a_refusal_that_does_not_say_of_how_much_cannot_be_placed() -> None:
    entries = (OneEntry("u", MISSING, 3, 3), OneEntry("v", MISSING, 3, 3))
    short = OneCall("a", "A", Kind.BATCH, 0, 1, Ended.REFUSED, INSUFFICIENT, entries=entries)
    with pytest.raises(CannotSay, match="by how much"):
        check_search(from_calls([short], openings={"u": 3, "v": 3}), Budget())
