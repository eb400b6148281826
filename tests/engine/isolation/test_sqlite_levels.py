"""SQLite's isolation levels: every interleaving of every anomaly, on a real file."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import TypeVar

import pytest

from engine.isolation import explorer
from engine.isolation.anomalies import ANOMALIES
from engine.isolation.explorer import Undecided, explore, perform
from engine.isolation.levels import EXPECTED, LEVELS, NOT_ASKED, POSSIBLE, IsolationLevel
from engine.isolation.live_sqlite import SqliteLive
from engine.isolation.matrix import Cell, explore_matrix
from engine.isolation.scripts import Opening, Script, Session, Statement
from engine.isolation.statements import READ_ALL

T = TypeVar("T")
LEVEL = {level.name: level for level in LEVELS["sqlite"]}
FORMS = {script.name: script for anomaly in ANOMALIES.values() for script in anomaly.scripts}


def on_sqlite(folder: Path, work: Callable[[SqliteLive], Awaitable[T]]) -> T:
    async def act() -> T:
        async with SqliteLive(folder) as live:
            return await work(live)

    return asyncio.run(act())


def whole_matrix(folder: Path) -> list[Cell]:
    return on_sqlite(
        folder, lambda live: explore_matrix(live, LEVELS["sqlite"], ANOMALIES.values())
    )


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Cell]:
    found = whole_matrix(tmp_path_factory.mktemp("sqlite"))
    return {(cell.level.name, cell.anomaly.name): cell for cell in found}


def test_every_cell_is_what_the_table_says(cells: Mapping[tuple[str, str], Cell]) -> None:
    asked = {
        (level, anomaly): mark
        for level in LEVEL
        for anomaly, mark in EXPECTED[level].items()
        if mark != NOT_ASKED
    }
    assert {place: cell.found for place, cell in cells.items()} == asked
    assert len(asked) == 34


def test_a_second_time_everything_comes_out_the_same(
    cells: Mapping[tuple[str, str], Cell], tmp_path: Path
) -> None:
    again = whole_matrix(tmp_path)
    assert [cell.explored for cell in again] == [cell.explored for cell in cells.values()]


@pytest.mark.parametrize(
    ("level", "refusals"),
    [
        ("deferred", ["BUSY", "BUSY_SNAPSHOT"]),
        ("deferred-journal", ["BUSY"]),
        ("immediate", []),
    ],
)
def test_a_lost_update_is_prevented_by_refusal_or_by_waiting(
    cells: Mapping[tuple[str, str], Cell], level: str, refusals: list[str]
) -> None:
    cell = cells[level, "P4"]
    assert (cell.refusals, cell.waited) == (refusals, level == "immediate")


@pytest.mark.parametrize(
    ("level", "balances"),
    [
        ("autocommit", {"1=-60", "1=20"}),
        ("deferred", {"1=20"}),
        ("deferred-journal", {"1=20"}),
        ("immediate", {"1=20"}),
    ],
)
def test_two_withdrawals_of_80_overdraw_100_in_autocommit_only(
    cells: Mapping[tuple[str, str], Cell], level: str, balances: set[str]
) -> None:
    (explored,) = cells[level, "withdrawals"].explored
    assert {outcome.partition(":")[0] for outcome in explored.outcomes} == balances


def test_under_immediate_the_second_withdrawal_reads_20_and_is_not_sent(tmp_path: Path) -> None:
    script, level = FORMS["withdrawals"], LEVEL["immediate"]
    run = on_sqlite(tmp_path, lambda live: perform(live, script, level, ()))
    assert [str(answer) for answer in run.ended.answers["T2"]] == ["1=20"]


def test_a_withdrawal_that_ignores_what_it_read_overdraws_at_every_level(tmp_path: Path) -> None:
    blind = Statement("w(1-80)", "UPDATE test SET value = value - 80 WHERE id = 1")
    sessions = (Session("T1", (READ_ALL, blind)), Session("T2", (READ_ALL, blind)))
    script = replace(FORMS["withdrawals"], sessions=sessions)
    explored = on_sqlite(tmp_path, lambda live: explore(live, script, LEVEL["immediate"]))
    assert explored.showing == explored.runs


def test_autocommit_passed_off_as_immediate_is_found_out(tmp_path: Path) -> None:
    impostor = replace(LEVEL["immediate"], begin=None)
    (cell,) = on_sqlite(tmp_path, lambda live: explore_matrix(live, [impostor], [ANOMALIES["P4"]]))
    assert (cell.found, cell.as_expected) == (POSSIBLE, False)


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("G1b", "deferred"),
        ("P4", "deferred"),
        ("G-single", "deferred-journal"),
        ("G2/two-edges", "deferred"),
    ],
)
def test_the_interleavings_are_all_orders_of_the_steps_that_can_be_followed(
    name: str, level: str, tmp_path: Path
) -> None:
    """Against brute force: every permutation of the steps, tried one by one."""
    script = FORMS[name]
    steps = [
        number
        for number, session in enumerate(script.sessions)
        for _ in range(len(session.statements) + 1)
    ]

    async def both(live: SqliteLive) -> tuple[Counter[str], Mapping[str, int]]:
        outcomes: dict[tuple[int, ...], str] = {}
        for order in set(permutations(steps)):
            followed = await follow(live, script, LEVEL[level], order)
            run = await perform(live, script, LEVEL[level], followed)
            outcomes[followed] = run.outcome
        explored = await explore(live, script, LEVEL[level])
        return Counter(outcomes.values()), explored.outcomes

    expected, found = on_sqlite(tmp_path, both)
    assert found == expected


async def follow(
    live: SqliteLive, script: Script, level: IsolationLevel, order: tuple[int, ...]
) -> tuple[int, ...]:
    """`order` without the steps of sessions that had ended by then."""
    followed: tuple[int, ...] = ()
    for number in order:
        try:
            run = await perform(live, script, level, (*followed, number))
        except Undecided:
            continue
        followed = (*followed, number)
        if run.schedule == followed:
            break
    return followed


def test_a_witness_has_the_fewest_preemptions_and_repeats(
    cells: Mapping[tuple[str, str], Cell], tmp_path: Path
) -> None:
    (explored,) = cells["autocommit", "withdrawals"].explored
    witness = explored.witness
    assert witness is not None
    assert witness.preemptions == 1
    again = on_sqlite(
        tmp_path,
        lambda live: perform(live, explored.script, LEVEL["autocommit"], witness.schedule),
    )
    assert (again.events, again.outcome) == (witness.events, "1=-60: T1 committed, T2 committed")


def test_too_many_interleavings_leave_a_cell_undecided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explorer, "RUNS_MAX", 19)
    with pytest.raises(Undecided, match="G1b has more than 19 interleavings"):
        on_sqlite(tmp_path, lambda live: explore(live, FORMS["G1b"], LEVEL["deferred"]))


def test_a_database_that_answers_otherwise_the_second_time_leaves_a_cell_undecided(
    tmp_path: Path,
) -> None:
    class Fickle(SqliteLive):
        """Another opening balance in every run but the first six."""

        resets = 0

        async def reset(self, level: IsolationLevel, opening: Opening) -> None:
            self.resets += 1
            await super().reset(level, opening if self.resets <= 6 else ((1, 90),))

    async def act() -> Cell:
        async with Fickle(tmp_path) as live:
            anomaly = ANOMALIES["withdrawals"]
            return (await explore_matrix(live, [LEVEL["autocommit"]], [anomaly]))[0]

    cell = asyncio.run(act())
    assert (cell.undecided, cell.note) == (
        True,
        "withdrawals: the same schedule ended in another way",
    )
