"""What strategies and the wallet see of the world. Each port is small enough to write by hand.

Strategies and the wallet reach time, exclusion, shared memory and data only through these, so the
same unmodified code runs hand-driven in the model, gated step by step on a real database, and
free under load.
"""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

from engine.errors import BusinessError, KeyReused, UsageError, WalletraceError
from engine.history import LogRow, Outcome, Receipt
from engine.operations import Operation, accounts_of, fingerprint
from engine.timings import Timings

T = TypeVar("T")

Dialect = Literal["sqlite", "postgres"]
# What a transaction begins with: SQLite knows the first two, PostgreSQL the others.
Level = Literal["deferred", "immediate", "read-committed", "repeatable-read", "serializable"]
# Whether a read locks the rows it reads, and what it does about a row that is locked already.
RowLocking = Literal["", "wait", "nowait"]


@dataclass(frozen=True, slots=True)
class Call:
    """One operation on its way: `id` names this attempt, `key` all attempts that mean the same."""

    id: str
    operation: Operation
    key: str | None = None

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts it touches, sorted."""
        return accounts_of(self.operation)


class Row(NamedTuple):
    """A wallet as stored: cents, and a version that every write raises by one (the first is 1)."""

    balance: int
    version: int


def applied(operation: Operation, rows: Mapping[str, Row]) -> dict[str, int]:
    """`operation.apply` to wallets as stored; what it raises tells what was seen."""
    try:
        return operation.apply({account: row.balance for account, row in rows.items()})
    except BusinessError as error:
        error.seen = rows
        raise


class Earlier(NamedTuple):
    """What an idempotency key already stands for."""

    receipt: Receipt
    fingerprint: str

    def answer(self, call: Call) -> Receipt:
        """The first receipt again, or KeyReused if `call` has another body."""
        if self.fingerprint != fingerprint(call.operation):
            raise KeyReused(
                f"idempotency key {call.key!r} already stands for another operation",
                "use a new key for a new operation",
            )
        return self.receipt


class Snapshot(NamedTuple):
    """Balances (absent wallets left out) and an earlier receipt of the key, read at one instant."""

    rows: Mapping[str, Row]
    earlier: Earlier | None


class Change(NamedTuple):
    """One wallet's new absolute balance. `version` is the one read; 0 creates the wallet."""

    account: str
    before: int
    after: int
    version: int


class Store(Protocol):
    """One caller's handle on the database. Outside begin … commit each verb commits on its own.

    Leases, decisions, `guarded` and `group` are no part of transactions: inside one they raise
    UsageError. `advisory` and reads that lock are, and outside one they raise it.

    Who waits: `take`, `begin("immediate")`, `advisory`, `read(lock="wait")`, and everything that
    commits on its own, for whoever holds what they need. Inside a transaction `read` and `write`
    never wait on SQLite, where a lock held elsewhere is answered by StoreBusy at once; on
    PostgreSQL `write` waits there too, and DeadlockVictim or SerializationFailed may be the
    answer. After an error inside a transaction only `rollback` is of use.
    """

    @property
    def dialect(self) -> Dialect:
        """Whose rules hold: SQLite's one writer, or PostgreSQL's row locks."""
        ...

    async def read(
        self, accounts: tuple[str, ...], key: str | None = None, *, lock: RowLocking = ""
    ) -> Snapshot:
        """Balances, versions and an earlier receipt of `key`, in one snapshot.

        `lock` (PostgreSQL) locks the rows of `accounts`, in sorted order, until the transaction
        ends; "nowait" raises LockTaken instead of waiting.
        """
        ...

    async def write(
        self,
        call: Call,
        changes: tuple[Change, ...],
        *,
        if_version: bool = False,
        fence: Mapping[str, int] | None = None,
    ) -> Receipt:
        """Absolute balances, log rows and the key, atomically.

        A key that is there already changes nothing and answers with its receipt. `if_version`
        raises VersionChanged where a version differs from the one read; `fence` (account to lease
        token) raises FenceLost where a lease has passed on. WalletExists, StoreBusy, StoreFull.
        """
        ...

    async def take(self, key: str, owner: str) -> int:
        """Wait for the lease on `key`; the answer is its fencing token, higher every time."""
        ...

    async def give(self, key: str, owner: str) -> None:
        """Give the lease on `key` back, if `owner` has it."""
        ...

    async def decide(self, key: str, value: str) -> str:
        """Set `key` to `value` unless it is set; the answer is the value that stands."""
        ...

    async def guarded(self, call: Call) -> Receipt:
        """The whole call as guarded updates: `balance = balance - x WHERE balance >= x`.

        Log rows and key in the same statement or transaction, committed at once. What `apply`
        would raise is raised, and nothing is changed.
        """
        ...

    async def group(self, calls: tuple[Call, ...]) -> tuple[Receipt | WalletraceError, ...]:
        """All the calls in one transaction, one after the other; the answer to each.

        One that is refused changes nothing and does not keep the others from theirs.
        """
        ...

    async def advisory(self, keys: tuple[str, ...]) -> None:
        """Locks on names of the caller's choice, in the order given (PostgreSQL).

        Held until the transaction ends.
        """
        ...

    async def begin(self, level: Level, *, nowait: bool = False) -> None:
        """`nowait`: where "immediate" would wait, raise LockTaken instead."""
        ...

    async def commit(self) -> None: ...

    async def rollback(self) -> None:
        """Undo the open transaction, if there is one. Never fails."""
        ...


