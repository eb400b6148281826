"""`walletrace zoo`: the test of the tester, on one screen."""

import sys
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from engine.errors import UsageError
from engine.explore.world import Setting
from engine.results import Cell
from engine.verdicts import EXIT_DECIDED_OTHERWISE, EXIT_OK, EXIT_UNDECIDED, Verdict
from reports import terminal
from scenarios.console import cell_json, out, print_json, progress
from scenarios.patience import patience
from scenarios.zoo.exhibit import Exhibit
from scenarios.zoo.hall import BUDGET, EXHIBITS, Inspected, inspect

# From this width on the table has room for what each hazard is.
_WIDE = 180
# The story in which a wrong lock strategy may be watched further.
_WALK = "crossing-transfers"


def zoo(
    only: Annotated[
        str | None, typer.Option(help="Show this exhibit alone, with its timeline.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead.")
    ] = False,
) -> None:
    """Explore lock strategies and services that are wrong on purpose, each beside a right one.

    Exit status: 0 if every wrong one is found and every right one proven safe, else 1, or 3 if
    one could not be explored whole.
    """
    chosen = list(EXHIBITS.values()) if only is None else [_exhibit(only)]
    with patience(), progress("exploring the zoo") as advance:
        inspected = inspect(chosen, BUDGET, advance)
    if as_json:
        print_json(_json(inspected))
    elif only is not None:
        _print_one(inspected[0])
    else:
        _print_all(inspected)
    raise typer.Exit(_exit_of(inspected))


def _exhibit(name: str) -> Exhibit:
    if name not in EXHIBITS:
        raise UsageError(f"no exhibit {name!r}", f"known: {', '.join(EXHIBITS)}")
    return EXHIBITS[name]


def _exit_of(inspected: list[Inspected]) -> int:
    failed = [one for one in inspected if not one.as_wanted]
    if not failed:
        return EXIT_OK
    return EXIT_UNDECIDED if all(one.undecided for one in failed) else EXIT_DECIDED_OTHERWISE


def _json(inspected: list[Inspected]) -> dict[str, Any]:
    return {
        "found": sum(one.found for one in inspected),
        "of": len(inspected),
        "misses": [one.exhibit.name for one in inspected if not one.found],
        "false_alarms": [one.exhibit.name for one in inspected if one.false_alarm],
        "undecided": [one.exhibit.name for one in inspected if one.undecided],
        "all_answered_ok": [one.exhibit.name for one in inspected if one.all_ok],
        "exhibits": [_one_json(one) for one in inspected],
    }


def _one_json(one: Inspected) -> dict[str, Any]:
    exhibit = one.exhibit
    return {
        "name": exhibit.name,
        "number": exhibit.number or None,
        "hazard": exhibit.hazard,
        "source": exhibit.source,
        "breaks": exhibit.breaks,
        "found": one.found,
        "false_alarm": one.false_alarm,
        "all_answered_ok": one.all_ok,
        "steps": _steps(one.wrong),
        "wrong": cell_json(one.wrong),
        "right": cell_json(one.right),
    }


def _steps(cell: Cell) -> int | None:
    """The steps of the witness, invocations included."""
    return None if cell.witness is None else len(cell.witness.schedule)


def _print_all(inspected: list[Inspected]) -> None:
    wide = out.width >= _WIDE
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("#", justify="right")
    table.add_column("exhibit", no_wrap=True)
    if wide:
        table.add_column("hazard", no_wrap=True, overflow="ellipsis")
    table.add_column("wrong one", no_wrap=True)
    table.add_column("losing", justify="right", no_wrap=True)
    table.add_column("states", justify="right", no_wrap=True)
    table.add_column("steps", justify="right", no_wrap=True)
    table.add_column("right one", no_wrap=True)
    table.add_column("states", justify="right", no_wrap=True)
    for one in inspected:
        exhibit, wrong, right = one.exhibit, one.wrong, one.right
        table.add_row(
            str(exhibit.number or "·"),
            exhibit.name,
            *([exhibit.hazard] if wide else []),
            f"✗ {exhibit.breaks}" if one.found else f"{wrong.verdict} !",
            f"{wrong.losing:,}/{wrong.interleavings:,}",
            _counted(wrong.states),
            _counted(_steps(wrong) or 0),
            f"✓ {right.interleavings:,}" if right.verdict is Verdict.SAFE else f"{right.verdict} !",
            _counted(right.states),
            style="" if one.as_wanted else "bold red",
        )
    out.print(table)
    out.print(Text(_conclusion(inspected), style="bold"))
    out.print(
        Text(
            "#: hazard in docs/zoo.md, · one of our own; ✗: what broke; ✓ 20: safe in all 20",
            style="dim",
        )
    )
    failed = [one for one in inspected if not one.as_wanted]
    first = (failed or inspected)[0].exhibit.name
    out.print(Text(f"Next: walletrace zoo --only {first}", style="cyan"), soft_wrap=True)


def _counted(number: int) -> str:
    return f"{number:,}" if number else "–"


def _conclusion(inspected: list[Inspected]) -> str:
    found = sum(one.found for one in inspected)
    alarms = sum(one.false_alarm for one in inspected)
    unproven = sum(one.right.verdict is not Verdict.SAFE for one in inspected) - alarms
    cells = [cell for one in inspected for cell in (one.wrong, one.right)]
    runs, states = sum(cell.interleavings for cell in cells), sum(cell.states for cell in cells)
    seconds = sum(cell.seconds for cell in cells)
    told = f"found {found} of {len(inspected)}, false alarms on the right ones: {alarms or 'none'}"
    told += f", not proven: {unproven}" if unproven else ""
    fooled = sum(one.all_ok for one in inspected)
    return (
        f"{told} ({runs:,} interleavings, {states:,} states, {seconds:.1f} s);"
        f" under {fooled} of the witnesses every request was answered ok"
    )


def _print_one(one: Inspected) -> None:
    exhibit = one.exhibit
    out.print(Text(f"{exhibit.name}: {exhibit.hazard}", style="bold"))
    if exhibit.source:
        out.print(Text(f"hazard {exhibit.number}, read in {exhibit.source}", style="dim"))
    variants = (
        ("The wrong one", one.wrong, exhibit.wrong),
        ("The right one", one.right, exhibit.right),
    )
    for title, cell, setting in variants:
        out.print(Text(f"\n{title}", style="bold"))
        terminal.print_cell(out, replace(cell, lock=_importable(setting) or cell.lock))
    if one.all_ok:
        out.print(Text("\nUnder the witness every request was answered ok.", style="dim"))
    out.print(Text(f"\nNext: {_next(exhibit)}", style="cyan"), soft_wrap=True)


def _importable(setting: Setting) -> str:
    """The name under which `--lock` takes the variant's lock strategy, or "" if it has none."""
    make = setting.parts.make_lock
    module, name = getattr(make, "__module__", ""), getattr(make, "__qualname__", "")
    found: object = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if make is not None and found is make else ""


def _next(exhibit: Exhibit) -> str:
    """The wrong lock strategy in another story; or, where something else is wrong, the guide."""
    wrong, right = _importable(exhibit.wrong), _importable(exhibit.right)
    if not wrong or wrong == right:
        return f"read how {exhibit.name} works in docs/zoo.md"
    words = ["walletrace", "explore", _WALK, "--lock", wrong]
    if exhibit.wrong.topology != "one-service":
        words += ["--topology", exhibit.wrong.topology]
    if faults := str(exhibit.wrong.scenario.faults):
        words += ["--faults", faults]
    return " ".join(words)
