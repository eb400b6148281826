"""The guide's order: paid, then it fails, and is refunded once, crash or not.

The customer repeats the order until it is settled; a crash may strike any one of the attempts.
"""

from engine.explore.client import Client
from engine.explore.faults import Faults
from engine.explore.scenario import Program, Scenario
from engine.verdicts import Verdict
from scenarios.expectations import whatever_the_lock


async def order(client: Client) -> None:
    await client.create_order("order-7", "alice", "500.00")


async def out_of_stock(order_id: str) -> bool:
    return False


SCENARIO = Scenario(
    name="failed-order",
    title="a failed order",
    story="alice's order of 500.00 cannot be fulfilled; the service may crash at any step, and"
    " she repeats the order twice",
    openings={"alice": 1000_00},
    programs=(
        Program("A", order),
        Program("A-again", order, after=("A",)),
        Program("A-last", order, after=("A-again",)),
    ),
    expected=whatever_the_lock(Verdict.SAFE),
    correct={"alice": 1000_00},
    always=True,
    faults=Faults(crash=1),
    fulfil=out_of_stock,
)
