"""A wallet of the user's own in the place of WalletService: found by name, explored like ours."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.errors import UsageError
from engine.explore.cells import explore_cell, replay_cell
from engine.explore.scenario import Scenario
from engine.results import Cell
from engine.verdicts import Break, Verdict
from scenarios import matrix
from scenarios.catalogue import SCENARIOS
from scenarios.cli import app

BOTH = pytest.mark.parametrize("store", ["memory", "sqlite"])
RACE = SCENARIOS["documented-race"]

WALLETS = '''
"""Wallets as users write them."""

import asyncio
from collections import defaultdict

from engine.errors import InsufficientFunds
from engine.locks.body import read_apply_write
from engine.operations import Add, Batch, Transfer, Withdraw
from engine.ports import Call, Change
from engine.wallet import WalletService


class Locked:
    """asyncio.Lock for each user in a dict on self."""

    def __init__(self, sessions, runtime):
        self.sessions, self.runtime = sessions, runtime
        self.locks = defaultdict(asyncio.Lock)

    async def withdraw(self, account, amount, *, key=None):
        return await self.run(Withdraw(account, amount), key)

    async def add(self, account, amount, *, key=None):
        return await self.run(Add(account, amount), key)

    async def transfer(self, source, target, amount, *, key=None):
        return await self.run(Transfer(source, target, amount), key)

    async def batch(self, legs, *, key=None):
        return await self.run(Batch(tuple(legs)), key)

    async def run(self, operation, key, accounts=None):
        call = Call(self.runtime.new_id(), operation, key)
        accounts = list(call.accounts if accounts is None else accounts)
        if accounts:
            async with self.locks[accounts.pop(0)]:
                return await self.run(operation, key, accounts)
        return await read_apply_write(call, self.sessions())

    async def balance(self, account):
        rows = (await self.sessions().read((account,))).rows
        return rows[account].balance

    async def check_sufficient(self, account, amount):
        return await self.balance(account) >= amount


class ByHand:
    """Reads a balance, computes, writes it back; answers nothing and knows no keys."""

    def __init__(self, runtime, sessions):
        self.sessions, self.runtime = sessions, runtime

    async def withdraw(self, account, amount):
        await self.change(Withdraw(account, amount), account, -amount)

    async def add(self, account, amount):
        await self.change(Add(account, amount), account, amount)

    async def change(self, operation, account, cents):
        store, call = self.sessions(), Call(self.runtime.new_id(), operation)
        row = (await store.read((account,))).rows[account]
        if row.balance + cents < 0:
            raise InsufficientFunds(f"{account} holds too little")
        change = Change(account, row.balance, row.balance + cents, row.version)
        await store.write(call, (change,))


class Remembers(ByHand):
    """Keeps balances in a dict on self, and checks them before it lets others go first."""

    def __init__(self, sessions, runtime):
        super().__init__(runtime, sessions)
        self.lock, self.known = asyncio.Lock(), {}

    async def change(self, operation, account, cents):
        store, call = self.sessions(), Call(self.runtime.new_id(), operation)
        if account not in self.known:
            self.known[account] = (await store.read((account,))).rows[account]
        row = self.known[account]
        async with self.lock:
            after = row.balance + cents
            await store.write(call, (Change(account, row.balance, after, row.version),))
            self.known[account] = row._replace(balance=after, version=row.version + 1)


class Crashes(ByHand):
    async def change(self, operation, account, cents):
        raise KeyError(account)


class TakesALock(WalletService):
    """Ours, under another name."""


class NotAsync:
    def withdraw(self, account, amount): ...
    def add(self, account, amount): ...


class KnowsTooMuch:
    def __init__(self, sessions, config): ...


NOT_CALLABLE = 7
'''


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wallets as a module `wallets_of_mine` in the current folder."""
    (tmp_path / "wallets_of_mine.py").write_text(WALLETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "wallets_of_mine", raising=False)


def explored(
    wallet: str,
    scenario: Scenario = RACE,
    store: str = "memory",
    *,
    topology: str = "one-service",
    lock: str | None = None,
) -> Cell:
    name = f"wallets_of_mine:{wallet}"
    return asyncio.run(explore_cell(scenario, lock, topology, store, wallet=name))


@BOTH
def test_a_lock_for_each_user_holds_in_one_service_only(store: str) -> None:
    safe = explored("Locked", store=store)
    assert safe.verdict is Verdict.SAFE
    assert safe.lock == "wallets_of_mine:Locked"
    assert safe.expected is None
    assert "asyncio.Lock as asyncio has it" in safe.note
    assert Break.MONEY in explored("Locked", store=store, topology="two-processes").kinds


