"""Steps: what code under exploration is about to do, announced before it is done.

The wrappers here stand where a Store, a Runtime or a Cache is expected. Each verb becomes one
`Step`, handed to `perform`: the model performs it on its own state, the gated world on the real
part, and both only when the controller says so. Between two steps nothing else runs.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

from engine.errors import WalletraceError
from engine.history import Receipt
from engine.ports import Cache, Call, Cell, Change, Dialect, Level, Row, RowLocking, Snapshot

T = TypeVar("T")


class Step(NamedTuple):
    """`kind` is the verb, `args` and `options` what it is called with."""

    kind: str
    args: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()


# What no database is asked for; most steps are none of these.
BESIDE_DATABASE = frozenset({"invoke", "sweep", "backoff", "acquire", "cache_get", "cache_put"})
Perform = Callable[[Step], Awaitable[Any]]


def awaited(step: Step) -> str:
    """What a step that cannot be taken waits for."""
    target: Any = step.args[0] if step.args else step.kind
    if step.kind in ("write", "guarded"):
        target = target.accounts
    elif step.kind == "group":
        target = tuple(call.id for call in target)
    if isinstance(target, tuple):
        return " and ".join(map(str, target))
    return str(getattr(target, "name", target))


def _is_tuple_of(kind: type, value: object) -> bool:
    if not isinstance(value, tuple):
        return False
    for each in value:  # noqa: SIM110  `all` takes three times as long, at every step
        if not isinstance(each, kind):
            return False
    return True


class SteppedStore:
    """A Store each of whose verbs is one step. `dialect` is that of what performs them."""

    def __init__(self, perform: Perform, dialect: Dialect = "sqlite") -> None:
        self._perform = perform
        self.dialect: Dialect = dialect

    async def read(
        self, accounts: tuple[str, ...], key: str | None = None, *, lock: RowLocking = ""
    ) -> Snapshot:
        if not _is_tuple_of(str, accounts):
            raise TypeError(f"read takes a tuple of account names, not {accounts!r}")
        options = (("lock", lock),) if lock else ()
        snapshot: Snapshot = await self._perform(Step("read", (accounts, key), options))
        return snapshot

    async def write(
        self,
        call: Call,
        changes: tuple[Change, ...],
        *,
        if_version: bool = False,
        fence: Mapping[str, int] | None = None,
    ) -> Receipt:
        if not (_is_tuple_of(Change, changes) and isinstance(call, Call)):
            raise TypeError(f"write takes a Call and a tuple of Changes, not {call!r}, {changes!r}")
        options = (("if_version", if_version), ("fence", dict(fence or {})))
        receipt: Receipt = await self._perform(Step("write", (call, changes), options))
        return receipt

    async def take(self, key: str, owner: str) -> int:
        token: int = await self._perform(Step("take", (key, owner)))
        return token

    async def give(self, key: str, owner: str) -> None:
        await self._perform(Step("give", (key, owner)))

    async def decide(self, key: str, value: str) -> str:
        standing: str = await self._perform(Step("decide", (key, value)))
        return standing

    async def guarded(self, call: Call) -> Receipt:
        if not isinstance(call, Call):
            raise TypeError(f"guarded takes a Call, not {call!r}")
        receipt: Receipt = await self._perform(Step("guarded", (call,)))
        return receipt

    async def group(self, calls: tuple[Call, ...]) -> tuple[Receipt | WalletraceError, ...]:
        if not _is_tuple_of(Call, calls):
            raise TypeError(f"group takes a tuple of Calls, not {calls!r}")
        answers: tuple[Receipt | WalletraceError, ...] = await self._perform(
            Step("group", (calls,))
        )
        return answers

    async def advisory(self, keys: tuple[str, ...]) -> None:
        await self._perform(Step("advisory", (keys,)))

    async def begin(self, level: Level, *, nowait: bool = False) -> None:
        options = (("nowait", True),) if nowait else ()
        await self._perform(Step("begin", (level,), options))

    async def commit(self) -> None:
        await self._perform(Step("commit"))

    async def rollback(self) -> None:
        await self._perform(Step("rollback"))


class SteppedCache:
    """A Cache each of whose verbs is one step, performed on `inner`."""

    def __init__(self, perform: Perform, inner: Cache) -> None:
        self.ttl_s = inner.ttl_s
        self._perform = perform
        self._inner = inner

    async def get(self, account: str) -> Row | None:
        row: Row | None = await self._perform(Step("cache_get", (self._inner, account)))
        return row

    async def put(self, account: str, row: Row) -> None:
        await self._perform(Step("cache_put", (self._inner, account, row)))


class Host(Protocol):
    """What mutexes and runtimes need of the stage they stand on."""

    mutexes: "list[SteppedMutex]"
    released: "list[SteppedMutex]"

    @property
    def perform(self) -> Perform: ...

    def new_id(self) -> str: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...

    def make_cell(self, instance: int, name: str, value: Any, /) -> Cell[Any]: ...


class SteppedMutex:
    """A mutex whose acquisition is a step. Its release is none: it only lets others go on."""

    __slots__ = ("_host", "held_by", "name", "shared")

    def __init__(self, host: Host, name: str, *, shared: bool = False) -> None:
        self._host = host
        self.name = name
        self.shared = shared
        self.held_by: str | None = None

    async def __aenter__(self) -> None:
        await self._host.perform(Step("acquire", (self,)))

    async def __aexit__(self, *exc: object) -> None:
        self.held_by = None
        self._host.released.append(self)


class SteppedRuntime:
    """One service instance's Runtime in an explored world. No time passes in it."""

    def __init__(self, host: Host, number: int = 0) -> None:
        self._host = host
        self._number = number
        self._cells: dict[str, Cell[Any]] = {}

    def mutex(self, name: str) -> SteppedMutex:
        mutex = SteppedMutex(self._host, name)
        self._host.mutexes.append(mutex)
        return mutex

    def cell(self, name: str, initial: Callable[[], T]) -> Cell[T]:
        if name not in self._cells:
            self._cells[name] = self._host.make_cell(self._number, name, initial())
        return self._cells[name]

    async def backoff(self, attempt: int) -> None:
        """A step that can be taken once somebody else has moved: waiting alone changes nothing."""
        await self._host.perform(Step("backoff"))

    def now_ms(self) -> int:
        return 0

    def new_id(self) -> str:
        return self._host.new_id()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._host.spawn(work)
