"""The command behind `make bench-explore`."""

import json
import time
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from scenarios.console import err, out
from scenarios.explore_bench.cases import CASES, Case
from scenarios.explore_bench.peers import version
from scenarios.explore_bench.rounds import compare
from scenarios.explore_bench.table import PEERS, as_json, notes, table
from scenarios.explore_bench.workers import OURS, Worker


def main(
    case: Annotated[list[str] | None, typer.Option(help="Only these (repeatable).")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Rounds of each case.")] = 6,
    limit_s: Annotated[float, typer.Option(min=0.1, help="Seconds for one answer.")] = 20.0,
    json_file: Annotated[
        Path | None, typer.Option("--json", dir_okay=False, writable=True, help="Write JSON too.")
    ] = None,
) -> None:
    """Run every case on every tool that is installed, in turns, and print one table."""
    versions = {OURS: metadata.version("walletrace")} | {peer: version(peer) for peer in PEERS}
    workers = {tool: Worker(tool) for tool, found in versions.items() if found}
    started = time.monotonic()

    def tell(case: Case, tool: str) -> None:
        status.update(f"{time.monotonic() - started:.0f} s: {case.title}, {tool}")

    try:
        with err.status("starting…") as status:
            rows = compare(_wanted(case), workers, rounds=rounds, limit_s=limit_s, on_progress=tell)
    finally:
        for worker in workers.values():
            worker.close()
    out.print(table(rows, versions, limit_s))
    for note in notes(rows, versions, rounds=rounds, limit_s=limit_s):
        out.print(note, markup=False, highlight=False)
    out.print(f"{time.monotonic() - started:.0f} s in all")
    if json_file is not None:
        document = as_json(rows, versions, rounds=rounds, limit_s=limit_s)
        json_file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _wanted(names: list[str] | None) -> list[Case]:
    unknown = [name for name in names or () if name not in CASES]
    if unknown:
        raise typer.BadParameter(f"no case {unknown[0]!r}; known: {', '.join(CASES)}")
    return [CASES[name] for name in names or CASES]


if __name__ == "__main__":
    typer.run(main)
