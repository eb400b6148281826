"""The programs that are compared, what is asked about each, and the target we set ourselves."""

from dataclasses import dataclass
from enum import StrEnum


class Asks(StrEnum):
    """What a tool has to answer before its time counts."""

    FIND = "found"
    PROVE = "proven"
    COUNT = "counted"


@dataclass(frozen=True, slots=True)
class Case:
    """One program. `target_ms` is for us; `interleavings` is the number to be counted exactly.

    `difference` says where the tools' versions of the program are not the same.
    """

    name: str
    title: str
    asks: Asks
    clients: int
    target_ms: float | None = None
    interleavings: int | None = None
    target_runs: int | None = None
    difference: str = ""


_STEPS = (
    "ours takes four steps for each client (request, lock, read, write), the peers' programs two"
    " (lock and read; write and release)"
)
_NO_COUNT = "frontrun reports no count: it runs one interleaving of each equivalence class it sees"

CASES = {
    case.name: case
    for case in (
        Case(
            "race",
            "documented race, found and explained",
            Asks.FIND,
            2,
            target_ms=0.5,
            difference="ours runs the whole wallet, three steps a client, and counts all 20"
            " interleavings; the peers' programs have two, and both stop at the first that loses",
        ),
        Case("one-lock-2", "2 clients behind one lock", Asks.PROVE, 2, difference=_STEPS),
        Case("one-lock-3", "3 clients behind one lock", Asks.PROVE, 3, 1.0, difference=_STEPS),
        Case("one-lock-4", "4 clients behind one lock", Asks.PROVE, 4, 5.0, difference=_STEPS),
        Case(
            "own-locks-4",
            "4 clients, a lock for each",
            Asks.PROVE,
            4,
            target_runs=1,
            difference=f"{_STEPS}; no two steps of different clients conflict, so one run suffices",
        ),
        Case("two-keys-2", "2 clients × 4 steps on two keys", Asks.COUNT, 2, None, 70),
        Case(
            "two-keys-3",
            "3 clients × 4 steps on two keys",
            Asks.COUNT,
            3,
            15.0,
            34_650,
            difference=_NO_COUNT,
        ),
        Case(
            "two-keys-4",
            "4 clients × 4 steps on two keys",
            Asks.COUNT,
            4,
            1_000.0,
            63_063_000,
            difference=_NO_COUNT,
        ),
        Case(
            "ring-4",
            "ring of 4 transfers, locks in order",
            Asks.PROVE,
            4,
            20.0,
            difference="ours takes seven steps for each client (request, both locks, and read and"
            " write twice), the peers' programs four: a free asyncio.Lock is had without an await",
        ),
    )
}


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
