"""Random programs with PostgreSQL's levels and locks, most of them in each other's way."""

import random
from dataclasses import replace
from typing import Any

from engine.explore.faults import Faults
from engine.operations import Balance
from tests.engine.explore.random_programs import RandomProgram, Request, Script, random_program

# Who waits for a lock takes interleavings away, so the estimate may be high.
MANY = 1_000
_LEVELS = ("read-committed", "read-committed", "repeatable-read")
# What a transaction locks before it writes, in any order.
_LOCKS: tuple[Script, ...] = (
    (),
    (("read",),),
    (("row", "x", "wait"),),
    *[(("row", "x", "wait"), ("row", "y", "wait"))] * 6,
    *[(("row", "x", "nowait"),)] * 2,
    (("advisory", "x"), ("advisory", "y")),
    (("advisory", "x"), ("row", "y", "wait")),
)
_WRITES: tuple[Script, ...] = ((), (("write", False),), (("write", True),))
_ALONE: tuple[Script, ...] = ((("guarded",),), (("write", False),), (("read",), ("write", True)))


def locking_program(seed: int) -> RandomProgram:
    """The program of this seed, for the model under PostgreSQL's rules."""
    return random_program(seed, _for_postgres, many_max=MANY)


def _for_postgres(drawn: RandomProgram, rng: random.Random) -> RandomProgram:
    """Half of the programs meet no faults: with one there are many more interleavings."""
    clients = tuple(tuple(_request(*asked, rng) for asked in each[:1]) for each in drawn.clients)
    faults = drawn.faults if rng.random() < 0.5 else Faults()
    return replace(drawn, clients=clients, faults=faults, dialect="postgres")


def _request(asked: Any, key: str | None, script: Script, rng: random.Random) -> Request:
    if isinstance(asked, Balance):
        return asked, key, script
    if rng.random() < 0.2:
        return asked, key, rng.choice(_ALONE)
    locks = rng.choice(_LOCKS)
    body = (*rng.sample(locks, len(locks)), *rng.choice(_WRITES))
    inside = (("inside", rng.choice(_LEVELS), body),)
    return asked, key, (("caught", inside), ("guarded",)) if rng.random() < 0.1 else inside
