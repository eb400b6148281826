"""Hypothesis draws small concurrent programs and the schedules they run under.

Everything is small on purpose: few wallets with little in them and few idempotency keys, so that
clients meet, are refused, repeat each other's keys and reuse them for something else. What is
listed first is what a failing program shrinks to.
"""

import random
from collections.abc import Sequence

from hypothesis import strategies as st

from engine.explore.controller import Choose, Move
from engine.explore.faults import Faults, How
from engine.explore.scenario import TOPOLOGIES
from engine.operations import (
    Add,
    Balance,
    Batch,
    CheckSufficient,
    Leg,
    Open,
    Operation,
    Question,
    Transfer,
    Withdraw,
)
from engine.verdicts import Verdict
from scenarios.concurrent_program import CLIENT_NAMES, ConcurrentProgram, Keyed, Request
from scenarios.expectations import needs_one_order

ACCOUNTS = ("alice", "bob")
KEYS = ("k", "l")
REQUESTS_MAX = 3
LEGS_MAX = 3
# Of the moves that could be a fault, one in so many is; else few clients got far.
FAULT_ODDS = 8

accounts = st.sampled_from(ACCOUNTS)
# Wallets hold little more than is asked for, so that refusals are part of many programs.
held = st.integers(1, 6)
cents = st.integers(1, 3)
transfers: st.SearchStrategy[Leg] = st.builds(
    lambda ends, amount: Transfer(ends[0], ends[1], amount),
    st.sampled_from((ACCOUNTS, ACCOUNTS[::-1])),
    cents,
)
legs: st.SearchStrategy[Leg] = st.one_of(
    st.builds(Withdraw, accounts, cents), st.builds(Add, accounts, cents), transfers
)
operations: st.SearchStrategy[Operation] = st.one_of(
    legs,
    st.lists(legs, min_size=1, max_size=LEGS_MAX).map(lambda drawn: Batch(tuple(drawn))),
    st.builds(Open, accounts, cents),
)
questions: st.SearchStrategy[Question] = st.one_of(
    st.builds(Balance, accounts), st.builds(CheckSufficient, accounts, cents)
)
requests: st.SearchStrategy[Request] = st.one_of(
    questions, operations, st.builds(Keyed, operations, st.sampled_from(KEYS))
)
# The seed of a program's schedules: were they drawn step by step, a schedule would no longer fit
# once its program has shrunk, and shrinking would stop early.
luck = st.integers(0, 2**16)


@st.composite
def programs(
    draw: st.DrawFn,
    topologies: Sequence[str],
    *,
    requests_max: int = REQUESTS_MAX,
    clients_max: int = len(CLIENT_NAMES),
) -> ConcurrentProgram:
    """Two or three clients with one to three requests each, in one of these topologies."""
    openings = {"alice": draw(held)}
    if draw(st.sampled_from((False, True, True, True))):
        openings["bob"] = draw(held)
    client = st.lists(requests, min_size=1, max_size=requests_max).map(tuple)
    clients = draw(st.lists(client, min_size=2, max_size=clients_max))
    topology = draw(st.sampled_from(topologies))
    # A cache of each process's own is stale between two processes whatever the lock does.
    cached = topology != "two-processes" and draw(st.booleans())
    faults = Faults(cancel=draw(st.integers(0, 1)))
    return ConcurrentProgram(openings, tuple(clients), topology, cached, faults)


def small_programs(topologies: Sequence[str]) -> st.SearchStrategy[ConcurrentProgram]:
    """Two clients with a request each: few enough interleavings to run them all."""
    return programs(topologies, requests_max=1, clients_max=2)


def topologies_for(lock: str) -> list[str]:
    """Those in which the lock strategy is declared to hold; one service if there are none."""
    holds = [name for name in TOPOLOGIES if needs_one_order(lock, name) is Verdict.SAFE]
    return holds or ["one-service"]


def by_luck(rng: random.Random) -> Choose:
    """A chooser that lets any client go on that can, and strikes with faults now and then."""

    def choose(options: Sequence[Move]) -> int:
        going = sum(move.how is How.GO for move in options)
        if going < len(options) and rng.randrange(FAULT_ODDS) == 0:
            return rng.randrange(going, len(options))
        return rng.randrange(going)

    return choose
