"""All scenarios by name, in the order in which they are told."""

from engine.explore.scenario import Scenario
from scenarios import (
    batch_beside_transfer,
    check_then_withdraw,
    crossing_transfers,
    documented_race,
    double_spend,
    failed_order,
    idle_lock_sweep,
    retry_after_timeout,
    stale_cache,
)

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        documented_race.SCENARIO,
        double_spend.SCENARIO,
        crossing_transfers.SCENARIO,
        batch_beside_transfer.SCENARIO,
        check_then_withdraw.SCENARIO,
        stale_cache.SCENARIO,
        retry_after_timeout.SCENARIO,
        retry_after_timeout.WITHOUT_KEY,
        failed_order.SCENARIO,
        idle_lock_sweep.SCENARIO,
    )
}
