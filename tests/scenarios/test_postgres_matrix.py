"""The model is the database: PostgreSQL's rules in memory beside a live server, cell by cell."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.errors import UsageError
from engine.explore.cells import explore_cell
from engine.verdicts import Verdict
from scenarios import matrix, saved
from scenarios.catalogue import SCENARIOS
from scenarios.cli import app

pytestmark = pytest.mark.slow

LOCKS = matrix.locks_for(None, "postgres")


@pytest.mark.parametrize("scenario", ["documented-race", "crossing-transfers", "failed-order"])
def test_the_server_ends_as_the_model_says_in_every_interleaving(
    scenario: str, explored_url: str
) -> None:
    plan = matrix.Plan(
        scenarios=[SCENARIOS[scenario]],
        locks=LOCKS,
        topologies=["two-processes"],
        store=explored_url,
    )
    cells = asyncio.run(matrix.compare(plan, quick=False))
    assert [(cell.lock, cell.note) for cell in cells if not cell.as_expected] == []
    outcomes = {(cell.lock, cell.store): cell.outcomes for cell in cells}
    modelled = [lock for lock in LOCKS if (lock, "memory:postgres") in outcomes]
    assert set(LOCKS) - set(modelled) == {"serializable"}  # not guessed: explored live alone
    for lock in modelled:
        assert outcomes[lock, "postgres"] == outcomes[lock, "memory:postgres"]


@pytest.mark.parametrize("fault", ["cancel=1", "crash=1", "busy=1", "lost=1"])
def test_faults_strike_alike(fault: str, explored_url: str) -> None:
    plan = matrix.Plan(
        scenarios=[SCENARIOS["documented-race"]],
        locks=["none", "guarded-update", "version-cas"],
        topologies=["one-service"],
        faults=[fault],
        store=explored_url,
    )
    cells = asyncio.run(matrix.compare(plan, quick=False))
    assert [(cell.lock, cell.note) for cell in cells if cell.verdict is Verdict.UNKNOWN] == []


def test_each_witness_of_the_model_loses_on_the_server_too(explored_url: str) -> None:
    plan = matrix.Plan(
        scenarios=[SCENARIOS["documented-race"], SCENARIOS["retry-without-key"]],
        locks=["none", "per-user"],
        store=explored_url,
    )
    cells = asyncio.run(matrix.compare(plan, quick=True))
    broken = [cell for cell in cells if cell.verdict is Verdict.BROKEN]
    assert broken
    assert all(matrix.CONFIRMED in cell.note for cell in broken)


def kept(path: Path, lock: str, store: str) -> Path:
    """A schedule of the race, found in `store`, in a file."""
    race = SCENARIOS["documented-race"]
    cell = asyncio.run(explore_cell(race, lock, "one-service", store))
    witness = cell.witness
    assert witness is not None
    saved.save(saved.saved_from(cell, witness, race, name="documented-race"), path)
    return path


def test_a_schedule_found_in_the_model_of_sqlite_replays_on_a_server(
    tmp_path: Path, explored_url: str
) -> None:
    file = kept(tmp_path / "lost.json", "none", "memory")
    done = CliRunner().invoke(app, ["replay", str(file), "--store", explored_url])
    assert done.exit_code == 0, done.output
    assert "it recurs" in done.output
    assert "/sockets" not in done.output  # an address may hold a password


def test_a_schedule_found_on_a_server_says_so_and_replays_on_sqlite(
    tmp_path: Path, explored_url: str
) -> None:
    file = kept(tmp_path / "lost.json", "none", explored_url)
    assert saved.load(file).found_in == "postgres"
    done = CliRunner().invoke(app, ["replay", str(file), "--store", "sqlite"])
    assert done.exit_code == 0, done.output


def test_a_schedule_of_other_steps_tells_whose_rules_it_was_found_under(
    tmp_path: Path, explored_url: str
) -> None:
    file = kept(tmp_path / "lost.json", "none", "memory")
    other = file.read_text().replace('"lock": "none"', '"lock": "db-row"')
    file.write_text(other)
    done = CliRunner().invoke(app, ["replay", str(file), "--store", explored_url])
    assert done.exit_code == 1
    assert "found under the rules of sqlite" in " ".join(done.output.split())


def test_a_comparison_is_with_a_real_database() -> None:
    with pytest.raises(UsageError, match="memory"):
        asyncio.run(matrix.compare(matrix.Plan(store="memory"), quick=True))
