"""The house rules that no linter knows, checked over every file of the repository."""

import ast
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IGNORED = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()] + [".git"]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

FILE_LINES_MAX = 299
FUNCTION_LINES_MAX = 59
TOP_LEVEL = {
    *("engine", "scenarios", "locustfiles", "reports", "tests", "docs"),
    *("pyproject.toml", "README.md", "Makefile", "LICENSE", "CHANGELOG.md"),
}
# Written as patterns, so that this file does not hold what it forbids.
REGISTRY_HOST = re.compile(r"\b(pypi|pythonhosted|npmjs|debian)\.(org|net|com|io)\b")
ABSOLUTE_HOME = re.compile(r"(?<![\w.])/(home|root|Users|work)/\w|[A-Z]:\\Users\\")


def is_ignored(path: Path) -> bool:
    """Whether .gitignore names this file or folder; its patterns here are names and paths only."""
    relative = path.relative_to(ROOT).as_posix()
    return any(fnmatch(path.name, pattern) or relative == pattern for pattern in IGNORED)


def project_files() -> Iterator[Path]:
    """Every file that belongs to the repository. Needs no git, so an unpacked archive will do."""
    for folder, folders, names in os.walk(ROOT):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not is_ignored(here / name))
        yield from (here / name for name in sorted(names) if not is_ignored(here / name))


FILES = list(project_files())
TREES = {
    path.relative_to(ROOT): ast.parse(path.read_text()) for path in FILES if path.suffix == ".py"
}


def imported(tree: ast.Module) -> set[str]:
    """The top names of everything a module imports, wherever in it the import stands."""
    plain = [
        name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    ]
    from_ = [
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
    ]
    return {name.partition(".")[0] for name in plain + from_}


def lines_matching(pattern: re.Pattern[str]) -> list[str]:
    """`file:line: text` of every line in the repository in which the pattern is found."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text(errors="ignore").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_the_top_level_holds_only_what_a_visitor_expects() -> None:
    entries = {path.name for path in ROOT.iterdir() if not is_ignored(path)}
    strangers = {
        name for name in entries - TOP_LEVEL if not name.startswith(".") and ".lock" not in name
    }
    assert strangers == set()


def test_every_module_opens_with_its_purpose() -> None:
    assert [str(path) for path, tree in TREES.items() if not ast.get_docstring(tree)] == []


def test_no_file_is_too_long_to_read_in_one_sitting() -> None:
    lengths = {path: len((ROOT / path).read_text().splitlines()) for path in TREES}
    assert {str(path): n for path, n in lengths.items() if n > FILE_LINES_MAX} == {}


def test_every_function_fits_on_a_screen() -> None:
    too_long = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno >= FUNCTION_LINES_MAX
    ]
    assert too_long == []


def test_no_file_names_a_package_registry() -> None:
    assert lines_matching(REGISTRY_HOST) == []


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    assert lines_matching(ABSOLUTE_HOME) == []


def test_only_locustfiles_import_locust() -> None:
    importers = [path for path, tree in TREES.items() if "locust" in imported(tree)]
    assert [str(path) for path in importers if path.parts[0] != "locustfiles"] == []


def test_locustfiles_import_locust_the_standard_library_and_the_engine_only() -> None:
    # gevent is locust's own event loop: what waits inside a locustfile waits in gevent.
    allowed = {*sys.stdlib_module_names, "locust", "gevent", "hdrh", "engine", "locustfiles"}
    strangers = {
        str(path): sorted(imported(tree) - allowed)
        for path, tree in TREES.items()
        if path.parts[0] == "locustfiles"
    }
    assert {path: names for path, names in strangers.items() if names} == {}


def test_the_engine_never_looks_up_at_scenarios_or_reports() -> None:
    above = {"scenarios", "reports", "locustfiles"}
    engine = {path: tree for path, tree in TREES.items() if path.parts[0] == "engine"}
    assert [str(path) for path, tree in engine.items() if imported(tree) & above] == []


def test_the_words_on_floor_0_need_only_the_standard_library() -> None:
    floors = PYPROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    words = [Path("engine") / f"{name}.py" for name in floors[-1].split(" : ")]
    allowed = {*sys.stdlib_module_names, "engine"}
    assert {str(path): imported(TREES[path]) - allowed for path in words} == {
        str(path): set() for path in words
    }


def test_every_declared_dependency_is_locked_with_hashes() -> None:
    project = PYPROJECT["project"]
    declared = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    locks = ("requirements.lock", "requirements-bench.lock")
    lock = "".join((ROOT / name).read_text() for name in locks)
    locked = set(
        re.findall(r"^([\w.-]+)==\S+(?: ; .*)? \\\n    --hash=sha256:", lock, re.MULTILINE)
    )
    assert {re.split(r"[<>=!~\[; ]", name)[0] for name in declared} - locked == set()
