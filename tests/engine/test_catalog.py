"""Parts go by name, a user's own by `module:attribute`; a wrong name lists the right ones."""

import sys
from pathlib import Path

import pytest

from engine.catalog import LOCK_STRATEGIES, NEGATIVE_CONTROLS, find, lock_strategy, strategies_on
from engine.errors import UsageError
from engine.runtimes import AsyncioRuntime

OWN = '''"""A lock strategy of somebody's own."""

from engine.locks.none import NoLock


class Box:
    Inner = NoLock
'''


def test_the_lock_strategies_and_the_controls_go_by_their_names() -> None:
    assert " ".join(LOCK_STRATEGIES) == (
        "none global per-user db-row fenced-lease guarded-update version-cas repeatable-read"
        " serializable advisory db-write nowait single-writer"
    )
    assert list(NEGATIVE_CONTROLS) == ["per-user-unsorted", "lease"]
    for name, make in (LOCK_STRATEGIES | NEGATIVE_CONTROLS).items():
        assert lock_strategy(name) is make
        assert callable(make(AsyncioRuntime()).run)


def test_a_strategy_that_needs_another_database_is_told_apart_and_those_that_run_are_listed() -> (
    None
):
    assert "advisory" not in strategies_on("sqlite")
    assert "db-write" not in strategies_on("postgres")
    assert {*strategies_on("sqlite"), *strategies_on("postgres")} == set(LOCK_STRATEGIES)
    assert lock_strategy("advisory", "postgres") is lock_strategy("advisory")
    with pytest.raises(UsageError, match="'advisory' does not run on sqlite; known there: none, g"):
        lock_strategy("advisory", "sqlite")


def test_a_users_own_strategy_is_found_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_lock_of_a_test.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    make = lock_strategy("own_lock_of_a_test:Box.Inner")
    assert make is LOCK_STRATEGIES["none"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gloabl", "no lock strategy 'gloabl'; known: none, global, per-user, db-row"),
        ("no_such_module:Lock", "cannot import 'no_such_module'"),
        ("engine.locks.none:NoSuchLock", "'engine.locks.none' has no 'NoSuchLock'"),
        ("engine.locks.none:NoLock.gone", "'engine.locks.none' has no 'NoLock.gone'"),
        ("engine.locks.none:", "'engine.locks.none' has no ''"),
        (":Lock", "no module is named in ':Lock'; write it as module:attribute"),
        (".locks:Lock", "no module is named in '.locks:Lock'"),
    ],
)
def test_a_wrong_name_is_answered_with_the_way_out(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        find("lock strategy", name, LOCK_STRATEGIES)


@pytest.mark.parametrize(
    ("text", "error", "line"),
    [
        ("x = 1\ndef f(:\n", "SyntaxError: invalid syntax", 2),
        ("import json\njson.loads('no')\n", "JSONDecodeError: Expecting value", 2),
        ("\nimport no_such_library\n", "ModuleNotFoundError: No module named", 2),
        ("1 / 0\n", "ZeroDivisionError: division by zero", 1),
        ("raise SystemExit\n", "SystemExit", 1),
    ],
)
def test_a_module_that_cannot_be_imported_says_why_and_where(
    text: str, error: str, line: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "failing_part_of_a_test.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(UsageError) as refused:
        lock_strategy("failing_part_of_a_test:Lock")
    told = str(refused.value)
    assert f"({error}" in told
    assert told.endswith(f" at failing_part_of_a_test.py:{line}); mend the module")
    assert "run from the folder" not in told


def test_only_a_module_that_is_not_there_is_looked_for_in_another_folder() -> None:
    for name in ("no_such_module:Lock", "json.no_such_module:Lock"):
        with pytest.raises(UsageError, match="run from the folder that holds the module"):
            lock_strategy(name)
