"""PostgreSQL's rules in the model against PostgreSQL itself, on random statements of three lanes.

Every answer is the same, every statement waits on the server that would wait in the model and no
other one does, and so are the books in the end. 200 sequences, and 20,000 under
`--hypothesis-profile=hunt`. RULES_SEED=n plays the sequence of that seed alone.
"""

import asyncio
import os
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings

from engine.errors import LockTimeout, WalletraceError
from engine.explore.leases import lease_on
from engine.explore.rules import RULES
from engine.explore.steps import Step
from engine.explore.tables import Database, opened
from engine.ports import Store
from engine.stores.postgres import PostgresDatabase
from tests.engine.explore.random_statements import LANES, OPENINGS, Drawer

SEQUENCES, SEQUENCES_OF_A_HUNT, STEPS = 200, 20_000, 24
# A statement that waits so long waits for a lock.
LOCK_TIMEOUT = "25ms"
ONLY = os.environ.get("RULES_SEED")
RULES_HERE = RULES["postgres"]


def seeds() -> Iterable[int]:
    if ONLY is not None:
        return [int(ONLY)]
    hunts = settings.get_current_profile_name() == "hunt"
    return range(SEQUENCES_OF_A_HUNT if hunts else SEQUENCES)


async def really(store: Store, step: Step) -> Any:
    """The answer of the server; an error is an answer too."""
    try:
        return await getattr(store, step.kind)(*step.args, **dict(step.options))
    except (WalletraceError, AssertionError) as error:
        return error


def in_model(db: Database, lane: str, step: Step) -> tuple[Database, Any]:
    """The model's answer; one that waits is stopped after a while, as by the server."""
    if not RULES_HERE.can_go(db, lane, step):
        return RULES_HERE.failed(db, lane), LockTimeout("a lock was not granted in time")
    return RULES_HERE.performed(db, lane, step)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Exception) or isinstance(other, Exception):
        return type(one) is type(other)
    if isinstance(one, tuple) and type(one) is tuple:
        return all(map(same, one, other))
    return bool(one == other)


async def play(database: PostgresDatabase, seed: int) -> None:
    await database.reset(OPENINGS)
    stores = {lane: database.session() for lane in LANES}
    db, draw, told = opened(OPENINGS, keep_log=True), Drawer(seed), list[str]()
    ends = [(lane, Step("rollback")) for lane in LANES]
    try:
        for number in range(STEPS + len(ends)):
            lane = draw.rng.choice(LANES)
            step = draw.step(lane)
            if number >= STEPS:
                lane, step = ends[number - STEPS]
            if step.kind == "take" and not lease_on(db, step.args[0]).free:
                continue  # the store would ask again and again
            answer = await really(stores[lane], step)
            db, expected = in_model(db, lane, step)
            told.append(f"{lane} {step.kind} {step.args} {dict(step.options)}: {answer!r}")
            context = "\n".join([*told, f"in the model: {expected!r}", f"RULES_SEED={seed}"])
            assert same(answer, expected), context
            draw.told(lane, step, answer)
        rows, log = await database.books()
        assert rows == dict(db.tables.rows), "\n".join([*told, f"RULES_SEED={seed}"])
        assert sorted(log) == sorted(db.tables.log or ()), f"RULES_SEED={seed}"
    finally:
        for store in stores.values():
            await store.rollback()


@pytest.mark.slow
def test_random_statements_are_answered_as_by_the_server(postgres_url: str) -> None:
    async def act() -> None:
        async with await PostgresDatabase.open(
            postgres_url,
            connections=len(LANES) + 1,
            synchronous_commit=False,
            now_ms=lambda: 0,
            settings={"lock_timeout": LOCK_TIMEOUT},
        ) as database:
            for seed in seeds():
                await play(database, seed)

    asyncio.run(act())
