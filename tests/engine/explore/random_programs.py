"""Small random programs as data, run through the real ports: what explorers are compared on.

A program is a function of its seed. Each client asks for a few operations; how the service carries
one out is a random script over Store and Runtime: reads, writes computed from an earlier read,
compare-and-set, mutexes, leases, transactions, flags in memory, caught errors, work beside.
"""

import math
import random
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from engine.errors import BusinessError, Conflict, SystemFault
from engine.explore.client import Client, Parts
from engine.explore.faults import Faults
from engine.explore.scenario import Program, Scenario
from engine.explore.world import Setting
from engine.history import Entry, Receipt
from engine.locks.body import changes, leased
from engine.operations import Add, Balance, Operation, Question, Transfer, Withdraw
from engine.ports import Call, Dialect, Row, RowLocking, Runtime, Store

ACCOUNTS = ("x", "y")
NAMES = "ABC"
Script = tuple[tuple[Any, ...], ...]
# What is asked for, under which idempotency key, and the script that carries it out.
Request = tuple[Operation | Question, str | None, Script]


@dataclass(frozen=True)
class RandomProgram:
    """Requests of each client with the scripts that carry them out."""

    seed: int
    clients: tuple[tuple[Request, ...], ...]
    faults: Faults
    topology: str
    cached: bool
    dialect: Dialect = "sqlite"

    def setting(self) -> Setting:
        scenario = Scenario(
            name=f"random-{self.seed}",
            title="",
            story="",
            openings=dict.fromkeys(ACCOUNTS, 2),
            programs=tuple(
                Program(name, partial(_play, requests))
                for name, requests in zip(NAMES, self.clients, strict=False)
            ),
            expected=lambda lock, topology: None,
            faults=self.faults,
            cached=self.cached,
        )
        scripts = {}
        for name, requests in zip(NAMES, self.clients, strict=False):
            mutations = [script for asked, _, script in requests if not isinstance(asked, Balance)]
            scripts |= {f"{name}.{n}": script for n, script in enumerate(mutations, start=1)}
        parts = Parts(partial(Scripted, scripts=scripts))
        return Setting(scenario, self.topology, parts, self.dialect)


async def _play(requests: tuple[Request, ...], client: Client) -> None:
    for asked, key, _ in requests:
        try:
            if isinstance(asked, Balance):
                await client.balance(asked.account)
            else:
                await client.execute(asked, key=key)
        except (BusinessError, SystemFault):
            continue


class Scripted:
    """A lock strategy that does what the script of each call says."""

    def __init__(self, runtime: Runtime, scripts: Mapping[str, Script]) -> None:
        self.runtime = runtime
        self.scripts = scripts
        self.mutexes = {name: runtime.mutex(name) for name in ("m", "n")}
        self.flags = runtime.cell("flags", dict[str, str])
        self.count = runtime.cell("count", int)

    async def run(self, call: Call, store: Store) -> Receipt:
        play = _Playing(self, call, store)
        await play.all(self.scripts[call.id])
        if play.receipt is None:
            raise Conflict("nothing was written", "try again")
        return play.receipt


class _Playing:
    """One call on its way through its script."""

    def __init__(self, home: Scripted, call: Call, store: Store) -> None:
        self.home, self.call, self.store = home, call, store
        self.rows: Mapping[str, Row] = {}
        self.receipt: Receipt | None = None
        self.fence: dict[str, int] = {}

    async def all(self, script: Script) -> None:
        for verb, *args in script:
            await getattr(self, verb)(*args)

    async def read(self) -> None:
        seen = await self.store.read(self.call.accounts, self.call.key)
        self.rows = seen.rows
        if seen.earlier is not None:
            self.receipt = seen.earlier.answer(self.call)

    async def row(self, account: str, lock: RowLocking) -> None:
        seen = await self.store.read((account,), lock=lock)
        self.rows = {**self.rows, **seen.rows}

    async def advisory(self, key: str) -> None:
        await self.store.advisory((key,))

    async def guarded(self) -> None:
        self.receipt = await self.store.guarded(self.call)

    async def write(self, if_version: bool) -> None:
        if not set(self.call.accounts) <= set(self.rows):
            await self.read()
        changed = changes(self.call, self.rows)
        self.receipt = await self.store.write(
            self.call, changed, if_version=if_version, fence=self.fence
        )

    async def promise(self) -> None:
        """Answers first and writes later: whoever asks in between sees a stale balance."""
        if not self.rows:
            await self.read()
        changed = changes(self.call, self.rows)
        entries = (Entry(c.account, c.before, c.after, c.version + 1) for c in changed)
        await self.beside((("write", False),))
        self.receipt = Receipt(self.call.id, tuple(entries))

    async def locked(self, name: str, body: Script) -> None:
        async with self.home.mutexes[name]:
            await self.all(body)

    async def leased(self, key: str, body: Script) -> None:
        async with leased(self.store, (key,), f"{self.call.id}") as fence:
            self.fence = fence
            await self.all(body)

    async def inside(self, level: Any, body: Script) -> None:
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self.store.rollback)
            await self.store.begin(level)
            await self.all(body)
            await self.store.commit()
            undo.pop_all()

    async def caught(self, body: Script) -> None:
        try:
            await self.all(body)
        except (BusinessError, SystemFault):
            self.home.count.value += 1

    async def flagged(self, key: str, body: Script) -> None:
        """A flag that excludes badly: whoever finds it set does without the body."""
        flags = self.home.flags.value
        if key in flags:
            return
        flags[key] = self.call.id
        try:
            await self.all(body)
        finally:
            flags.pop(key, None)

    async def oldest(self, body: Script) -> None:
        """Memory whose order matters: only the owner of the oldest flag does the body."""
        flags = self.home.flags.value
        flags.setdefault(self.call.id, "")
        if next(iter(flags)) == self.call.id:
            await self.all(body)

    async def odd(self, body: Script) -> None:
        self.home.count.value += 1
        if self.home.count.value % 2:
            await self.all(body)

    async def rests(self) -> None:
        await self.home.runtime.backoff(0)

    async def beside(self, body: Script) -> None:
        # Handed over, nothing is shared: the state graph has no way to see what would be.
        home, call, store, rows = self.home, self.call, self.store, self.rows

        async def work() -> None:
            other = _Playing(home, call, store)
            other.rows = rows
            try:
                await other.all(body)
            except (BusinessError, SystemFault):
                home.count.value += 1

        home.runtime.spawn(work())


