"""Workloads are drawn from luck alone, as the texts that name them say."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.load import workload
from engine.operations import Add, Balance, Batch, Transfer, Withdraw

MIX = "withdraw=4,add=3,transfer=2,batch=1,balance=1"
ACCOUNTS = ("hot", "uniform:10", "zipf:10", "zipf:10:2.5")


@pytest.mark.parametrize("accounts", ACCOUNTS)
def test_the_same_seed_draws_the_same_operations(accounts):
    def drawn(seed):
        rng = random.Random(seed)
        return [workload.parse(MIX, accounts).draw(rng) for _ in range(50)]

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)


def test_each_kind_is_drawn_as_often_as_its_weight_says():
    rng = random.Random(1)
    chosen = workload.parse(MIX, "uniform:50")
    counts = Counter(type(chosen.draw(rng)) for _ in range(11_000))
    expected = {Withdraw: 4_000, Add: 3_000, Transfer: 2_000, Batch: 1_000, Balance: 1_000}
    assert counts == pytest.approx(expected, rel=0.1)


def test_every_operation_on_hot_accounts_touches_the_hot_one():
    rng = random.Random(1)
    chosen = workload.parse("withdraw=1,add=1,transfer=1,batch=1", "hot")
    assert all("hot" in chosen.draw(rng).written for _ in range(200))


def test_zipf_draws_the_second_account_half_as_often_as_the_first():
    rng = random.Random(1)
    accounts = workload.parse_accounts("zipf:1000")
    counts = Counter(accounts.one(rng) for _ in range(40_000))
    assert counts["user-0"] / counts["user-1"] == pytest.approx(2, rel=0.1)
    assert counts["user-0"] / counts["user-9"] == pytest.approx(10, rel=0.2)


@given(
    st.sampled_from(["hot", "uniform:2", "uniform:9", "zipf:2:5", "zipf:9"]),
    st.randoms(use_true_random=False),
)
def test_two_accounts_are_never_one(accounts, rng):
    left, right = workload.parse_accounts(accounts).two(rng)
    assert left != right


def test_amounts_come_from_a_million_values():
    rng = random.Random(1)
    amounts = [workload.amount(rng) for _ in range(2_000)]
    assert len(set(amounts)) > 1_990
    assert 1 <= min(amounts) < 10_000
    assert 990_000 < max(amounts) <= 1_000_000


def test_wallets_are_opened_for_all_accounts_that_can_be_drawn():
    rng = random.Random(1)
    for accounts in ACCOUNTS:
        chosen = workload.parse("transfer=1,batch=1", accounts)
        touched = {name for _ in range(500) for name in chosen.draw(rng).written}
        assert touched == chosen.openings().keys()


@pytest.mark.parametrize(
    "mix",
    [
        "",
        "withdraw",
        "withdraw=",
        "withdraw=-1",
        "withdraw=1.5",
        "withdraw=99999999",
        "steal=1",
        "withdraw=1,withdraw=2",
        "add=0",
        "add=1,",
    ],
)
def test_a_mix_that_is_none_is_refused_with_the_way_out(mix):
    with pytest.raises(UsageError, match=r"withdraw=4,add=4,transfer=1"):
        workload.parse_mix(mix)


@pytest.mark.parametrize(
    "accounts",
    ["", "cold", "hot:3", "uniform", "uniform:0", "uniform:3:1", "zipf:-1", "zipf:9:9", "zipf:9:x"],
)
def test_accounts_that_are_none_are_refused(accounts):
    with pytest.raises(UsageError, match="use "):
        workload.parse_accounts(accounts)


def test_a_transfer_needs_a_second_account():
    with pytest.raises(UsageError, match="uniform:2"):
        workload.parse("transfer=1", "uniform:1")
    assert workload.parse("add=1,transfer=0", "uniform:1").accounts.names == ("user-0",)
