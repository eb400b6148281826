"""Globals of the code under test outlive a run: no exploration can put them back."""

import asyncio
import sys
from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.explore.cells import explore_cell
from engine.explore.plan import Counts
from scenarios.catalogue import SCENARIOS

CODE = """
import asyncio
from engine.locks.body import read_apply_write

LIMITS = {"retries": 3}
%s

class Lock:
    TAKEN = []

    def __init__(self, runtime):
        self.runtime = runtime

    async def run(self, call, store):
        %s
        return await read_apply_write(call, store)
"""


def explored(
    folder: Path, monkeypatch: pytest.MonkeyPatch, held: str, used: str, **how: object
) -> None:
    (folder / "kept_in_a_global.py").write_text(CODE % (held if "=" in held else "", used))
    monkeypatch.syspath_prepend(folder)
    sys.modules.pop("kept_in_a_global", None)
    story, lock = SCENARIOS["documented-race"], "kept_in_a_global:Lock"
    asyncio.run(explore_cell(story, lock, "one-service", "memory", **how))  # type: ignore[arg-type]


@pytest.mark.parametrize("counts", Counts)
@pytest.mark.parametrize(
    ("held", "used"),
    [
        ("MUTEXES = {}", "MUTEXES.setdefault(call.accounts, self.runtime.mutex('m'))"),
        ("SEEN = []", "SEEN.append(call.id)"),
        ("Lock.TAKEN", "self.TAKEN.append(call.id)"),
        ("COUNT = 0", "globals().update(COUNT=COUNT + 1)"),
    ],
)
def test_memory_in_a_global_is_refused_by_name(
    held: str, used: str, counts: Counts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = held.split(maxsplit=1)[0]
    with pytest.raises(
        UsageError, match=f"keeps memory in kept_in_a_global.{name}, which outlives"
    ):
        explored(tmp_path, monkeypatch, held, used, counts=counts)


def test_a_global_lock_of_asyncio_that_is_waited_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = "async with GATE: return await read_apply_write(call, store)"
    with pytest.raises(UsageError, match="outlives"):
        explored(tmp_path, monkeypatch, "GATE = asyncio.Lock()", used)


def test_globals_that_nobody_changes_are_welcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explored(tmp_path, monkeypatch, "MOST = [3]", "assert LIMITS['retries'] == MOST[0]")