def outside_transactions(verb: str) -> UsageError:
    """What every store answers to a verb inside a transaction that has its own."""
    return UsageError(
        f"{verb} inside an open transaction",
        "take, give, decide, guarded and group come before begin or after commit",
    )


def inside_transactions(verb: str) -> UsageError:
    """What every store answers to a verb outside a transaction that would end with it."""
    return UsageError(f"{verb} outside a transaction", "begin one first")


def not_in_dialect(what: str, dialect: Dialect) -> UsageError:
    """What every store answers to a verb or level that its database does not have."""
    return UsageError(f"{dialect} knows no {what}", "use another store or lock strategy")


class Ledger(Protocol):
    """The whole database, as judges and operators read it."""

    async def balances(self) -> dict[str, Row]:
        """Every wallet."""
        ...

    async def books(self) -> tuple[dict[str, Row], list[LogRow]]:
        """Every wallet and the whole operation log, at one instant."""
        ...

    async def log(
        self, account: str | None = None, *, after_version: int = 0, limit: int | None = None
    ) -> list[LogRow]:
        """Rows of the operation log by account, then version."""
        ...


class Mutex(Protocol):
    """Exclusion in this process's memory: FIFO, released synchronously."""

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, kind: Any, error: Any, trace: Any, /) -> None: ...


class Cell(Generic[T]):
    """A named piece of memory that calls of one service instance share."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value


class Runtime(Protocol):
    """One service instance's view of time, memory and exclusion."""

    def mutex(self, name: str) -> Mutex:
        """A new mutex. `name` is for people; two mutexes of one name are two."""
        ...

    def cell(self, name: str, initial: Callable[[], T]) -> Cell[T]:
        """The cell of that name. All memory that calls share lives in cells."""
        ...

    async def backoff(self, attempt: int) -> None:
        """Wait before retry number `attempt` (from 0), longer each time, with jitter."""
        ...

    def now_ms(self) -> int:
        """Monotonic milliseconds."""
        ...

    def new_id(self) -> str:
        """A new, unique call id."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside the caller, who does not wait for it. `work` must not raise."""
        ...


class LockStrategy(Protocol):
    """How one operation is run against a store so that others do not disturb it (or do)."""

    async def run(self, call: Call, store: Store) -> Receipt: ...


@runtime_checkable
class Sweepable(Protocol):
    """A lock strategy that keeps locks in memory and can forget idle ones."""

    def sweep(self, idle_s: float) -> int:
        """Forget locks that nobody has held or awaited for `idle_s`; how many went."""
        ...


class Cache(Protocol):
    """Balances near at hand. Any method may raise CacheUnavailable; the wallet then does without.

    `ttl_s`: no entry is answered that was put longer ago than that.
    """

    ttl_s: float

    async def get(self, account: str) -> Row | None: ...

    async def put(self, account: str, row: Row) -> None:
        """Remember `row`, unless a row with the same or a higher version is there."""
        ...


class Monitor(Protocol):
    """Told what happened; must not raise and must not wait."""

    def finished(
        self, call: Call, outcome: Outcome, code: str, receipt: Receipt | None, timings: Timings
    ) -> None:
        """A mutation ended. `code` is an error's stable code, else empty."""
        ...

    def cache(self, event: Literal["hit", "miss", "failed"]) -> None: ...
