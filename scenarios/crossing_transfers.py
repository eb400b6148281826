"""Crossing transfers: alice to bob beside bob to alice; unsorted locks deadlock here."""

from engine.explore.client import Client
from engine.explore.scenario import Program, Scenario
from scenarios.expectations import needs_one_order


async def there(client: Client) -> None:
    await client.transfer("alice", "bob", "100.00")


async def back(client: Client) -> None:
    await client.transfer("bob", "alice", "50.00")


SCENARIO = Scenario(
    name="crossing-transfers",
    title="crossing transfers",
    story="A moves 100.00 from alice to bob while B moves 50.00 from bob to alice",
    openings={"alice": 1000_00, "bob": 1000_00},
    programs=(Program("A", there), Program("B", back)),
    expected=needs_one_order,
    correct={"alice": 950_00, "bob": 1050_00},
)
