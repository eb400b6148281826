"""PostgreSQL's isolation levels, and that a server is left as it was found."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import asyncpg
import pytest

from engine.errors import StoreBusy, StoreForbidden, StoreUnavailable
from engine.isolation.anomalies import ANOMALIES
from engine.isolation.explorer import Explored, explore, perform
from engine.isolation.levels import EXPECTED, LEVELS, POSSIBLE
from engine.isolation.live_postgres import OURS, SCHEMA, PostgresLive, postgres_live
from engine.isolation.matrix import Cell, explore_matrix
from engine.isolation.scripts import Script

T = TypeVar("T")
LEVEL = {level.name: level for level in LEVELS["postgres"]}
FORMS = {script.name: script for anomaly in ANOMALIES.values() for script in anomaly.scripts}
# Enough to see blocking, deadlocks, both kinds of conflict and advisory locks, in a second.
SOME = ("G0", "P4", "G2-item", "lock-one-row", "lock-two-rows", "lock-first")


def on_postgres(url: str, work: Callable[[PostgresLive], Awaitable[T]]) -> T:
    async def act() -> T:
        async with postgres_live(url) as live:
            return await work(live)

    return asyncio.run(act())


def some_cells(url: str) -> list[Cell]:
    some = [ANOMALIES[name] for name in SOME]
    return on_postgres(url, lambda live: explore_matrix(live, LEVELS["postgres"], some))


def ask(url: str, *statements: str) -> Any:
    """Run the statements as the superuser; the first value of the last one."""

    async def act() -> Any:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    return asyncio.run(act())


@pytest.fixture
def schema_kept_clean(postgres_url: str) -> Any:
    yield postgres_url
    ask(postgres_url, f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE", "SELECT 1")


@pytest.fixture(scope="module")
def cells(postgres_url: str) -> Mapping[tuple[str, str], Cell]:
    return {(cell.level.name, cell.anomaly.name): cell for cell in some_cells(postgres_url)}


def outcomes(cell: Cell) -> dict[str, int]:
    (explored,) = cell.explored
    return dict(explored.outcomes)


@pytest.mark.slow
def test_every_cell_is_what_the_table_says(postgres_url: str) -> None:
    found = on_postgres(
        postgres_url,
        lambda live: explore_matrix(live, LEVELS["postgres"], ANOMALIES.values()),
    )
    marks = {(cell.level.name, cell.anomaly.name): cell.found for cell in found}
    assert marks == {
        (level, name): mark for level in LEVEL for name, mark in EXPECTED[level].items()
    }
    assert [script.name for script in _impossible_forms(found)] == []


def _impossible_forms(cells: list[Cell]) -> list[Script]:
    """Forms that cannot happen although their anomaly can: the table speaks of all forms."""
    possible = [cell for cell in cells if cell.found == POSSIBLE]
    return [one.script for cell in possible for one in cell.explored if not one.showing]


def test_some_cells_are_what_the_table_says(cells: Mapping[tuple[str, str], Cell]) -> None:
    assert [place for place, cell in cells.items() if not cell.as_expected] == []
    assert len(cells) == 18


def test_a_second_time_everything_comes_out_the_same(
    cells: Mapping[tuple[str, str], Cell], postgres_url: str
) -> None:
    again = some_cells(postgres_url)
    assert [cell.explored for cell in again] == [cell.explored for cell in cells.values()]


def test_a_lost_update_is_refused_with_40001_and_waits_at_read_committed(
    cells: Mapping[tuple[str, str], Cell],
) -> None:
    assert cells["read-committed", "P4"].found == POSSIBLE
    assert cells["read-committed", "P4"].refusals == []
    assert cells["repeatable-read", "P4"].refusals == ["40001"]


def test_whoever_closes_the_circle_is_the_deadlock_victim(postgres_url: str) -> None:
    """T1 holds row 1, T2 row 2; then each wants the other's, in either order."""
    script, level = FORMS["G0/crossing"], LEVEL["read-committed"]

    async def both(live: PostgresLive) -> list[str]:
        schedules = [(0, 1, 0, 1), (0, 1, 1, 0)]
        return [(await perform(live, script, level, each)).outcome for each in schedules]

    assert on_postgres(postgres_url, both) == [
        "1=11, 2=21: T1 committed, T2 40P01",
        "1=12, 2=22: T1 40P01, T2 committed",
    ]


def test_two_withdrawals_of_80_end_at_minus_60_or_with_one_40001(postgres_url: str) -> None:
    async def each(live: PostgresLive) -> list[Explored]:
        return [await explore(live, FORMS["withdrawals"], level) for level in LEVEL.values()]

    committed, repeatable, serializable = on_postgres(postgres_url, each)
    assert committed.outcomes["1=-60: T1 committed, T2 committed"] == 12
    assert (
        repeatable.outcomes
        == serializable.outcomes
        == {
            "1=20: T1 committed, T2 committed": 2,
            "1=20: T1 committed, T2 40001": 6,
            "1=20: T1 40001, T2 committed": 6,
        }
    )


