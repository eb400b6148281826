"""The guide's balance check, then a withdrawal: the check is advice, the withdrawal decides."""

from engine.explore.client import Client
from engine.explore.scenario import Program, Scenario
from scenarios.expectations import needs_exclusion


async def buy(client: Client) -> None:
    if await client.check_sufficient("alice", "800.00"):
        await client.withdraw("alice", "800.00")


SCENARIO = Scenario(
    name="check-then-withdraw",
    title="check, then withdraw",
    story="alice holds 1000.00; A and B each check for 800.00 and then withdraw it",
    openings={"alice": 1000_00},
    programs=(Program("A", buy), Program("B", buy)),
    expected=needs_exclusion,
    correct={"alice": 200_00},
)
