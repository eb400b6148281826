"""Operations are pure: they keep money, change nothing they were given, and happen whole."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import (
    BusinessError,
    InsufficientFunds,
    InvalidAccount,
    InvalidAmount,
    InvalidBatch,
    InvalidRequest,
    SameAccount,
    UnknownWallet,
    WalletExists,
)
from engine.operations import (
    BATCH_MAX,
    DESCRIPTION_MAX,
    Add,
    Balance,
    Batch,
    CheckSufficient,
    Leg,
    Open,
    Operation,
    Transfer,
    Withdraw,
    accounts_of,
    description_for,
    fingerprint,
)

names = st.sampled_from(["a", "b", "c", "d"])
amounts = st.integers(1, 300)
texts = st.sampled_from(["", "x", "x', 'y", "充值"])
withdrawals = st.builds(Withdraw, names, amounts, description=texts)
adds = st.builds(Add, names, amounts, description=texts)
transfers = st.builds(
    lambda pair, amount, text: Transfer(pair[0], pair[1], amount, description=text),
    st.lists(names, min_size=2, max_size=2, unique=True),
    amounts,
    texts,
)
legs: st.SearchStrategy[Leg] = withdrawals | adds | transfers
batches = st.builds(Batch, st.lists(legs, min_size=1, max_size=4).map(tuple), description=texts)
openings = st.builds(Open, names, st.integers(0, 300), description=texts)
operations: st.SearchStrategy[Operation] = legs | batches | openings
# Without "d" now and then, so that unknown wallets are met too.
wallets = st.dictionaries(names, st.integers(0, 500), min_size=2)


def result(operation: Operation, balances: Mapping[str, int]) -> dict[str, int] | str:
    try:
        return operation.apply(balances)
    except BusinessError as error:
        return error.code


@given(transfers, wallets)
def test_a_transfer_moves_money_and_neither_makes_nor_loses_any(
    transfer: Transfer, held: dict[str, int]
) -> None:
    after = result(transfer, held)
    if isinstance(after, dict):
        assert sum(after.values()) == held[transfer.source] + held[transfer.target]
        assert after[transfer.target] == held[transfer.target] + transfer.amount


@given(batches, wallets)
def test_a_batch_is_its_legs_in_order_whole_or_not_at_all(
    batch: Batch, held: dict[str, int]
) -> None:
    one_by_one: dict[str, int] | str = dict(held)
    for leg in batch.legs:
        assert isinstance(one_by_one, dict)
        step = result(leg, one_by_one)
        one_by_one = one_by_one | step if isinstance(step, dict) else step
        if isinstance(one_by_one, str):
            break
    after = result(batch, held)
    assert (held | after if isinstance(after, dict) else after) == one_by_one


@given(operations, wallets)
def test_apply_never_writes_into_the_balances_it_is_given(
    operation: Operation, held: dict[str, int]
) -> None:
    before = dict(held)
    result(operation, MappingProxyType(held))
    result(operation, held)
    assert held == before


@given(operations, wallets)
def test_an_operation_changes_just_the_accounts_it_names_and_never_below_zero(
    operation: Operation, held: dict[str, int]
) -> None:
    after = result(operation, held)
    if isinstance(after, dict):
        assert tuple(sorted(after)) == accounts_of(operation)
        assert min(after.values()) >= 0


@given(operations)
def test_the_accounts_to_lock_are_sorted_and_each_there_once(operation: Operation) -> None:
    accounts = accounts_of(operation)
    assert list(accounts) == sorted(set(operation.written))


@given(operations, operations)
def test_fingerprints_are_equal_exactly_where_the_bodies_are(
    one: Operation, other: Operation
) -> None:
    assert (fingerprint(one) == fingerprint(other)) == (one == other)


@pytest.mark.parametrize(
    "near",
    [
        Add("u", 100, description="x"),
        Withdraw("v", 100, description="x"),
        Withdraw("u", 101, description="x"),
        Withdraw("u", 100),
        Batch((Withdraw("u", 100, description="x"),)),
    ],
)
def test_a_fingerprint_tells_every_field_and_kind_apart(near: Operation) -> None:
    assert fingerprint(near) != fingerprint(Withdraw("u", 100, description="x"))


def test_a_batch_sees_its_own_earlier_legs() -> None:
    refund_first = Batch((Add("u", 50), Withdraw("u", 120), Transfer("v", "u", 30)))
    assert refund_first.apply({"u": 100, "v": 30}) == {"u": 60, "v": 0}
    with pytest.raises(InsufficientFunds):
        Batch((Withdraw("u", 120), Add("u", 50))).apply({"u": 100})


@pytest.mark.parametrize("operation", [Withdraw("u", 1), Add("u", 1), Transfer("v", "u", 1)])
def test_a_wallet_that_is_not_there_is_unknown_and_not_empty(operation: Operation) -> None:
    with pytest.raises(UnknownWallet):
        operation.apply({"v": 5})


def test_a_wallet_opens_once() -> None:
    assert Open("u", 0).apply({}) == {"u": 0}
    with pytest.raises(WalletExists):
        Open("u", 7).apply({"u": 0})


def test_questions_answer_from_the_balance_and_never_make_a_wallet_up() -> None:
    assert Balance("u").answer({"u": 5}) == 5
    assert [CheckSufficient("u", n).answer({"u": 5}) for n in (4, 5, 6)] == [True, True, False]
    for question in (Balance("w"), CheckSufficient("w", 1)):
        with pytest.raises(UnknownWallet):
            question.answer({"u": 5})


def test_a_transfer_to_oneself_is_refused() -> None:
    with pytest.raises(SameAccount):
        Transfer("u", "u", 1)


@pytest.mark.parametrize("count", [0, BATCH_MAX + 1])
def test_an_empty_and_a_huge_batch_are_refused(count: int) -> None:
    with pytest.raises(InvalidBatch, match=f"a batch of {count} "):
        Batch((Add("u", 1),) * count)


def test_the_largest_batch_is_one_sum() -> None:
    assert Batch((Add("u", 1),) * BATCH_MAX).apply({"u": 0}) == {"u": BATCH_MAX}


@pytest.mark.parametrize("leg", [Batch((Add("u", 1),)), Open("u"), Balance("u"), "add", None])
def test_a_batch_holds_withdrawals_adds_and_transfers_only(leg: Any) -> None:
    with pytest.raises(InvalidBatch):
        Batch((Add("u", 1), leg))


@pytest.mark.parametrize(
    "name",
    ["", "-a", ".a", "a b", "a\n", "\na", "a\x00", "ü", "ａ", "a/b", "a" * 65, None, 5, b"a"],
)
def test_a_bad_account_name_is_refused_everywhere(name: Any) -> None:
    for build in (
        lambda: Withdraw(name, 1),
        lambda: Add(name, 1),
        lambda: Transfer(name, "v", 1),
        lambda: Transfer("v", name, 1),
        lambda: Open(name),
        lambda: Balance(name),
        lambda: CheckSufficient(name, 1),
    ):
        with pytest.raises(InvalidAccount):
            build()


@pytest.mark.parametrize("amount", [0, -1, 1.0, "1", True, None, 10**13])
def test_a_bad_amount_is_refused_everywhere(amount: Any) -> None:
    for build in (
        lambda: Withdraw("u", amount),
        lambda: Add("u", amount),
        lambda: Transfer("u", "v", amount),
        lambda: CheckSufficient("u", amount),
    ):
        with pytest.raises(InvalidAmount):
            build()


@pytest.mark.parametrize("text", ["x" * (DESCRIPTION_MAX + 1), "a\x00b", "\ud83d", None, 5, b"x"])
def test_a_bad_description_is_refused_everywhere(text: Any) -> None:
    for build in (
        lambda: Withdraw("u", 1, description=text),
        lambda: Transfer("u", "v", 1, description=text),
        lambda: Batch((Add("u", 1),), description=text),
        lambda: Open("u", description=text),
    ):
        with pytest.raises(InvalidRequest):
            build()


@given(st.text(max_size=DESCRIPTION_MAX))
def test_a_description_that_is_accepted_can_be_stored(text: str) -> None:
    try:
        operation = Add("u", 1, description=text)
    except InvalidRequest:
        return
    assert operation.description.encode().decode() == text


def test_the_log_of_a_batch_says_what_its_legs_say_of_each_account() -> None:
    batch = Batch(
        (Withdraw("u", 1, description="fee"), Transfer("u", "v", 1, description="gift")),
        description="month",
    )
    assert description_for(batch, "u") == "month; fee; gift"
    assert description_for(batch, "v") == "month; gift"
    long = Batch((Add("u", 1, description="x" * DESCRIPTION_MAX),) * 3)
    assert len(description_for(long, "u")) == DESCRIPTION_MAX
