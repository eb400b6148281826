"""A witness in words: what it says of the money is what was acknowledged."""

from dataclasses import replace

from engine.results import Witness
from engine.verdicts import Break, Finding
from reports import Found
from reports.telling import ending, what_broke


def witness_of(found: Found, kind: Break) -> Witness:
    return next(cell.witness for cell in found.cells if cell.kinds == (kind,) and cell.witness)


def test_a_double_spend_says_what_was_paid_out_though_the_balance_is_right(found: Found) -> None:
    witness = replace(
        witness_of(found, Break.MONEY),
        findings=(Finding(Break.MONEY, "800.00 too much", 80_000),),
        correct={"alice": 20_000},
        final={"alice": 20_000},
    )
    assert ending(witness) == (
        "In the end: alice 200.00, the correct balance; yet what was acknowledged leaves 800.00"
        " less: 800.00 made."
    )


def test_a_wrong_balance_stands_beside_the_correct_one(found: Found) -> None:
    told = ending(witness_of(found, Break.MONEY))
    assert told == "In the end: alice 1300.00; correct: alice 800.00: 500.00 made."


def test_what_got_stuck_has_neither_lost_nor_made_money(found: Found) -> None:
    witness = replace(witness_of(found, Break.LIVENESS), correct={"alice": 125_000, "bob": 90_000})
    told = ending(witness)
    assert told == ("In the end: alice 1000.00, bob 1000.00; correct: alice 1250.00, bob 900.00.")


def test_a_client_that_an_error_ended_fails_and_is_not_stuck(found: Found) -> None:
    stuck = witness_of(found, Break.LIVENESS)
    failed = Finding(Break.LIVENESS, "a client failed: A: KeyError: 'x' (lock.py:5)")
    assert what_broke(stuck) == "stuck"
    assert what_broke(replace(stuck, findings=(failed,))) == "fails"
