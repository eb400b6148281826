"""Which loads are compared, what they are called, and the targets we set ourselves."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from engine.catalog import strategies_on
from engine.errors import UsageError
from engine.load.store_rounds import REFERENCES
from engine.ports import Dialect
from engine.results import Load

MIX = "withdraw=1,add=1"
HOT, SPREAD = "hot", "uniform:10000"
CLIENTS = (1, 8, 32)
MANY = max(CLIENTS)
STORES: tuple[Dialect, ...] = ("postgres", "sqlite")
# What a machine that loses its power keeps: everything, or all but the last moments.
DURABLE = "FULL"
RELAXED = {"postgres": "OFF", "sqlite": "NORMAL"}


def _load(store: Dialect, lock: str, accounts: str, clients: int, synchronous: str) -> Load:
    return Load(lock, clients, accounts, MIX, store=store, synchronous=synchronous)


# At least so many times the throughput of the reference (facts of issue 4, measured reachable).
TARGETS = {
    _load("postgres", "db-row", SPREAD, MANY, DURABLE): 0.75,
    _load("postgres", "db-row", HOT, MANY, DURABLE): 0.90,
    _load("postgres", "guarded-update", HOT, MANY, DURABLE): 1.6,
    _load("sqlite", "single-writer", HOT, MANY, DURABLE): 3.0,
    _load("sqlite", "guarded-update", HOT, MANY, RELAXED["sqlite"]): 0.55,
}


def name(load: Load) -> str:
    """What the command line calls a case.

    >>> [name(load) for load in TARGETS][0]
    'postgres/db-row/10000/32/durable'
    """
    accounts = load.accounts.removeprefix("uniform:")
    kept = "durable" if load.synchronous == DURABLE else "relaxed"
    return f"{load.store}/{load.lock}/{accounts}/{load.clients}/{kept}"


def chosen(patterns: Sequence[str], *, everything: bool) -> list[Load]:
    """The cases to run, each setting's reference before its strategies. UsageError.

    Without patterns: those with many clients that are durable, and all that have a target; with
    `everything` really all of them.
    """
    every = list(_every())
    if patterns:
        wanted = [load for load in every if any(fnmatchcase(name(load), p) for p in patterns)]
    elif everything:
        wanted = every
    else:
        wanted = [load for load in every if load in TARGETS or _is_telling(load)]
    if not wanted:
        raise UsageError(
            f"no case is called {' or '.join(patterns)}",
            f"write it like {name(next(iter(TARGETS)))} or 'sqlite/*/hot/*'",
        )
    references = {reference(load) for load in wanted}
    return [load for load in every if load in references or load in wanted]


def reference(load: Load) -> Load:
    """The program that does the same with nothing around it."""
    return replace(load, lock=REFERENCES[load.store])


def is_reference(load: Load) -> bool:
    return load == reference(load)


def _is_telling(load: Load) -> bool:
    return load.clients == MANY and load.synchronous == DURABLE


def _every() -> Iterator[Load]:
    for store in STORES:
        for synchronous in (DURABLE, RELAXED[store]):
            for accounts in (HOT, SPREAD):
                for clients in CLIENTS:
                    for lock in (REFERENCES[store], *strategies_on(store)):
                        yield _load(store, lock, accounts, clients, synchronous)
