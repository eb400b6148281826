"""What `explore` and `replay` leave behind of a schedule: a file, a picture, a regression test."""

import os
from dataclasses import dataclass
from pathlib import Path

from engine.errors import UsageError
from engine.results import Witness
from scenarios import pytest_file
from scenarios.console import err
from scenarios.saved import Saved, save


@dataclass(frozen=True, slots=True)
class Evidence:
    """Which files are wanted."""

    save: Path | None = None
    figure: Path | None = None
    pytest: Path | None = None

    def check(self) -> None:
        """UsageError for a file that could not be written in the end: said before the work."""
        for file in (self.save, self.figure, self.pytest):
            if file is not None:
                check_place(file)
        if self.figure is not None:
            # Here and below: who wants no picture need not wait a second for matplotlib.
            from reports import timeline_file

            timeline_file.check(self.figure)
        if self.pytest is not None:
            pytest_file.check(self.pytest)

    def write(
        self,
        kept: Saved,
        witness: Witness,
        story: str,
        *,
        subtitle: str = "",
        broken: bool = False,
    ) -> None:
        """Write them.

        `broken`: the test asserts that the loss is still found, for code that is wrong on purpose.
        """
        if self.save is not None:
            save(kept, self.save)
            _tell(f"kept the schedule in {self.save}; next: walletrace replay {self.save}")
        if self.figure is not None:
            from reports import timeline_file

            title = f"{kept.scenario} with {kept.wallet or kept.lock}"
            timeline_file.write_timeline(witness, self.figure, title=title, subtitle=subtitle)
            _tell(f"drew {self.figure}")
        if self.pytest is not None:
            # Where other steps were taken, their words would stand beside the wrong moves.
            events = witness.events if witness.schedule == kept.schedule else ()
            pytest_file.write_test(kept, events, story, self.pytest, broken=broken)
            _tell(f"wrote a regression test; next: python -m pytest {self.pytest}")

    def nothing(self) -> None:
        """Say, if anything was wanted, that there is nothing to write."""
        if self != Evidence():
            _tell("nothing to save: no interleaving that was run breaks anything")


def check_place(file: Path) -> None:
    """UsageError unless `file` could be written where it is; nothing is touched."""
    folder = file.parent
    if file.is_dir():
        raise UsageError(f"cannot write {file} (it is a folder)", "name a file")
    if not folder.is_dir():
        raise UsageError(f"cannot write {file} (there is no folder {folder})", "make it first")
    if not os.access(file if file.exists() else folder, os.W_OK):
        raise UsageError(f"cannot write {file} (permission denied)", "name another file")


def _tell(text: str) -> None:
    err.print(text, markup=False, highlight=False, soft_wrap=True)
