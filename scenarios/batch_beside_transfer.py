"""A batch over two wallets beside a transfer between them: whole or not at all, and no deadlock."""

from engine.explore.client import Client
from engine.explore.scenario import Program, Scenario
from engine.operations import Add, Withdraw
from scenarios.expectations import needs_one_order


async def batch(client: Client) -> None:
    await client.batch(Withdraw("alice", 100_00), Add("alice", 50_00), Add("bob", 200_00))


async def transfer(client: Client) -> None:
    await client.transfer("bob", "alice", "300.00")


SCENARIO = Scenario(
    name="batch-beside-transfer",
    title="a batch beside a transfer",
    story="A's batch takes 100.00 from alice, gives 50.00 back and adds 200.00 to bob,"
    " while B moves 300.00 from bob to alice",
    openings={"alice": 1000_00, "bob": 1000_00},
    programs=(Program("A", batch), Program("B", transfer)),
    expected=needs_one_order,
    correct={"alice": 1250_00, "bob": 900_00},
)