@pytest.mark.parametrize(
    "scenario", ["crossing-transfers", "batch-beside-transfer", "double-spend"]
)
def test_every_operation_reaches_the_wallet(scenario: str) -> None:
    assert explored("Locked", SCENARIOS[scenario]).verdict is Verdict.SAFE


def test_orders_and_questions_go_through_the_wallet() -> None:
    assert explored("Locked", SCENARIOS["check-then-withdraw"]).verdict is Verdict.SAFE
    assert explored("Locked", SCENARIOS["failed-order"]).verdict is Verdict.SAFE


@BOTH
def test_a_wallet_without_any_lock_loses_money_like_ours(store: str) -> None:
    own, ours = (
        explored("ByHand", store=store),
        asyncio.run(explore_cell(RACE, "none", "one-service", store)),
    )
    assert (own.interleavings, own.outcomes) == (ours.interleavings, ours.outcomes)
    assert own.witness is not None
    assert ours.witness is not None
    assert own.witness.schedule == ours.witness.schedule


def test_a_balance_remembered_before_the_lock_is_stale_under_it() -> None:
    assert explored("Remembers").kinds[0] is Break.MONEY


def test_a_witness_of_a_wallet_on_the_loop_recurs_on_real_sqlite() -> None:
    cell = explored("Remembers")
    assert cell.witness is not None
    schedule, faults = cell.witness.schedule, RACE.faults
    live = asyncio.run(
        replay_cell(
            *(RACE, None, "one-service", "sqlite", schedule),
            wallet="wallets_of_mine:Remembers",
            faults=faults,
        )
    )
    assert (live.outcome, live.findings) == (cell.witness.outcome, cell.witness.findings)


def test_an_error_that_is_no_answer_is_a_failed_client() -> None:
    failed = explored("Crashes")
    assert failed.kinds == (Break.LIVENESS,)
    assert failed.witness is not None
    assert "A: KeyError: 'alice'" in failed.witness.explanation


def test_a_wallet_with_a_parameter_named_lock_gets_the_strategy() -> None:
    assert explored("TakesALock", lock="per-user").verdict is Verdict.SAFE
    assert explored("TakesALock", lock="none").verdict is Verdict.BROKEN
    with pytest.raises(UsageError, match="name one with --lock"):
        explored("TakesALock")


@pytest.mark.parametrize(
    ("wallet", "scenario", "says"),
    [
        ("ByHand", "crossing-transfers", "ByHand has no method 'transfer'.*it needs async def"),
        ("ByHand", "retry-after-timeout", "ByHand.withdraw cannot be called.*key"),
        ("NotAsync", "documented-race", "NotAsync.withdraw is not async"),
        ("KnowsTooMuch", "documented-race", "nobody knows its config"),
        ("NOT_CALLABLE", "documented-race", "is no wallet"),
        ("Missing", "documented-race", "has no 'Missing'"),
    ],
)
def test_a_wallet_that_does_not_fit_is_told_what_it_lacks(
    wallet: str, scenario: str, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        explored(wallet, SCENARIOS[scenario])


def test_a_method_is_missed_only_where_the_scenario_needs_it() -> None:
    assert explored("ByHand").verdict is Verdict.BROKEN  # without transfer, batch or balance


def test_a_lock_strategy_that_nobody_would_use_is_refused() -> None:
    with pytest.raises(UsageError, match="takes no lock strategy; leave --lock out"):
        explored("Locked", lock="none")


def test_explore_saves_and_replays_a_wallet_by_its_name() -> None:
    runner, wallet = CliRunner(), "wallets_of_mine:Locked"
    options = ["--wallet", wallet, "--topology", "two-processes", "--save", "kept.json", "--json"]
    told = runner.invoke(app, ["explore", "documented-race", *options])
    assert told.exit_code == 1
    assert json.loads(told.stdout)["lock"] == wallet
    assert json.loads(Path("kept.json").read_text())["wallet"] == wallet
    for store in ("memory", "sqlite"):
        again = runner.invoke(app, ["replay", "kept.json", "--store", store, "--json"])
        assert again.exit_code == 0, again.stdout
        assert json.loads(again.stdout)["recurs"]


def test_the_matrix_of_a_wallet_has_one_column_or_one_for_each_lock() -> None:
    assert matrix.locks_for("wallets_of_mine:Locked", "sqlite") == ("wallets_of_mine:Locked",)
    every = matrix.locks_for(None, "postgres")
    assert matrix.locks_for("wallets_of_mine:TakesALock", "postgres") == every
    wallet = "wallets_of_mine:Locked"
    plan = matrix.Plan([RACE], matrix.locks_for(wallet, "sqlite"), ["one-service"], wallet=wallet)
    cells = asyncio.run(matrix.compare(plan, quick=True))
    assert [cell.verdict for cell in cells] == [Verdict.SAFE]
