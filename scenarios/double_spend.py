"""Double spend: two withdrawals of 800 from 1000; only one of them may succeed."""

from engine.explore.client import Client
from engine.explore.scenario import Program, Scenario
from scenarios.expectations import needs_exclusion


async def spend(client: Client) -> None:
    await client.withdraw("alice", "800.00")


SCENARIO = Scenario(
    name="double-spend",
    title="double spend",
    story="alice holds 1000.00; A and B each withdraw 800.00",
    openings={"alice": 1000_00},
    programs=(Program("A", spend), Program("B", spend)),
    expected=needs_exclusion,
    correct={"alice": 200_00},
)
