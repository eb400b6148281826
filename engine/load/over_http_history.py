"""The history that Locust's processes recorded, judged beside what Locust itself says."""

from dataclasses import replace
from pathlib import Path

from engine.checks import judge
from engine.errors import SystemFault
from engine.histories.folder import recorded_in
from engine.load.ending import kept
from engine.load.judgement import findings_of
from engine.results import LoadRun
from engine.verdicts import Verdict

# What Locust's own findings begin with where they are the service's audit of its log.
AUDIT = "audit: "
_WORST_FIRST = (Verdict.BROKEN, Verdict.UNKNOWN, Verdict.CLEAN)


def with_history(run: LoadRun, folder: Path, record: Path | None) -> LoadRun:
    """`run` with what the judge says of the calls recorded in `folder`.

    Broken if either is, else undecided if either is. `record` keeps the history in a Parquet file.
    """
    try:
        recorded = recorded_in(folder)
        said = judge(recorded.history())
    except SystemFault as error:
        verdict = Verdict.BROKEN if run.verdict is Verdict.BROKEN else Verdict.UNKNOWN
        return replace(run, verdict=verdict, note=_joined(run.note, str(error)))
    found = findings_of(said)
    # Judged call by call, the log needs no audit, which would say the same with less.
    own = [each for each in run.findings if not (found and each.message.startswith(AUDIT))]
    verdicts = {run.verdict, said.verdict}
    worst = next(each for each in _WORST_FIRST if each in verdicts)
    notes = said.notes if worst is Verdict.UNKNOWN else ()
    notes += tuple(kept(recorded, record)) if record is not None else ()
    return replace(run, verdict=worst, findings=(*own, *found), note=_joined(run.note, *notes))


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))