# So many interleavings brute force may have to run through, by a rough estimate.
MANY = 50
Adapt = Callable[[RandomProgram, random.Random], RandomProgram]


def random_program(seed: int, adapt: Adapt | None = None, *, many_max: int = MANY) -> RandomProgram:
    """The program of this seed: the first one drawn that is small enough for brute force."""
    rng = random.Random(seed)
    while True:
        drawn = _drawn(seed, rng)
        if adapt is not None:
            drawn = adapt(drawn, rng)
        lengths = [sum(1 + _steps(script) for *_, script in asked) for asked in drawn.clients]
        moves = sum(lengths)
        many = math.factorial(moves) // math.prod(map(math.factorial, lengths))
        if many * (1 if drawn.faults.none else moves) <= many_max:
            return drawn


def _drawn(seed: int, rng: random.Random) -> RandomProgram:
    many = rng.random() < 0.2
    clients = []
    for _ in range(3 if many else 2):
        requests = []
        for _ in range(1 if many else rng.choice((1, 1, 1, 2))):
            asked = _asked(rng)
            key = rng.choice((None, None, None, "k"))
            asks = isinstance(asked, Balance)
            script = (("read",),) if asks else _script(rng, 0 if many else rng.choice((0, 1, 2)))
            requests.append((asked, key, script))
        clients.append(tuple(requests))
    faults = Faults(cancel=1) if rng.random() < 0.4 else Faults()
    if rng.random() < 0.2:
        faults = Faults(**{rng.choice(("crash", "busy", "lost", "expire", "sweep")): 1})
    topology = rng.choice(("one-service", "one-service", "two-processes", "service-per-request"))
    return RandomProgram(seed, tuple(clients), faults, topology, rng.random() < 0.1)


def _steps(script: Script) -> int:
    """About how many steps a script takes; those for a mutex rather take away interleavings."""
    locks = {"row": 1, "advisory": 1, "guarded": 1}
    own = locks | {"write": 1, "promise": 2, "read": 1, "rests": 1, "leased": 2, "inside": 2}
    bodies = sum(_steps(part) for _, *parts in script for part in parts if isinstance(part, tuple))
    verbs = [verb for verb, *_ in script]
    implied = verbs.count("write") > 0 and "read" not in verbs
    return bodies + sum(own.get(verb, 0) for verb in verbs) + implied


def _asked(rng: random.Random) -> Operation | Question:
    account, other = rng.sample(ACCOUNTS, 2)
    amount = rng.choice((1, 2, 3))
    mutations = (Withdraw(account, amount), Add(account, amount), Transfer(account, other, amount))
    return Balance(account) if rng.random() < 0.25 else rng.choice(mutations)


_SIMPLE: tuple[Script, ...] = (
    (("write", False),),
    (("write", False),),
    (("write", True),),
    (("read",), ("write", False)),
    (("read",), ("write", True)),
    (("rests",), ("write", True)),
    (("promise",),),
    (("promise",),),
)
_AROUND: dict[str, tuple[str, ...]] = {
    "locked": ("m", "n"),
    "leased": ACCOUNTS,
    "inside": ("deferred", "immediate"),
    "flagged": ("f", "g"),
    "caught": (),
    "oldest": (),
    "odd": (),
    "beside": (),
}
_NEVER_WITHIN = {"inside": ("inside", "leased")}
_THEN: tuple[Script, ...] = ((), (), (("write", False),), (("write", True),))


def _script(rng: random.Random, depth: int, *, without: tuple[str, ...] = ()) -> Script:
    """At random, so many verbs deep, none of them `without`."""
    if depth == 0:
        return rng.choice(_SIMPLE)
    verb = rng.choice([verb for verb in _AROUND if verb not in without])
    if rng.random() < 0.3:
        verb = "locked"
    body = _script(rng, depth - 1, without=without + _NEVER_WITHIN.get(verb, ()))
    about = [rng.choice(_AROUND[verb])] if _AROUND[verb] else []
    return ((verb, *about, body), *rng.choice(_THEN))
