"""The ledger check finds every tampering with a log or a wallet, and nothing in a correct one."""

import time
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from engine.checks import ledger
from engine.errors import BusinessError
from engine.history import LogRow
from engine.operations import Add, Batch, Open, Operation, Transfer, Withdraw, accounts_of
from engine.ports import Row
from engine.verdicts import Break

ACCOUNTS = ("a", "b", "c")


@dataclass
class Book:
    """Wallets and their log, kept by running operations one after the other."""

    wallets: dict[str, Row]
    log: list[LogRow]

    def run(self, operation: Operation) -> None:
        held = {name: row.balance for name, row in self.wallets.items()}
        operation_id = f"op-{len(self.log)}"
        try:
            after = operation.apply(held)
        except BusinessError:
            return
        for account in accounts_of(operation):
            balance, version = self.wallets.get(account, Row(0, 0))
            amount = after[account] - balance
            self.wallets[account] = Row(after[account], version + 1)
            self.log.append(
                LogRow(
                    operation_id,
                    account,
                    operation.kind,
                    amount,
                    balance,
                    after[account],
                    version + 1,
                    "",
                    0,
                )
            )


def book(operations: list[Operation]) -> Book:
    kept = Book({}, [])
    for operation in [*(Open(name, 10_000) for name in ACCOUNTS), *operations]:
        kept.run(operation)
    return kept


accounts = st.sampled_from(ACCOUNTS)
amounts = st.integers(1, 9_000)
legs = st.one_of(
    st.builds(Withdraw, accounts, amounts),
    st.builds(Add, accounts, amounts),
    st.tuples(st.permutations(ACCOUNTS), amounts).map(
        lambda drawn: Transfer(drawn[0][0], drawn[0][1], drawn[1])
    ),
)
operations = st.one_of(legs, st.lists(legs, min_size=1, max_size=4).map(tuple).map(Batch))
books = st.lists(operations, max_size=25).map(book)


@given(books, st.randoms(use_true_random=False))
def test_a_correct_ledger_is_never_flagged_in_whatever_order_its_rows_come(kept, random):
    random.shuffle(kept.log)
    assert ledger.audit(kept.wallets, kept.log) == ()
    assert ledger.money_lost(kept.wallets, kept.log) == 0
    assert ledger.rebuild(kept.log) == {name: row.balance for name, row in kept.wallets.items()}


@st.composite
def tampered(draw):
    """A correct book after one change to its money, its versions or its rows."""
    kept = draw(books)
    place = draw(st.integers(0, len(kept.log) - 1))
    row = kept.log[place]
    off = draw(st.integers(-20_000, 20_000).filter(bool))
    match draw(st.sampled_from(["field", "wallet", "drop", "repeat", "account", "wallet version"])):
        case "field":
            name = draw(st.sampled_from(["amount", "before", "after", "version"]))
            kept.log[place] = row._replace(**{name: getattr(row, name) + off})
        case "wallet":
            balance, version = kept.wallets[row.account]
            kept.wallets[row.account] = Row(balance + off, version)
        case "wallet version":
            balance, version = kept.wallets[row.account]
            kept.wallets[row.account] = Row(balance, version + off)
        case "drop":
            del kept.log[place]
        case "repeat":
            kept.log.append(row)
        case "account":
            kept.log[place] = row._replace(account="nobody")
    return kept


@given(tampered())
def test_any_tampering_is_flagged_and_the_gaps_add_up_to_what_is_missing(kept):
    found = list(ledger.findings(kept.wallets, kept.log))
    assert found
    assert all(finding.kind is Break.MONEY for finding in found)
    assert sum(finding.cents for finding in found) == -ledger.money_lost(kept.wallets, kept.log)


def test_the_documented_race_is_one_broken_link_that_names_both_operations():
    log = [
        LogRow("o", "u", "open", 100_000, 0, 100_000, 1, "", 0),
        LogRow("A", "u", "withdraw", -50_000, 100_000, 50_000, 2, "", 0),
        LogRow("B", "u", "add", 30_000, 100_000, 130_000, 3, "", 0),
    ]
    (finding,) = ledger.audit({"u": Row(130_000, 3)}, log)
    assert finding.cents == 50_000
    assert "A (withdraw 500.00)" in finding.message
    assert "B (add 300.00)" in finding.message
    assert "500.00 made" in finding.message


def test_one_side_of_a_transfer_is_money_lost():
    kept = book([Transfer("a", "b", 700)])
    kept.log.pop()
    kept.wallets["b"] = Row(10_000, 1)
    assert [finding.cents for finding in ledger.audit(kept.wallets, kept.log)] == [-700]
    assert ledger.money_lost(kept.wallets, kept.log) == 700


def test_a_withdrawal_that_adds_is_flagged():
    kept = book([Add("a", 700)])
    kept.log[-1] = kept.log[-1]._replace(kind="withdraw")
    assert len(ledger.audit(kept.wallets, kept.log)) == 1


def test_an_operation_applied_twice_is_flagged():
    kept = book([Withdraw("a", 700), Withdraw("a", 700)])
    kept.log[-1] = kept.log[-1]._replace(operation_id=kept.log[-2].operation_id)
    (finding,) = ledger.audit(kept.wallets, kept.log)
    assert "applied more than once" in finding.message


def racing_log(rows: int) -> list[LogRow]:
    """Every withdrawal of 1 cent reads the opening balance."""
    opening = LogRow("o", "u", "open", 1_000, 0, 1_000, 1, "", 0)
    return [opening] + [
        LogRow(f"w{i}", "u", "withdraw", -1, 1_000, 999, i + 2, "", 0) for i in range(rows)
    ]


def test_the_list_is_bounded_and_the_sum_is_not():
    log = racing_log(5_000)
    assert len(ledger.audit({"u": Row(999, 5_001)}, log)) == ledger.FINDINGS_MAX
    assert ledger.money_lost({"u": Row(999, 5_001)}, log) == -4_999


def test_a_hundred_thousand_rows_take_less_than_a_second():
    log = [LogRow("o", "u", "open", 10**6, 0, 10**6, 1, "", 0)] + [
        LogRow(f"w{i}", "u", "withdraw", -1, 10**6 - i, 10**6 - i - 1, i + 2, "", 0)
        for i in range(100_000)
    ]
    started = time.process_time()
    assert ledger.audit({"u": Row(900_000, 100_001)}, log) == ()
    assert time.process_time() - started < 1.0


def test_a_version_that_is_skipped_is_flagged_though_no_money_is_missing():
    log = [
        LogRow("o", "u", "open", 1_000, 0, 1_000, 1, "", 0),
        LogRow("w", "u", "withdraw", -400, 1_000, 600, 3, "", 0),
    ]
    (finding,) = ledger.audit({"u": Row(600, 3)}, log)
    assert "is followed by version 3" in finding.message
    assert finding.cents == 0
