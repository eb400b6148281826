"""docs/strategies.md says what the catalogue holds, what is declared, and what is so."""

import asyncio
from pathlib import Path

import pytest

from engine.catalog import LOCK_STRATEGIES, NEGATIVE_CONTROLS, controls_on, strategies_on
from engine.explore.cells import explore_cell
from engine.explore.faults import Faults
from scenarios.catalogue import SCENARIOS
from scenarios.strategies_table import WORDS, declared, proofs, table

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_in_the_docs_is_the_one_that_the_declarations_make() -> None:
    written = (DOCS / "strategies.md").read_text(encoding="utf-8")
    assert written == table(), "run: python -m scenarios.strategies_table > docs/strategies.md"


def test_every_strategy_and_control_has_its_row() -> None:
    assert set(WORDS) == {*LOCK_STRATEGIES, *NEGATIVE_CONTROLS}
    assert all(f"| `{name}`" in table() for name in WORDS)


def test_a_lease_is_trusted_until_it_runs_out_and_a_fenced_one_for_ever() -> None:
    marks = {
        line.split("|")[1].split("`")[1]: [cell.strip()[:1] for cell in line.split("|")[2:8]]
        for line in table().splitlines()
        if line.startswith("| `")
    }
    assert marks["none"] == ["✗"] * 6
    assert marks["per-user"] == ["✓", "✗", "✓", "✓", "✓", "✓"]
    assert marks["lease"] == ["✓", "✓", "✓", "✓", "✗", "✓"]
    assert marks["fenced-lease"] == ["✓"] * 6
    assert marks["per-user-unsorted"] == ["✓", "✗", "✓", "✓", "✓", "✗"]


@pytest.mark.slow
@pytest.mark.parametrize("lock", [*strategies_on("sqlite"), *controls_on("sqlite")])
def test_every_cell_that_is_named_as_a_proof_proves_it(lock: str) -> None:
    for proof in {proof for cells in proofs(lock).values() for proof in cells}:
        cell = asyncio.run(
            explore_cell(
                SCENARIOS[proof.scenario],
                lock,
                proof.topology,
                "memory",
                faults=Faults.parse(proof.faults),
            )
        )
        assert cell.verdict is declared(lock, proof), f"{lock} in {proof}"
