"""`walletrace check`: was this history correct? For recorded runs and other people's logs."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from engine.verdicts import Verdict, exit_status
from reports.checked import CheckedRuns, runs_json
from reports.junit import checked_junit_xml
from reports.terminal_check import print_runs
from scenarios.console import out, print_json
from scenarios.evidence import check_place
from scenarios.options import Json


class ModelName(StrEnum):
    """What a history may be of; see docs/check.md."""

    WALLET = "wallet"
    REGISTER = "register"
    BANK = "bank"


BUDGET_S, BUDGET_MB = 60.0, 4_096.0

Files = Annotated[
    list[Path],
    typer.Argument(
        help="Parquet, CSV or JSON lines (also .gz), or folders of them. Several are one history;"
        " recorded runs are judged one by one.",
        metavar="FILE",
    ),
]
Map = Annotated[
    Path | None,
    typer.Option("--map", help="A TOML file that names their columns and words: docs/check.md."),
]
ClockError = Annotated[
    float | None,
    typer.Option(
        "--clock-error-ms",
        min=0.0,
        help="The clocks of several files differ by no more than this (default: nothing is known).",
    ),
]
Expect = Annotated[Verdict | None, typer.Option(help="Exit 0 if this is the verdict.")]
BudgetS = Annotated[
    float, typer.Option("--budget-s", min=0.0, help="Stop after so many seconds; then unknown.")
]
BudgetMb = Annotated[
    float, typer.Option("--budget-mb", min=1.0, help="Stop before more memory is used, likewise.")
]
ModelOption = Annotated[
    ModelName,
    typer.Option(help="What the history is of; others than wallets are searched for an order."),
]
Html = Annotated[
    Path | None, typer.Option(help="Write a page that shows the history around what is wrong.")
]
Figure = Annotated[
    Path | None, typer.Option(help="Draw money lost or made over time, as .svg or .png.")
]
Junit = Annotated[Path | None, typer.Option(help="Write the verdict as JUnit XML.")]


def check(
    files: Files,
    mapping: Map = None,
    clock_error_ms: ClockError = None,
    model: ModelOption = ModelName.WALLET,
    expect: Expect = None,
    budget_s: BudgetS = BUDGET_S,
    budget_mb: BudgetMb = BUDGET_MB,
    html: Html = None,
    figure: Figure = None,
    junit: Junit = None,
    as_json: Json = False,
) -> None:
    """Judge a history: was money lost, and does an order of its operations explain what was seen?

    Columns that are called account, before, after, amount, version, operation, key, client, kind,
    invoked, completed and outcome are understood as they are; any may be missing but the account,
    and the fewer there are the less can be checked, which is then said. Without times of calls it
    is an operation log: its rows, in their order, must chain.

    Exit status: 0 clean (or what --expect names), 1 broken, 2 wrong usage, as a file that is not
    there or a column that the mapping names in vain, 3 it cannot be told, as where a file is cut.
    Of several runs the worst decides.
    """
    # It brings Arrow and pandas along, for which no other command waits.
    from scenarios.checking import Pictures, check_files

    if junit is not None:
        check_place(junit)
    runs = check_files(
        files,
        mapping,
        model=model,
        clock_error_ms=clock_error_ms,
        budget_s=budget_s,
        budget_mb=budget_mb,
        pictures=Pictures(html, figure),
    )
    checked = CheckedRuns(tuple(replace(run, expected=expect) for run in runs))
    if junit is not None:
        junit.write_text(checked_junit_xml(checked), encoding="utf-8")
    if as_json:
        print_json(runs_json(checked))
    else:
        print_runs(out, checked)
    raise typer.Exit(exit_status(checked.worst.verdict, expected=expect))
