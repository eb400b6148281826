"""The models that ship: a register, a bank of totals, wallets."""

import pytest

from engine.checks.models import Bank, Register, bank, register, wallets
from engine.checks.search import Model, Operation, judge_model
from engine.operations import Add, Balance, CheckSufficient, Transfer, Withdraw
from engine.verdicts import Verdict


def broken(model: Model, *operations: Operation) -> bool:  # type: ignore[type-arg]
    return judge_model(model, operations).verdict is Verdict.BROKEN


def test_registers_with_different_keys_do_not_depend_on_each_other() -> None:
    write = Operation("A", Register.write(1, key="x"), None, 0, 10)
    judgement = judge_model(
        register(0),
        [
            write,
            Operation("B", Register.read(key="y"), 0, 20, 30),
            Operation("B", Register.read(key="x"), 0, 40, 50),
        ],
    )
    assert [violation.calls for violation in judgement.violations] == [(2,)]


@pytest.mark.parametrize(("expected", "done", "wrong"), [(0, True, False), (0, False, True)])
def test_a_compare_and_set_says_whether_it_was_done(expected: int, done: bool, wrong: bool) -> None:
    assert broken(register(0), Operation("A", Register.cas(expected, 1), done, 0, 1)) == wrong


def test_requests_to_a_register_read_like_the_logs_of_jepsen() -> None:
    assert [str(Register.read()), str(Register.write(3)), str(Register.cas(1, 2))] == [
        "read",
        "write 3",
        "cas 1 2",
    ]


def test_a_stale_read_of_the_right_total_breaks_the_bank() -> None:
    # Jepsen's own check looks at totals alone, and would pass this.
    moved = Operation("A", Bank("x", "y", 5), True, 0, 10)
    stale = Operation("B", Bank(), {"x": 10, "y": 0}, 20, 30)
    assert broken(bank({"x": 10, "y": 0}), moved, stale)
    assert not broken(bank({"x": 10, "y": 0}), moved, stale._replace(invoked=5))


def test_a_transfer_that_is_not_covered_is_refused() -> None:
    assert not broken(bank({"x": 1, "y": 0}), Operation("A", Bank("x", "y", 5), False, 0, 10))
    assert broken(bank({"x": 9, "y": 0}), Operation("A", Bank("x", "y", 5), False, 0, 10))


def test_wallets_answer_as_their_operations_do() -> None:
    moved = Operation("A", Transfer("u", "v", 300), {"u": 700, "v": 300}, 0, 10)
    assert not broken(wallets({"u": 1000, "v": 0}), moved)
    for right in (
        Operation("B", Withdraw("u", 2000), "insufficient_funds", 0, 10),
        Operation("B", Balance("v"), 300, 5, 20),
        Operation("B", CheckSufficient("u", 800), False, 5, 20),
        Operation("B", Add("w", 1), "unknown_wallet", 0, 10),
        Operation("B", Add("v", 1), None, 0, None),
    ):
        assert not broken(wallets({"u": 1000, "v": 0}), moved, right)
    for wrong in (
        moved._replace(output={"u": 700, "v": 200}),
        Operation("B", Balance("v"), 200, 5, 20),
        Operation("B", Withdraw("u", 500), "insufficient_funds", 0, 10),
    ):
        assert broken(wallets({"u": 1000, "v": 0}), moved, wrong)
