"""`walletrace report`, and nothing of what it needs until it is called."""

from pathlib import Path
from typing import Annotated

import typer

from scenarios.options import Json


def report(
    folder: Annotated[Path, typer.Option("--out", help="Where the report goes.")] = Path(
        "reports/out"
    ),
    as_json: Json = False,
) -> None:
    """Explore, load, judge, and write index.html with its figures and data.

    Exit status: 0 if everything is as declared, 1 if not, 3 if something was not decided.
    """
    from scenarios import main_job

    raise typer.Exit(main_job.run(folder, as_json=as_json))
