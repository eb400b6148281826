"""Guards let an operation through exactly where `apply` does, and change the same."""

from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BusinessError
from engine.money import BALANCE_CENTS_MAX
from engine.operations import Add, Batch, Leg, Operation, Transfer, Withdraw
from engine.stores.guards import guards

ACCOUNTS = ("alice", "bob", "carol")
NEAR_THE_TOP = st.integers(BALANCE_CENTS_MAX - 5, BALANCE_CENTS_MAX)

accounts = st.sampled_from(ACCOUNTS)
cents = st.integers(1, 4)
legs: st.SearchStrategy[Leg] = st.one_of(
    st.builds(Withdraw, accounts, cents),
    st.builds(Add, accounts, cents),
    st.builds(
        lambda ends, amount: Transfer(ends[0], ends[1], amount),
        st.permutations(ACCOUNTS),
        cents,
    ),
)
operations: st.SearchStrategy[Operation] = legs | st.lists(legs, min_size=1, max_size=5).map(
    lambda drawn: Batch(tuple(drawn))
)
balances = st.dictionaries(accounts, st.integers(0, 5) | NEAR_THE_TOP)


@given(operations, balances)
def test_a_guard_holds_exactly_where_the_operation_can_be_applied(
    operation: Operation, held: dict[str, int]
) -> None:
    found = guards(operation)
    let_through = all(g.account in held and g.least <= held[g.account] <= g.most for g in found)
    try:
        after = operation.apply(held)
    except BusinessError:
        assert not let_through
    else:
        assert let_through
        assert {g.account: held[g.account] + g.delta for g in found} == after


def test_guards_are_sorted_with_one_for_each_account() -> None:
    batch = Batch((Transfer("bob", "alice", 5), Withdraw("bob", 1), Add("bob", 2)))
    assert guards(batch) == (
        ("alice", 5, 0, BALANCE_CENTS_MAX - 5),
        ("bob", -4, 6, BALANCE_CENTS_MAX),
    )
