"""Which files are one history, and which are runs of their own.

Whoever records with walletrace gets one Parquet file, or one folder of recordings, for each run. In
several of them accounts and versions begin anew: put together they would be a history that never
was. Other people's files are parts of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import UsageError
from engine.histories.folder import is_recorded
from engine.histories.reading_parquet import is_own

SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".log")
FILES_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Run:
    """Files that are one history. `named`: those that were asked for, not found in a folder."""

    files: tuple[Path, ...]
    named: frozenset[Path] = frozenset()


def runs_in(paths: Sequence[Path]) -> list[Run]:
    """The runs in files and folders of them, those in folders sorted by name. UsageError.

    A folder into which processes recorded is one of them, as it is.
    """
    try:
        found = dict.fromkeys(file for path in paths for file in _files_in(path))
        if len(found) > FILES_MAX:
            raise UsageError(f"{len(found)} files are too many", f"at most {FILES_MAX}")
        groups: dict[Path | None, list[Path]] = {}
        for file in found:
            alone = file.is_dir() or is_own(file)
            groups.setdefault(file if alone else None, []).append(file)
    except OSError as error:
        raise cannot_open(error) from error
    return [Run(tuple(files), frozenset({*files} & {*paths})) for files in groups.values()]


def cannot_open(error: OSError) -> UsageError:
    """What to say of a path that cannot be opened."""
    return UsageError(
        f"{error.filename} cannot be read ({error.strerror})", "name a file that can, or a folder"
    )


def _files_in(path: Path) -> list[Path]:
    if is_recorded(path) or path.is_file():
        return [path]
    if not path.is_dir():
        raise UsageError(f"{path} is no file", "name a file that is there, or a folder")
    inside = sorted(each for each in path.iterdir() if _may_be(each))
    if not inside:
        raise UsageError(
            f"{path} is a folder without histories", f"known: {', '.join(SUFFIXES)}, also .gz"
        )
    return inside


def _may_be(path: Path) -> bool:
    return path.is_file() and path.name.removesuffix(".gz").endswith(SUFFIXES)
