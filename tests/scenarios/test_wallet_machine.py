"""A real wallet service on a real SQLite file, driven at random beside a dict of what is due.

Rules that make one request at a time hold under every lock strategy. The rule that makes two at
once holds only under those that exclude, and catches `none`.
"""

import asyncio
import logging
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine.cached_reads import CachedReads
from engine.caches import MemoryCache
from engine.catalog import strategies_on
from engine.checks.ledger import audit, rebuild
from engine.errors import BusinessError, CacheUnavailable, KeyReused, OrderRejected
from engine.history import Receipt
from engine.operations import Add, Balance, Open, Operation, Question, Withdraw
from engine.orders import OrderService
from engine.ports import Row
from engine.runtimes import AsyncioRuntime
from engine.stores.sqlite import SqliteDatabase
from engine.wallet import WalletService
from scenarios.program_strategies import ACCOUNTS, KEYS, accounts, cents, operations, questions
from tests.engine.insisting import insisting

CACHE_TTL_S = 60.0
Answer = Receipt | str  # a refusal by its code


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now_s = 0.0


class SteadyRuntime(AsyncioRuntime):
    """asyncio under a clock of our own."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def now_ms(self) -> int:
        return int(self._clock.now_s * 1000)


class UnreliableCache:
    """A cache that fails while it is told to."""

    def __init__(self, inner: MemoryCache) -> None:
        self.ttl_s = inner.ttl_s
        self.failing = False
        self._inner = inner

    async def get(self, account: str) -> Row | None:
        self._fail()
        return await self._inner.get(account)

    async def put(self, account: str, row: Row) -> None:
        self._fail()
        await self._inner.put(account, row)

    def _fail(self) -> None:
        if self.failing:
            raise CacheUnavailable("the cache is off", "read the database")


@dataclass(frozen=True)
class Due:
    """What the wallets should hold, and what each idempotency key stands for."""

    balances: dict[str, int] = field(default_factory=dict)
    firsts: dict[str, tuple[Operation, Receipt]] = field(default_factory=dict)

    def after(self, operation: Operation, key: str | None, answer: Answer) -> "Due | None":
        """What is due after this call, or None if `answer` is not the one that it had to get."""
        if key in self.firsts:
            first, receipt = self.firsts[key]
            return self if answer == (receipt if first == operation else KeyReused.code) else None
        try:
            changed = operation.apply(self.balances)
        except BusinessError as error:
            return self if answer == error.code else None
        if not isinstance(answer, Receipt) or changed != {
            entry.account: entry.after for entry in answer.entries
        }:
            return None
        named = {} if key is None else {key: (operation, answer)}
        return replace(self, balances=self.balances | changed, firsts=self.firsts | named)


class WalletMachine(RuleBasedStateMachine):
    """One service under one lock strategy, and what is due."""

    calls = Bundle("calls")

    def __init__(self, lock: str, *, in_pairs: bool) -> None:
        super().__init__()
        self.in_pairs = in_pairs
        self.due = Due()
        self.in_stock = True
        self.rejected: dict[str, Withdraw] = {}
        self.clock = Clock()
        self.cache = UnreliableCache(
            MemoryCache(ttl_s=CACHE_TTL_S, clock_s=lambda: self.clock.now_s)
        )
        self.folder = tempfile.TemporaryDirectory(prefix="walletrace-")
        self.loop = asyncio.Runner()
        self.database = self.loop.run(
            SqliteDatabase.open(Path(self.folder.name) / "machine.db", synchronous="OFF")
        )
        self.runtime = SteadyRuntime(self.clock)
        sessions = self.database.session
        reads = CachedReads(self.cache, sessions, self.runtime)
        strategy = insisting(lock, self.runtime)
        self.wallet = WalletService(strategy, sessions, self.runtime, reads=reads)
        self.orders = OrderService(self.wallet, sessions, self._fulfil)

    def teardown(self) -> None:
        self.loop.run(self.runtime.drain())
        self.loop.run(self.database.close())
        self.loop.close()
        self.folder.cleanup()

    @initialize(opening=cents)
    def first_wallet(self, opening: int) -> None:
        self._execute(Open(ACCOUNTS[0], opening))

    @rule(operation=operations)
    def execute(self, operation: Operation) -> None:
        self._execute(operation)

    @rule(target=calls, operation=operations, key=st.sampled_from(KEYS))
    def execute_with_a_key(self, operation: Operation, key: str) -> tuple[Operation, str]:
        self._execute(operation, key)
        return operation, key

    @rule(call=calls)
    def retry(self, call: tuple[Operation, str]) -> None:
        self._execute(*call)

    @precondition(lambda self: self.in_pairs)
    @rule(one=operations, other=operations)
    def two_at_once(self, one: Operation, other: Operation) -> None:
        async def both() -> list[Answer]:
            return await asyncio.gather(self._answer(one), self._answer(other))

        first, second = self.loop.run(both())
        in_turn = self._after((one, first), (other, second))
        reverse = self._after((other, second), (one, first))
        assert in_turn or reverse, f"no order explains {first} and {second}"
        self.due = in_turn or reverse

    @rule(account=accounts, amount=cents, number=st.integers(1, 3), in_stock=st.booleans())
    def order(self, account: str, amount: int, number: int, in_stock: bool) -> None:
        """Paid once, refunded once: however often, and with whatever stock, it is repeated."""
        self.in_stock = in_stock
        try:
            answer: Answer = self.loop.run(self.orders.create_order(f"o{number}", account, amount))
        except BusinessError as error:
            answer = error.code
        name = f"o{number}"
        self._settle_order(name, Withdraw(account, amount, description=f"order {name}"), answer)

    @rule(question=questions)
    def ask(self, question: Question) -> None:
        async def answer() -> int | bool | str:
            try:
                return await self.wallet.ask(question)
            except BusinessError as error:
                return error.code

        try:
            due: int | bool | str = question.answer(self.due.balances)
        except BusinessError as error:
            due = error.code
        assert self.loop.run(answer()) == due, f"a stale answer to {question}"

    @rule(failing=st.booleans())
    def cache_fails_or_recovers(self, failing: bool) -> None:
        self.cache.failing = failing

    @rule()
    def background_work_ends(self) -> None:
        self.loop.run(self.runtime.drain())

    @rule(seconds=st.sampled_from((1.0, CACHE_TTL_S, 2 * CACHE_TTL_S)))
    def time_passes(self, seconds: float) -> None:
        self.clock.now_s += seconds

    @rule(idle_s=st.sampled_from((0.0, 1.0)))
    def sweep(self, idle_s: float) -> None:
        self.wallet.sweep(idle_s)

    @invariant()
    def the_books_are_right(self) -> None:
        rows, log = self.loop.run(self.database.balances()), self.loop.run(self.database.log())
        assert {account: row.balance for account, row in rows.items()} == self.due.balances
        assert rebuild(log) == self.due.balances
        assert audit(rows, log) == ()

    async def _fulfil(self, order_id: str) -> bool:
        return self.in_stock

    async def _answer(self, operation: Operation, key: str | None = None) -> Answer:
        try:
            return await self.wallet.execute(operation, key=key)
        except BusinessError as error:
            return error.code

    def _execute(self, operation: Operation, key: str | None = None) -> None:
        answer = self.loop.run(self._answer(operation, key))
        due = self.due.after(operation, key, answer)
        assert due is not None, f"{operation} was answered {answer}"
        self.due = due

    def _after(self, *calls: tuple[Operation, Answer]) -> Due | None:
        due: Due | None = self.due
        for operation, answer in calls:
            due = due and due.after(operation, None, answer)
        return due

    def _settle_order(self, name: str, payment: Withdraw, answer: Answer) -> None:
        if answer == OrderRejected.code:
            # Paid and given back: the balances stay what they were.
            if name not in self.rejected:
                payment.apply(self.due.balances)  # raises what the order should have raised
                assert not self.in_stock
            assert self.rejected.setdefault(name, payment) == payment
        elif name in self.rejected:
            assert (answer, payment) != (KeyReused.code, self.rejected[name])
        else:
            due = self.due.after(payment, f"order:{name}", answer)
            assert due is not None, f"the order {name} was answered {answer}"
            assert self.in_stock or due is self.due
            self.due = due


def drive(lock: str, *, in_pairs: bool, search: settings) -> None:
    run_state_machine_as_test(lambda: WalletMachine(lock, in_pairs=in_pairs), settings=search)


def some_of_the_profile() -> settings:
    """A run of the machine is worth several other examples, and costs as much."""
    examples = settings.default.max_examples // 5
    return settings(max_examples=examples, stateful_step_count=30)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    # The cache fails on purpose, and each failure costs a warning.
    caplog.set_level(logging.ERROR, "walletrace.cache")


@pytest.mark.parametrize("lock", strategies_on("sqlite"))
def test_a_wallet_holds_what_is_due_after_requests_one_by_one(lock: str) -> None:
    drive(lock, in_pairs=False, search=some_of_the_profile())


@pytest.mark.parametrize("lock", [name for name in strategies_on("sqlite") if name != "none"])
def test_a_safe_lock_strategy_also_bears_two_requests_at_once(lock: str) -> None:
    drive(lock, in_pairs=True, search=some_of_the_profile())


def test_a_retry_shows_nobody_the_old_balance_once_the_cache_has_forgotten() -> None:
    machine = WalletMachine("per-user", in_pairs=False)
    machine.first_wallet(5)
    call = machine.execute_with_a_key(Add("alice", 1), "k")
    machine.execute(Add("alice", 1))
    machine.time_passes(2 * CACHE_TTL_S)
    machine.retry(call)
    machine.background_work_ends()
    machine.ask(Balance("alice"))
    machine.teardown()


def test_without_a_lock_two_requests_at_once_lose_money() -> None:
    first_one = settings(derandomize=True, database=None, phases=[Phase.generate])
    with pytest.raises(AssertionError, match="no order explains"):
        drive("none", in_pairs=True, search=first_one)
