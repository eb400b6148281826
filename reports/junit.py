"""JUnit for continuous integration: one test case for each cell, load run and random hunt.

What is not as expected is a failure, with the witness as its text.
"""

from collections.abc import Mapping, Sequence

from junitparser import Failure, JUnitXml, TestCase, TestSuite

from engine.results import Cell, LoadRun, ProgramsResult
from reports.checked import Checked, CheckedRuns
from reports.fault_tables import has_fault_axis
from reports.reading import lost_words, programs_as_expected, run_is_unexpected


def junit_xml(
    cells: Sequence[Cell],
    load_runs: Sequence[LoadRun] = (),
    programs: Sequence[ProgramsResult] = (),
) -> str:
    """The findings as JUnit XML text."""
    axis = has_fault_axis(cells)
    suites = {
        "verdict matrix": [_cell_case(cell, axis) for cell in cells],
        "load": [_run_case(run, cells) for run in load_runs],
        "random programs": [_programs_case(result) for result in programs],
    }
    return _document(suites)


def checked_junit_xml(checked: CheckedRuns) -> str:
    """The verdicts on files as JUnit XML text: a case for each run, of one run for each layer.

    None of them fails where the worst of them is what was expected.
    """
    if len(checked.runs) == 1:
        return _document({"check": _layer_cases(checked.worst)})
    content = checked.worst.as_expected
    cases = [_checked_case(run, fails=not (content or run.as_expected)) for run in checked.runs]
    return _document({"check": cases})


def _layer_cases(checked: Checked) -> list[TestCase]:
    """One for each layer, that which decided last."""
    passed = [layer for layer in checked.passed if layer != checked.layer]
    cases = [_case("check", layer, 0.0, "nothing was found") for layer in passed]
    return [*cases, _checked_case(checked, fails=not checked.as_expected)]


def _checked_case(checked: Checked, *, fails: bool) -> TestCase:
    name = f"{', '.join(checked.files)}: {checked.layer or 'reading'}"
    case = _case("check", name, checked.loading_s + checked.judging_s, checked.verdict)
    if fails:
        failure = Failure(f"{checked.verdict}: {checked.count} violations", checked.verdict)
        told = [f"{each.anomaly}: {each.message}" for each in checked.violations]
        failure.text = "\n".join([*told, *checked.cut, *checked.limits])
        case.result = [failure]
    return case


def _document(suites: Mapping[str, Sequence[TestCase]]) -> str:
    document = JUnitXml("walletrace")
    for name, cases in suites.items():
        if cases:
            suite = TestSuite(name)
            for case in cases:
                suite.add_testcase(case)
            document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call]
    return str(document.tostring().decode())  # type: ignore[no-untyped-call]


def _case(group: str, name: str, seconds: float, said: str) -> TestCase:
    case = TestCase(name, f"walletrace.{group}", seconds)
    case.system_out = said
    return case


def _cell_case(cell: Cell, fault_axis: bool) -> TestCase:
    name = f"{cell.scenario} with {cell.lock} on {cell.store}"
    # Only where they tell cells apart: elsewhere the name of a case stays what it has been.
    name += f" under {cell.faults or 'no fault'}" if fault_axis else ""
    said = f"{cell.verdict}: {cell.losing} of {cell.interleavings} interleavings lose; {cell.note}"
    case = _case(cell.topology, name, cell.seconds, said)
    if not cell.as_expected:
        failure = Failure(f"{cell.verdict}, expected {cell.expected}", cell.verdict)
        failure.text = _told(cell)
        case.result = [failure]
    return case


def _told(cell: Cell) -> str:
    again = (
        f"walletrace explore {cell.scenario} --lock {cell.lock} --topology {cell.topology}"
        f" --store {cell.store}"
    )
    again += f" --faults {cell.faults}" if cell.faults else ""
    witness = cell.witness
    steps = [f"{e.step} {e.client} {e.text} [{e.how}]" for e in witness.events] if witness else []
    explained = witness.explanation if witness else "no schedule was kept"
    return "\n".join([cell.note, explained, *steps, f"again: {again}"])


def _run_case(run: LoadRun, cells: Sequence[Cell]) -> TestCase:
    load = run.load
    name = (
        f"{load.lock}, {load.clients} clients, {load.accounts}, mix {load.mix},"
        f" {load.work_ms:g} ms work, {load.workers} workers, cache {load.cache}, round {run.round}"
    )
    said = f"{run.verdict}: {lost_words(run.lost_cents)} in {run.completed} calls"
    case = _case(f"load.{run.driver}", name, run.seconds, said)
    if run_is_unexpected(run, cells):
        failure = Failure(f"{run.verdict}: {lost_words(run.lost_cents)}", run.verdict)
        failure.text = "\n".join([finding.message for finding in run.findings] + [run.note])
        case.result = [failure]
    return case


def _programs_case(result: ProgramsResult) -> TestCase:
    said = f"{result.verdict} after {result.examples} programs"
    case = _case("programs", f"{result.lock} on {result.store}", result.seconds, said)
    if not programs_as_expected(result):
        failure = Failure(f"{result.verdict}, expected {result.expected}", result.verdict)
        failure.text = result.smallest
        case.result = [failure]
    return case
