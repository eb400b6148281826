"""What the code under test was when a schedule was kept: one short hash for each of its parts.

A hash covers the modules in which a part is written and what these import from the same package
(or, for a module that is in none, from the same folder), as syntax trees: comments, docstrings
and layout do not count. Of walletrace's own modules only lock strategies are followed; for the
rest its version stands. What a closure or a data file holds is not seen.
"""

import ast
import hashlib
import inspect
from collections.abc import Iterable, Iterator
from functools import partial
from importlib.util import find_spec, resolve_name
from pathlib import Path

from engine.catalog import lock_strategy
from engine.catalog import wallet as own_wallet
from engine.explore.scenario import Scenario

_HASH_CHARACTERS = 16
_OWN = frozenset({"engine", "scenarios", "reports", "locustfiles"})
_FOLLOWED = "engine.locks."


def fingerprints(scenario: Scenario, lock: str, wallet: str | None = None) -> dict[str, str]:
    """A hash for the `scenario`, the `lock` and, if there is one, the `wallet`. UsageError."""
    data = (
        *(sorted(scenario.openings.items()), sorted((scenario.correct or {}).items())),
        *(scenario.always, scenario.cached, str(scenario.faults)),
        [(program.name, program.after) for program in scenario.programs],
    )
    played = [_module_of(part) for part in (*(p.run for p in scenario.programs), scenario.fulfil)]
    found = {"scenario": _hashed(played, repr(data))}
    if lock != wallet:  # a wallet that needs no lock strategy stands in its place
        found["lock"] = _hashed([_module_of(lock_strategy(lock))])
    if wallet is not None:
        found["wallet"] = _hashed([_module_of(own_wallet(wallet))])
    return found


def _module_of(part: object) -> str:
    while isinstance(part, partial):
        part = part.func
    return str(getattr(inspect.unwrap(part) if callable(part) else part, "__module__", ""))


def _hashed(roots: Iterable[str], data: str = "") -> str:
    written = {name: _shape(tree) for name, tree in _modules(roots)}
    text = repr((sorted(written.items()), data))
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARACTERS]


def _modules(roots: Iterable[str]) -> Iterator[tuple[str, ast.Module]]:
    """Every module that counts, parsed, each once."""
    waiting, seen = sorted(set(roots)), set[str]()
    while waiting:
        name = waiting.pop()
        file = _file_of(name)
        if name in seen or file is None:
            continue
        seen.add(name)
        tree = ast.parse(file.read_text(encoding="utf-8"))
        yield name, tree
        waiting += [other for other in _imported(name, file, tree) if _counts(other, name, file)]


def _file_of(name: str) -> Path | None:
    """Where a module's source is, without running it."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def _imported(name: str, file: Path, tree: ast.Module) -> Iterator[str]:
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = resolve_name("." * node.level + base, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _counts(other: str, name: str, file: Path) -> bool:
    if other.startswith(_FOLLOWED):
        return True
    top = other.partition(".")[0]
    if top in _OWN:
        return False
    if "." in name:
        return top == name.partition(".")[0]
    if "site-packages" in file.parts:
        return False  # its neighbours there are everybody's
    neighbour = _file_of(top)
    return neighbour is not None and file.parent in (neighbour.parent, neighbour.parent.parent)


def _shape(node: object) -> str:
    """A syntax tree in one line, the same under every Python: what is empty is left out."""
    match node:
        case list():
            return f"[{','.join(_shape(item) for item in node)}]"
        case ast.AST():
            fields = [
                f"{field}={_shape(value)}"
                for field, value in ast.iter_fields(_undocumented(node))
                if value is not None and value != [] and field not in ("kind", "type_comment")
            ]
            return f"{type(node).__name__}({','.join(fields)})"
    return repr(node)


def _undocumented(node: ast.AST) -> ast.AST:
    """The node without its docstring. It is changed: nobody else holds the tree."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:]
    return node
