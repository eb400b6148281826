"""Clients and the house they knock at: who answers which request under which topology."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from engine.cached_reads import BalanceReads, CachedReads, DirectReads
from engine.caches import MemoryCache
from engine.catalog import MakeLock
from engine.errors import BusinessError, SystemFault, UsageError
from engine.explore.own_wallet import MakeWallet, Wallet, build
from engine.explore.scenario import Scenario, instance_number
from engine.explore.stage import Lane, Stage
from engine.explore.steps import Step, SteppedCache
from engine.history import CallRecord, Outcome, Receipt
from engine.money import parse_cents
from engine.operations import (
    Add,
    Balance,
    Batch,
    CheckSufficient,
    Leg,
    Operation,
    Question,
    Transfer,
    Withdraw,
)
from engine.orders import OrderService, Payments
from engine.ports import Call, LockStrategy, Mutex, Runtime, Store
from engine.wallet import WalletService

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parts:
    """What an exploration puts together; tests swap single parts for wrong ones."""

    make_lock: MakeLock | None = None
    make_reads: Callable[..., BalanceReads] = CachedReads
    make_wallet: MakeWallet = WalletService


@dataclass(frozen=True, slots=True)
class Instance:
    """One service instance."""

    number: int
    wallet: Wallet
    orders: Callable[[Payments], OrderService]


class House:
    """The service instances of one run."""

    def __init__(
        self,
        stage: Stage,
        scenario: Scenario,
        topology: str,
        parts: Parts,
        sessions: Callable[[], Store],
    ) -> None:
        self._stage = stage
        self._scenario = scenario
        self._topology = topology
        self._parts = parts
        self.sessions = sessions
        self._instances: dict[int, Instance] = {}

    def door(self, client: int, request: int) -> int:
        """Which instance that is."""
        return instance_number(self._topology, len(self._scenario.programs), client, request)

    def answering(self, client: int, request: int) -> Instance:
        """The instance that answers the client's request number `request` (from 0)."""
        number = self.door(client, request)
        if number not in self._instances:
            self._instances[number] = self._build(number)
        return self._instances[number]

    def swept(self, number: int) -> None:
        """The instance forgets its idle locks, however short they have been idle."""
        if number in self._instances:
            self._instances[number].wallet.sweep(0)

    def crashed(self, number: int) -> None:
        """The instance is gone; the next request there finds a new one."""
        self._instances.pop(number, None)

    def _build(self, number: int) -> Instance:
        runtime = self._stage.make_runtime(number)

        @functools.cache
        def cache() -> SteppedCache:
            return SteppedCache(self._stage.perform, MemoryCache(clock_s=lambda: 0.0))

        def reads() -> BalanceReads:
            if not self._scenario.cached:
                return DirectReads(self.sessions)
            return self._parts.make_reads(cache(), self.sessions, runtime)

        parts: dict[str, Callable[[], Any]] = {
            "sessions": lambda: self.sessions,
            "runtime": lambda: runtime,
            "cache": cache,
            "reads": reads,
        }
        if (make_lock := self._parts.make_lock) is not None:
            parts["lock"] = lambda: _built(make_lock, runtime)
        wallet = build(self._parts.make_wallet, parts)

        def orders(payments: Payments) -> OrderService:
            return OrderService(payments, self.sessions, self._scenario.fulfil)

        own = (wallet._lock, wallet._reads) if type(wallet) is WalletService else wallet
        self._stage.built(number, own)
        return Instance(number, wallet, orders)


def _built(make_lock: MakeLock, runtime: Runtime) -> LockStrategy:
    try:
        lock = make_lock(runtime)
    except TypeError as error:
        raise UsageError(
            f"{make_lock!r} cannot be built ({error})", "a lock strategy takes one Runtime"
        ) from error
    if not inspect.iscoroutinefunction(getattr(lock, "run", None)):
        raise UsageError(
            f"{lock!r} is no lock strategy", "it needs async def run(self, call, store)"
        )
    return lock


