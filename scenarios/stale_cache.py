"""A balance read after a payment must not come from before it, even if the payer went away.

The cache belongs to the process: with two processes, each one's cache knows nothing of the other's
writes. The client may vanish at any step, so that a cache filled before the commit is seen.
"""

from engine.explore.client import Client
from engine.explore.faults import Faults
from engine.explore.scenario import Program, Scenario
from scenarios.expectations import needs_one_memory


async def pay(client: Client) -> None:
    await client.balance("alice")
    await client.withdraw("alice", "500.00")


async def look(client: Client) -> None:
    await client.balance("alice")
    await client.balance("alice")


SCENARIO = Scenario(
    name="stale-cache",
    title="a stale cache",
    story="alice holds 1000.00; A looks, pays 500.00 and may vanish; then B looks twice",
    openings={"alice": 1000_00},
    programs=(Program("A", pay), Program("B", look, after=("A",))),
    expected=needs_one_memory,
    faults=Faults(cancel=1),
    cached=True,
)
