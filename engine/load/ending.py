"""How a recorded round ends: all is read once more, judged, and kept if that was asked for."""

from collections.abc import Mapping
from pathlib import Path

from engine.checks import judge as judge_history
from engine.errors import SystemFault, WalletraceError
from engine.histories.parquet import Books, Recorded
from engine.load.judgement import Judgement, findings_of, judge
from engine.load.recorder import Recorder
from engine.ports import Ledger, Row
from engine.verdicts import Verdict


async def final_books(ledger: Ledger) -> Books | str:
    """All balances and the operation log, or what kept us from reading them."""
    try:
        return Books(*await ledger.books())
    except SystemFault as error:
        return f"not judged: {error}"


def judged(
    recorder: Recorder,
    books: Books | str,
    *,
    openings: Mapping[str, int],
    record: Path | None,
) -> tuple[Judgement, list[str]]:
    """The judgement, and what kept the judge, or the history, from being whole.

    `record`: where to keep the history.
    """
    assert recorder.recording is not None
    trouble, path = recorder.recording.trouble, recorder.recording.path
    notes = [trouble] if trouble else []
    opened = {account: Row(cents, 1) for account, cents in openings.items()}
    recorded = Recorded([path], opened, None if isinstance(books, str) else books)
    try:
        said = judge_history(recorded.history())
    except SystemFault as error:
        return Judgement(Verdict.UNKNOWN, (), 0), [*notes, str(error)]
    if isinstance(books, str):
        notes.append(books)
        found = Judgement(said.verdict, findings_of(said), 0)
    else:
        found = judge(
            *books,
            openings=openings,
            acknowledged=recorder.acknowledged,
            unsettled=recorder.unsettled,
            said=said,
        )
    if found.verdict is Verdict.UNKNOWN:
        notes += said.notes
    if record is not None:
        notes += kept(recorded, record)
    return found, notes


def kept(recorded: Recorded, path: Path) -> list[str]:
    """Why the history could not be kept, if so: the figures of the round are worth more."""
    try:
        recorded.write(path)
    except WalletraceError as error:
        return [str(error)]
    return []
