"""The reply is lost and the client asks again, with and without an idempotency key.

The second attempt may overtake the first, which may still be under way: a timeout says nothing
about what happened. With a key the payment happens once; without one it happens twice, under
every lock strategy, since no lock can know that two requests mean the same.
"""

from engine.explore.client import Client
from engine.explore.scenario import Program, Scenario
from engine.verdicts import Verdict
from scenarios.expectations import whatever_the_lock


async def with_key(client: Client) -> None:
    await client.withdraw("alice", "800.00", key="payment-1")


async def without_key(client: Client) -> None:
    await client.withdraw("alice", "100.00")


SCENARIO = Scenario(
    name="retry-after-timeout",
    title="retry with a key",
    story="A's withdrawal of 800.00 times out; A asks again with the same idempotency key",
    openings={"alice": 1000_00},
    programs=(Program("A", with_key), Program("A-again", with_key)),
    expected=whatever_the_lock(Verdict.SAFE),
    correct={"alice": 200_00},
)

WITHOUT_KEY = Scenario(
    name="retry-without-key",
    title="retry without a key",
    story="A's withdrawal of 100.00 times out; A asks again without an idempotency key",
    openings={"alice": 1000_00},
    programs=(Program("A", without_key), Program("A-again", without_key)),
    expected=whatever_the_lock(Verdict.BROKEN),
    correct={"alice": 900_00},
)
