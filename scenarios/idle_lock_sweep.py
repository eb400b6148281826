"""Housekeeping forgets idle locks at the worst moments; a held or awaited lock must survive it."""

from engine.explore.client import Client
from engine.explore.scenario import Program, Scenario
from scenarios.documented_race import add, withdraw
from scenarios.expectations import needs_exclusion


async def sweep(client: Client) -> None:
    await client.sweep()


SCENARIO = Scenario(
    name="idle-lock-sweep",
    title="a sweep of idle locks",
    story="the documented race while the service's housekeeping S forgets idle locks at any moment",
    openings={"alice": 1000_00},
    programs=(Program("A", withdraw), Program("B", add), Program("S", sweep)),
    expected=needs_exclusion,
    correct={"alice": 800_00},
)
