"""What was found, told: tables, figures, a page, Markdown, JUnit and the terminal.

Plain data comes in (`engine.results`), files go out; nothing here runs a scenario or a load.

found        everything a report is made of, in one value
reading      what follows from it: matrix squares, stories, settings, what is unexpected
conclusion   the same in plain words
tables       pandas frames with documented columns, exported as CSV, Parquet and JSON
figures      matplotlib pictures, light and dark (`theme`, `matrix_figure`, `timeline_figure`, …)
html  markdown  junit  terminal      one file for each reader (`summary`: the terminal's table)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.results import Cell, HistoryView, IsolationCell, LoadRun, ProgramsResult, Ratio
from reports.found import Claim, Found

__all__ = ["Claim", "Found", "write"]


def write(
    out: Path,
    *,
    cells: Sequence[Cell],
    load_runs: Sequence[LoadRun] = (),
    ratios: Sequence[Ratio] = (),
    programs: Sequence[ProgramsResult] = (),
    claims: Sequence[Claim] = (),
    machine: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    controls: Sequence[str] = (),
    store_runs: Sequence[LoadRun] = (),
    isolation: Sequence[IsolationCell] = (),
    history: HistoryView | None = None,
) -> list[Path]:
    """Write the whole report into the folder `out` and name the files, `index.html` first.

    `machine` is what it ran on, in words; `notes` is what was not covered; `controls` names the
    lock strategies that are wrong on purpose; `store_runs` is load on lock strategy and store
    alone, `isolation` what each level of each database lets happen, `history` one run call by call.
    """
    # Drawing and tables take a second to import; who only prints a verdict need not wait for it.
    from reports.folder import write_folder

    found = Found(
        tuple(cells),
        tuple(load_runs),
        tuple(ratios),
        tuple(programs),
        tuple(claims),
        dict(machine or {}),
        tuple(notes),
        tuple(controls),
        tuple(store_runs),
        tuple(isolation),
        history,
    )
    return write_folder(out, found)
