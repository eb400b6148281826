"""The command line `walletrace`: the only place where parts are put together."""

import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated, Any

import typer

from engine.errors import UsageError, WalletraceError
from engine.verdicts import EXIT_FAULT, EXIT_UNDECIDED, EXIT_USAGE
from scenarios import (
    check_command,
    crash_command,
    explore_command,
    explore_commands,
    isolation_command,
    load_commands,
    report_command,
    zoo_command,
)
from scenarios.console import err

EXIT_INTERRUPTED = 130

# Typer may carry its own copy of click; of its errors it exports this one's child only.
_ClickException: Any = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)

app = typer.Typer(
    name="walletrace",
    help="Which lock strategies keep a wallet correct, and what each of them costs.",
    epilog="Start with: walletrace list. Exit status: 0 as wanted, 1 decided otherwise, 2 wrong"
    " usage, 3 not decided, 70 a fault of walletrace itself, 130 interrupted, 143 told to end.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"walletrace {metadata.version('walletrace')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


app.command("list")(explore_commands.list_parts)
app.command()(explore_command.explore)
app.command()(explore_commands.replay)
app.command()(explore_commands.compare)
app.command()(load_commands.bench)
app.command()(load_commands.serve)
app.command()(load_commands.load)
app.command()(check_command.check)
app.command("crash-test")(crash_command.crash)
app.command()(report_command.report)
app.command()(zoo_command.zoo)
app.command()(isolation_command.isolation)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    unwind_when_terminated()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def unwind_when_terminated() -> None:
    """Let SIGTERM end this process like an error does: servers stop, temporary folders go."""
    signal.signal(signal.SIGTERM, lambda signum, _: sys.exit(128 + signum))


def run(arguments: Sequence[str]) -> int:
    """The exit status of one command line; see `engine.verdicts`."""
    try:
        status = typer.main.get_command(app).main(
            list(arguments), prog_name="walletrace", standalone_mode=False
        )
    except _ClickException as error:
        error.show()
        return EXIT_USAGE
    except (typer.Abort, KeyboardInterrupt):
        status = EXIT_INTERRUPTED
    except WalletraceError as error:
        err.print(f"walletrace: {error}", markup=False, highlight=False, soft_wrap=True)
        # The system could not do it (a full disk, say): nothing was decided.
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_UNDECIDED
    except Exception:
        traceback.print_exc()
        err.print("walletrace itself failed; please report the lines above")
        return EXIT_FAULT
    if status == EXIT_INTERRUPTED:
        err.print("interrupted; nothing is left running")
    return status if isinstance(status, int) else 0


if __name__ == "__main__":
    main()
