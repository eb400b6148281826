"""What may strike whom, what a budget allows, who answers, and how a fault is told."""

import asyncio

import pytest

from engine.errors import UsageError
from engine.explore.cells import explore_cell, replay_cell
from engine.explore.faults import FAULTS, Facts, Faults, How, fault_moves
from engine.explore.scenario import instance_number, known_topology
from engine.verdicts import Verdict
from scenarios.catalogue import SCENARIOS

HOWS = [
    (Facts("A", "read"), "busy drop cancel"),
    (Facts("A", "write"), "busy drop unheard cancel lose"),
    (Facts("A", "write", in_transaction=True), "busy drop cancel lose"),
    (Facts("A", "guarded"), "busy drop unheard cancel lose"),
    (Facts("A+1", "group", background=True), "busy drop unheard"),
    (Facts("A", "begin"), "busy drop cancel lose"),
    (Facts("A", "commit", in_transaction=True), "busy drop unheard cancel lose"),
    (Facts("A", "write", ready=False), "busy drop cancel"),
    (Facts("A", "write", background=True), "busy drop unheard"),
    (Facts("A", "take", shielded=True), "busy drop unheard"),
    (Facts("A", "give", holds_lease=True), "expire"),
    (Facts("A", "rollback", instance=0), "crash sweep"),
    (Facts("A", "acquire", instance=0), "cancel crash sweep"),
    (Facts("A", "cache_get"), "cancel nocache"),
    (Facts("A", "invoke"), ""),
]


@pytest.mark.parametrize(("facts", "hows"), HOWS)
def test_a_fault_strikes_only_where_it_can(facts: Facts, hows: str) -> None:
    everything = Faults(**dict.fromkeys(FAULTS, 1))
    struck = {how for _, how in fault_moves([facts], everything)}
    assert struck == set(hows.split())
    assert fault_moves([facts], Faults()) == []


def test_what_strikes_an_instance_strikes_it_once() -> None:
    lanes = [Facts("A", "read", instance=0), Facts("B", "read", instance=0)]
    assert fault_moves(lanes, Faults(crash=1, sweep=1)) == [("A", How.CRASH), ("A", How.SWEEP)]


def test_a_budget_is_spent_move_by_move() -> None:
    budget = Faults.parse("lost=2,crash=1")
    left = budget.after(How.DROP).after(How.UNHEARD)
    assert (left, left.none, left.after(How.CRASH).none) == (Faults(crash=1), False, True)
    assert left.after(How.GO) is left
    assert str(budget) == "crash=1,lost=2"
    assert budget.excuse(left)
    assert not Faults(sweep=1).excuse(Faults())


@pytest.mark.parametrize("text", ["frost=1", "cancel", "cancel=x", "busy=100", "busy=²", "a,b"])
def test_a_budget_that_makes_no_sense_is_refused_with_all_that_do(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        Faults.parse(text)
    assert all(f"\n  {name} " in str(refused.value) for name in FAULTS)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("frost=1", "there is no fault 'frost'"),
        ("=1", "there is no fault ''"),
        ("cancel", "how many is missing"),
        ("cancel=", "how many is missing"),
        ("cancel=-1", "how many is a whole number from 0 to 99"),
        ("cancel=100", "how many is a whole number from 0 to 99"),
        ("busy=1,cancel=1,busy=2", "busy is there twice"),
    ],
)
def test_the_first_line_of_the_refusal_says_what_is_wrong(text: str, wrong: str) -> None:
    with pytest.raises(UsageError) as refused:
        Faults.parse(text)
    assert f": {wrong}; write it like cancel=1,crash=1" in str(refused.value).splitlines()[0]


def test_spaces_around_a_budget_mean_nothing() -> None:
    assert Faults.parse(" cancel=1, crash = 2 ") == Faults(cancel=1, crash=2)
    assert Faults.parse(" none ") == Faults()


def test_which_instance_answers_depends_on_client_and_request_alone() -> None:
    per_request = [
        instance_number("service-per-request", 3, client, request)
        for client in range(3)
        for request in range(4)
    ]
    assert len(set(per_request)) == 12
    assert [instance_number("4-processes", 3, 2, request) for request in range(4)] == [2, 3, 0, 1]
    assert [instance_number("two-processes", 3, 1, request) for request in range(3)] == [1, 0, 1]


@pytest.mark.parametrize("name", ["2-processes", "10-processes", "three-processes", "x"])
def test_a_topology_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"known: one-service, .*3-processes … 9-processes"):
        known_topology(name)


def test_three_processes_break_a_mutex_in_memory_and_not_a_row_lock() -> None:
    race = SCENARIOS["documented-race"]
    cells = {
        (lock, store): asyncio.run(explore_cell(race, lock, "3-processes", store))
        for lock in ("per-user", "db-row")
        for store in ("memory", "sqlite")
    }
    assert {key: cell.verdict for key, cell in cells.items()} == {
        ("per-user", "memory"): Verdict.BROKEN,
        ("per-user", "sqlite"): Verdict.BROKEN,
        ("db-row", "memory"): Verdict.SAFE,
        ("db-row", "sqlite"): Verdict.SAFE,
    }
    assert all(cell.as_expected for cell in cells.values())


TOLD = [
    ("none", "A B A A!busy B B", "A writes alice 500.00 → the database is busy; try again"),
    ("none", "A B A!drop B B", "A loses its connection before it reads alice"),
    ("none", "A B A A!unheard B B", "A writes alice 500.00; that stands, but its connection"),
    ("none", "A A A!sweep A B B B", "A its service instance forgets its idle locks"),
    ("db-row", "A A A!expire B B A A A B B B", "A its leases run out, and it does not notice"),
    ("db-row", "A A A!expire B B A A A B B B", "A writes alice 500.00 → the lease on 'alice' has"),
]


@pytest.mark.parametrize(("lock", "schedule", "says"), TOLD)
def test_a_schedule_with_a_fault_is_told_alike_on_either_store(
    lock: str, schedule: str, says: str
) -> None:
    once = Faults(busy=1, lost=1, expire=1, sweep=1)
    told = [
        asyncio.run(
            replay_cell(
                SCENARIOS["documented-race"],
                lock,
                "one-service",
                store,
                tuple(schedule.split()),
                faults=once,
            )
        )
        for store in ("memory", "sqlite")
    ]
    assert told[0] == told[1]
    assert any(f"{e.client} {e.text}".startswith(says) for e in told[0].events)


def test_what_is_nobodys_step_preempts_nobody() -> None:
    race, faults = SCENARIOS["documented-race"], Faults(sweep=1)
    schedule = ("A", "B", "B", "A!sweep", "B", "A", "A")
    swept = asyncio.run(replay_cell(race, "none", "one-service", "memory", schedule, faults=faults))
    assert swept.preemptions == 1  # of A by B; the sweep, told of A, cuts B off from nothing
