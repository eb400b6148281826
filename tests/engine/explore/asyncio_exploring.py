"""How lock strategies with real asyncio inside are explored in tests."""

import asyncio
from collections.abc import Awaitable, Callable

from engine.catalog import MakeLock
from engine.explore.cells import in_worlds
from engine.explore.client import Client, Parts
from engine.explore.faults import Faults
from engine.explore.scenario import Program, Scenario
from engine.explore.search import Budget, Explored, explore
from engine.explore.world import Setting
from scenarios.catalogue import SCENARIOS
from scenarios.expectations import needs_exclusion

RACE = SCENARIOS["documented-race"]


def scenario(*programs: Callable[[Client], Awaitable[object]], **options: object) -> Scenario:
    clients = tuple(Program(name, run) for name, run in zip("ABC", programs, strict=False))
    return Scenario(
        "own", "", "", {"alice": 1000_00, "bob": 1000_00}, clients, needs_exclusion, **options
    )  # type: ignore[arg-type]


def found(
    make_lock: MakeLock,
    story: Scenario = RACE,
    store: str = "memory",
    *,
    topology: str = "one-service",
    faults: Faults | None = None,
) -> tuple[Explored, str]:
    setting = Setting(story, topology, Parts(make_lock))

    async def search() -> tuple[Explored, str]:
        return await in_worlds(
            setting,
            store,
            lambda open_world, _: explore(
                setting, open_world, faults=faults or story.faults, budget=Budget(20_000, 60)
            ),
        )

    return asyncio.run(search())
