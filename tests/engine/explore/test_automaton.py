"""Where a client stands is reached again with the answers that are known, or not at all."""

import pytest

from engine.explore.client import Client
from engine.explore.frozen import Unfit
from engine.explore.solo import NOT_THE_SAME
from engine.locks.none import NoLock
from tests.engine.explore.both_ways import Play, by_graph, setting_of, withdraws

READS = (("alice",), ("bob",), ("alice", "bob"))


def leaves_out(step: int) -> Play:
    """A client that reads three times; every other run of it leaves out this one."""
    runs = 0

    async def play(client: Client) -> None:
        nonlocal runs
        runs += 1
        store, odd = client.store(), runs % 2 == 0
        for number, accounts in enumerate(READS):
            if not (odd and number == step):
                await store.read(accounts)

    return play


@pytest.mark.parametrize("step", range(len(READS)))
def test_code_that_leaves_a_step_out_when_it_is_run_again_is_refused(step: int) -> None:
    setting = setting_of(NoLock, leaves_out(step), withdraws(), withdraws(account="bob"))
    with pytest.raises(Unfit, match=NOT_THE_SAME):
        by_graph(setting)