class Client:
    """What a scenario's program holds: the wallet as a remote client sees it.

    Amounts are decimal texts. Every request is recorded as an interval; a refusal is raised, and
    a program that does not catch it ends there.
    """

    def __init__(self, stage: Stage, house: House, lane: Lane, number: int) -> None:
        self._stage = stage
        self._house = house
        self._lane = lane
        self._number = number
        self._requests = 0

    async def withdraw(self, account: str, amount: str, *, key: str | None = None) -> Receipt:
        return await self.execute(Withdraw(account, parse_cents(amount)), key=key)

    async def add(self, account: str, amount: str, *, key: str | None = None) -> Receipt:
        return await self.execute(Add(account, parse_cents(amount)), key=key)

    async def transfer(
        self, source: str, target: str, amount: str, *, key: str | None = None
    ) -> Receipt:
        return await self.execute(Transfer(source, target, parse_cents(amount)), key=key)

    async def batch(self, *legs: Leg, key: str | None = None) -> Receipt:
        return await self.execute(Batch(legs), key=key)

    def store(self) -> Store:
        """A session of its own on the database, for a program that goes past the wallet."""
        return self._house.sessions()

    def mutex(self, name: str) -> Mutex:
        """A mutex that all clients of the run share, for a program that goes past the wallet."""
        return self._stage.shared_mutex(name)

    def new_call(self, operation: Operation, key: str | None = None) -> Call:
        """A call for such a session to write."""
        return Call(self._stage.new_id(), operation, key)

    async def execute(self, operation: Operation, *, key: str | None = None) -> Receipt:
        """Any operation."""
        return await self._request(
            operation, lambda at: at.wallet.execute(operation, key=key), key=key
        )

    async def balance(self, account: str) -> int:
        return int(await self._ask(Balance(account)))

    async def check_sufficient(self, account: str, amount: str) -> bool:
        return bool(await self._ask(CheckSufficient(account, parse_cents(amount))))

    async def create_order(self, order_id: str, account: str, amount: str) -> None:
        """An order; what it asks of the wallet is recorded operation by operation."""
        cents = parse_cents(amount)

        async def order(at: Instance) -> Receipt:
            payments = _Recorded(self, at.wallet)
            return await at.orders(payments).create_order(order_id, account, cents)

        await self._request(None, order)

    async def sweep(self) -> None:
        """The service's housekeeping: forget every idle lock, however short it has been idle."""
        await self._stage.perform(Step("sweep"))
        self._house.answering(self._number, self._requests).wallet.sweep(0)
        self._requests += 1

    async def _ask(self, question: Question) -> int | bool:
        return await self._request(question, lambda at: at.wallet.ask(question))

    async def _request(
        self,
        request: Operation | Question | None,
        call: Callable[[Instance], Awaitable[T]],
        *,
        key: str | None = None,
    ) -> T:
        await self._stage.perform(Step("invoke", (request,)))
        # Known before the instance is built: tasks that its parts start belong to it.
        self._lane.instance = self._house.door(self._number, self._requests)
        try:
            instance = self._house.answering(self._number, self._requests)
            self._requests += 1
            return await self.recorded(request, call(instance), key=key)
        finally:
            self._lane.instance = None

    async def recorded(
        self, request: Operation | Question | None, call: Awaitable[T], *, key: str | None = None
    ) -> T:
        """The answer to `call`, kept in the history as an interval."""
        invoked = self._stage.moves
        self._stage.opened += request is not None
        try:
            answer = await call
        except BusinessError as error:
            self._record(request, invoked, Outcome.REFUSED, error.code, key=key)
            raise
        except SystemFault as error:
            outcome = Outcome.UNKNOWN if error.may_have_happened else Outcome.REFUSED
            self._record(request, invoked, outcome, error.code, key=key)
            raise
        except BaseException as error:
            self._record(request, invoked, Outcome.UNKNOWN, type(error).__name__, key=key)
            raise
        self._record(request, invoked, Outcome.OK, answer=answer, key=key)
        return answer

    def _record(
        self,
        request: Operation | Question | None,
        invoked: int,
        outcome: Outcome,
        code: str = "",
        *,
        answer: Any = None,
        key: str | None = None,
    ) -> None:
        if request is not None:
            completed = None if outcome is Outcome.UNKNOWN else self._stage.moves
            self._stage.history.append(
                CallRecord(self._lane.name, request, invoked, completed, outcome, code, answer, key)
            )


class _Recorded:
    """A wallet as an order sees it, each operation recorded like a request of its client."""

    def __init__(self, client: Client, wallet: Wallet) -> None:
        self._client = client
        self._wallet = wallet

    async def withdraw(
        self, account: str, amount: int, description: str = "", *, key: str | None = None
    ) -> Receipt:
        return await self._execute(Withdraw(account, amount, description=description), key)

    async def add(
        self, account: str, amount: int, description: str = "", *, key: str | None = None
    ) -> Receipt:
        return await self._execute(Add(account, amount, description=description), key)

    async def _execute(self, operation: Operation, key: str | None) -> Receipt:
        return await self._client.recorded(
            operation, self._wallet.execute(operation, key=key), key=key
        )
