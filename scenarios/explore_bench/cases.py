"""The programs that are compared, what is asked about each, and the target we set ourselves."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum


class Asks(StrEnum):
    """What a tool has to answer before its time counts."""

    FIND = "found"
    PROVE = "proven"
    COUNT = "counted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One program. `target_ms` is for us; `interleavings` is the number to be counted exactly.

    `program` is what its clients do, `wallet` says that ours do it through the whole wallet.
    `difference` says where the tools' versions of the program are not the same.
    """

    program: str
    clients: int
    title: str
    asks: Asks
    wallet: bool = False
    target_ms: float | None = None
    interleavings: int | None = None
    target_runs: int | None = None
    difference: str = ""

    @property
    def name(self) -> str:
        """What the command line calls it."""
        parts = (
            self.program,
            "" if self.program == "race" else str(self.clients),
            "wallet" if self.wallet else "",
        )
        return "-".join(filter(None, parts))


def _cases() -> Iterator[Case]:
    yield _RACE
    yield _through_the_wallet(_RACE)
    for clients, target_ms in ((2, None), (3, 1.0), (4, 5.0)):
        one_lock = Case(
            program="one-lock",
            clients=clients,
            title=f"{clients} clients behind one lock",
            asks=Asks.PROVE,
            target_ms=target_ms,
            difference=_LOCKED,
        )
        yield one_lock
        if clients > 2:
            yield _through_the_wallet(one_lock)
    yield _OWN_LOCKS
    yield _through_the_wallet(_OWN_LOCKS)
    for clients, target_ms, interleavings in (
        (2, None, 70),
        (3, 15.0, 34_650),
        (4, 1_000.0, 63_063_000),
    ):
        yield Case(
            program="two-keys",
            clients=clients,
            title=f"{clients} clients × 4 steps on two keys",
            asks=Asks.COUNT,
            target_ms=target_ms,
            interleavings=interleavings,
            difference=_COUNTED if clients > 2 else "",
        )
    yield _RING
    yield _through_the_wallet(_RING)


def _through_the_wallet(case: Case) -> Case:
    """The same asked of the whole wallet, which adds a step for each request. It has no target."""
    difference = f"{_WALLET}; {case.difference}" if case.program == "race" else _WALLET
    return replace(
        case,
        wallet=True,
        title=f"{case.title}, through the wallet",
        target_ms=None,
        difference=difference,
    )


_LOCKED = (
    "ours takes three steps for each client (lock, read, write), the peers' programs two (lock and"
    " read; write and release)"
)
_COUNTED = "frontrun reports no count: it runs one interleaving of each equivalence class it sees"
_WALLET = (
    "ours is the whole wallet under a lock strategy, where each request is a step too; the peers'"
    " programs stay bare"
)
_RACE = Case(
    program="race",
    clients=2,
    title="documented race, found and explained",
    asks=Asks.FIND,
    target_ms=0.5,
    difference="all three stop at the first interleaving that loses; ours then puts it into reading"
    " order and replays it step by step, with every value read and written",
)
_OWN_LOCKS = Case(
    program="own-locks",
    clients=4,
    title="4 clients, a lock for each",
    asks=Asks.PROVE,
    target_runs=1,
    difference=f"{_LOCKED}; no two steps of different clients conflict, so one run suffices",
)
_RING = Case(
    program="ring",
    clients=4,
    title="ring of 4 transfers, locks in order",
    asks=Asks.PROVE,
    target_ms=20.0,
    difference="ours takes six steps for each client (both locks, and read and write twice), the"
    " peers' programs four: a free asyncio.Lock is had without an await",
)

CASES = {case.name: case for case in _cases()}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one tool said about one case.

    `done`: it answered what was asked. `runs` counts executions of the program, `states` what a
    state graph holds; `interleavings` and `losing` are exact counts, None where none is given.
    """

    seconds: float
    done: bool
    said: str
    runs: int | None = None
    states: int | None = None
    interleavings: int | None = None
    losing: int | None = None
