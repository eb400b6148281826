"""`walletrace isolation`: which anomalies an isolation level lets happen, on a live database."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.errors import UsageError
from engine.isolation.anomalies import ANOMALIES
from engine.isolation.explorer import Run, Undecided, perform
from engine.isolation.levels import EXPECTED, LEVELS, NOT_ASKED, IsolationLevel
from engine.isolation.live import Live
from engine.isolation.live_sqlite import SqliteLive
from engine.isolation.matrix import Cell, explore_matrix
from engine.isolation.scripts import Anomaly, Script
from engine.ports import Dialect
from engine.stores.opening import asyncpg_needed, is_url, located
from engine.verdicts import EXIT_DECIDED_OTHERWISE, EXIT_OK, EXIT_UNDECIDED
from scenarios import isolation_table
from scenarios.console import out, print_json, progress
from scenarios.options import PostgresData

STORES = "postgres, sqlite, postgresql://…"


def isolation(
    store: Annotated[str, typer.Option(help=f"Which database: {STORES}.")],
    level: Annotated[
        list[str] | None, typer.Option(help="Only this level; may be given again.")
    ] = None,
    anomaly: Annotated[
        list[str] | None, typer.Option(help="Only this anomaly, or form of one; likewise.")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="Only this interleaving of one anomaly at one level, such as 'T1 T2 T1'."
        ),
    ] = None,
    postgres_data: PostgresData = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead.")
    ] = False,
) -> None:
    """Run every interleaving of each anomaly's transactions, at each isolation level.

    Exit status: 0 if every cell is as expected (with --schedule: if the anomaly shows), else 1, or
    3 if one could not be decided.
    """
    dialect = _dialect(store)
    levels = _levels(dialect, level)
    anomalies = _anomalies(levels, anomaly)
    if schedule is not None:
        script, sessions = _one(levels, anomalies, schedule)
        with located(store, postgres_data=postgres_data) as address:
            run = asyncio.run(_perform(address, script, levels[0], sessions))
        _print_run(script, run, as_json=as_json)
        raise typer.Exit(EXIT_OK if script.shows(run.ended) else EXIT_DECIDED_OTHERWISE)
    with located(store, postgres_data=postgres_data) as address:
        database, cells = asyncio.run(explore_levels(address, levels, anomalies))
    if as_json:
        print_json(isolation_table.matrix_json(database, cells))
    else:
        isolation_table.print_matrix(out, store, database, cells)
    raise typer.Exit(_exit_of(cells))


def _exit_of(cells: Sequence[Cell]) -> int:
    failed = [cell for cell in cells if not cell.as_expected]
    if not failed:
        return EXIT_OK
    return EXIT_UNDECIDED if all(cell.undecided for cell in failed) else EXIT_DECIDED_OTHERWISE


def _dialect(store: str) -> Dialect:
    if store == "sqlite":
        return "sqlite"
    if store == "postgres" or is_url(store):
        return "postgres"
    raise UsageError(f"no store {store!r}", f"known: {STORES}")


def _levels(dialect: Dialect, names: list[str] | None) -> list[IsolationLevel]:
    known = {level.name: level for level in LEVELS[dialect]}
    return [_named("level", name, known) for name in names or known]


def _anomalies(levels: Sequence[IsolationLevel], names: list[str] | None) -> list[Anomaly]:
    """Those chosen that the levels are asked about; a form stands for its anomaly with it alone."""
    asked = [
        anomaly
        for name, anomaly in ANOMALIES.items()
        if any(EXPECTED[level.name][name] != NOT_ASKED for level in levels)
    ]
    if not names:
        return asked
    forms = {one.name: replace(whole, scripts=(one,)) for whole in asked for one in whole.scripts}
    known = forms | {anomaly.name: anomaly for anomaly in asked}
    return [_named("anomaly", name, known) for name in names]


def _named(what: str, name: str, known: dict[str, Any]) -> Any:
    if name not in known:
        raise UsageError(f"no {what} {name!r} here", f"known: {', '.join(known)}")
    return known[name]


def _one(
    levels: Sequence[IsolationLevel], anomalies: Sequence[Anomaly], schedule: str
) -> tuple[Script, tuple[int, ...]]:
    """The script that a schedule is of, and the schedule in numbers."""
    if len(levels) != 1 or len(anomalies) != 1:
        raise UsageError("a schedule is one anomaly's at one level", "name --anomaly and --level")
    script = anomalies[0].scripts[0]
    known = {session.name: number for number, session in enumerate(script.sessions)}
    return script, tuple(_named("session", name, known) for name in schedule.split())


@asynccontextmanager
async def _live(address: str) -> AsyncIterator[Live]:
    """A live database beside the file, or in a schema of its own, that `located` has told of."""
    if not is_url(address):
        async with SqliteLive(Path(address).parent) as sqlite:
            yield sqlite
        return
    with asyncpg_needed():
        from engine.isolation.live_postgres import postgres_live
    async with postgres_live(address) as postgres:
        yield postgres


async def explore_levels(
    address: str, levels: Sequence[IsolationLevel], anomalies: Sequence[Anomaly]
) -> tuple[str, list[Cell]]:
    """What the database calls itself, and every cell that is asked for. UsageError."""
    with progress("exploring isolation levels") as advance:
        async with _live(address) as live:
            return live.database, await explore_matrix(live, levels, anomalies, advance)


async def _perform(
    address: str, script: Script, level: IsolationLevel, schedule: tuple[int, ...]
) -> Run:
    try:
        async with _live(address) as live:
            return await perform(live, script, level, schedule)
    except Undecided as why:
        raise UsageError(str(why), "let go sessions that neither wait nor have ended") from why


def _print_run(script: Script, run: Run, *, as_json: bool) -> None:
    if as_json:
        print_json(isolation_table.run_json(script, run))
    else:
        isolation_table.print_run(out, script, run)