def test_a_lock_taken_after_the_snapshot_does_not_help(
    cells: Mapping[tuple[str, str], Cell],
) -> None:
    one_row = cells["repeatable-read", "lock-one-row"]
    two_rows = cells["repeatable-read", "lock-two-rows"]
    assert one_row.refusals == ["40001"]
    assert two_rows.refusals == []
    assert outcomes(two_rows)["1=-30, 2=-30: T1 committed, T2 committed"] == 6


@pytest.mark.parametrize("level", LEVEL)
def test_a_lock_taken_before_the_transaction_needs_no_refusal(
    cells: Mapping[tuple[str, str], Cell], level: str
) -> None:
    cell = cells[level, "lock-first"]
    assert (cell.showing, cell.refusals, cell.waited) == (0, [], True)


def test_read_committed_passed_off_as_repeatable_read_is_found_out(postgres_url: str) -> None:
    impostor = replace(LEVEL["repeatable-read"], begin=LEVEL["read-committed"].begin)
    (cell,) = on_postgres(
        postgres_url, lambda live: explore_matrix(live, [impostor], [ANOMALIES["P4"]])
    )
    assert (cell.found, cell.as_expected) == (POSSIBLE, False)


def test_a_run_that_is_cut_short_leaves_no_schema_no_transaction_and_no_complaint(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def act() -> None:
        async with postgres_live(postgres_url) as live:
            await live.reset(LEVEL["read-committed"], ((1, 10), (2, 20)))
            write = "UPDATE test SET value = 11 WHERE id = 1"
            assert await live.go(0, write, (), outside=False)
            assert not await live.go(1, write, (), outside=False)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(act())
    gc.collect()  # where asyncio complains of tasks that nobody asked how they ended
    assert caplog.messages == []
    assert ask(postgres_url, f"SELECT count(*) FROM pg_namespace WHERE nspname = '{SCHEMA}'") == 0
    held = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'walletrace isolation'"
    assert ask(postgres_url, f"{held} AND state <> 'idle'") == 0


def test_a_schema_of_somebody_else_is_refused_and_left_alone(schema_kept_clean: str) -> None:
    url = schema_kept_clean
    ask(url, f"CREATE SCHEMA {SCHEMA}", f"CREATE TABLE {SCHEMA}.theirs ()", "SELECT 1")
    with pytest.raises(StoreUnavailable, match="that is not ours"):
        on_postgres(url, lambda live: live.final())
    assert ask(url, f"SELECT to_regclass('{SCHEMA}.theirs') IS NOT NULL")


def test_a_schema_that_a_killed_run_left_is_taken_over(schema_kept_clean: str) -> None:
    url = schema_kept_clean
    ask(url, f"CREATE SCHEMA {SCHEMA}", f"COMMENT ON SCHEMA {SCHEMA} IS '{OURS}'", "SELECT 1")
    assert on_postgres(url, lambda live: live.final()) == {}


def test_two_at_a_time_in_one_database_are_one_too_many(postgres_url: str) -> None:
    async def act() -> None:
        async with postgres_live(postgres_url), postgres_live(postgres_url):
            pass

    with pytest.raises(StoreBusy, match="another walletrace isolation"):
        asyncio.run(act())


def test_a_role_without_rights_is_told_so(schema_kept_clean: str) -> None:
    url = schema_kept_clean
    ask(url, "DROP ROLE IF EXISTS stranger", "CREATE ROLE stranger LOGIN", "SELECT 1")
    try:
        with pytest.raises(StoreForbidden, match="permission denied"):
            on_postgres(url.replace("postgres@", "stranger@", 1), lambda live: live.final())
    finally:
        ask(url, "DROP ROLE stranger", "SELECT 1")


def test_an_ordinary_role_explores_as_well_and_the_server_chooses_the_victim(
    schema_kept_clean: str,
) -> None:
    """It may not say who looks for deadlocks; whoever looks first after it has closed is undone."""
    url = schema_kept_clean
    grant = "GRANT CREATE ON DATABASE postgres TO tenant"
    ask(url, "DROP ROLE IF EXISTS tenant", "CREATE ROLE tenant LOGIN", grant, "SELECT 1")
    script, level = FORMS["G0/crossing"], LEVEL["read-committed"]
    try:
        run = on_postgres(
            url.replace("postgres@", "tenant@", 1),
            lambda live: perform(live, script, level, (0, 1, 0, 1)),
        )
    finally:
        ask(url, "DROP OWNED BY tenant", "DROP ROLE tenant", "SELECT 1")
    assert run.outcome in (
        "1=11, 2=21: T1 committed, T2 40P01",
        "1=12, 2=22: T1 40P01, T2 committed",
    )


def test_a_server_that_is_not_there_is_told_in_one_sentence() -> None:
    with pytest.raises(StoreUnavailable, match="connection"):
        on_postgres("postgresql://postgres@127.0.0.1:9/postgres", lambda live: live.final())
