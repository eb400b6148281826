"""The guide's race: two clients read 1000, one writes 500, the other 1300; correct is 800."""

from engine.explore.client import Client
from engine.explore.scenario import Program, Scenario
from scenarios.expectations import needs_exclusion


async def withdraw(client: Client) -> None:
    await client.withdraw("alice", "500.00")


async def add(client: Client) -> None:
    await client.add("alice", "300.00")


SCENARIO = Scenario(
    name="documented-race",
    title="the documented race",
    story="alice holds 1000.00; A withdraws 500.00 while B adds 300.00",
    openings={"alice": 1000_00},
    programs=(Program("A", withdraw), Program("B", add)),
    expected=needs_exclusion,
    correct={"alice": 800_00},
)
