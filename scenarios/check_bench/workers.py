"""A fresh process for each case: it loads the histories, then judges them when it is asked.

Histories are made in yet another process and come by file, so that what their making leaves behind
in memory cannot hide what judging takes.
"""

import gc
import multiprocessing
import pickle
import signal
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

from engine.resident import memory_mb
from scenarios.check_bench.cases import CASES

# A round repeats a short case for this long; its figure is the median of those runs.
ROUND_S = 0.1
REPEATS_MAX = 100
# Writing 5 here forgets the highest memory so far (proc(5)), which `_PEAK` then shows anew.
_FORGET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_PEAK = "VmHWM:"

_loaded: dict[int, Any] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """One round at one size. `memory_mb` is what the run needed beyond the history, if told.

    `seconds` is the processor's time: judges are single threads, and what else a machine does
    would blur the time on the clock, `wall_s`, by more than judges differ.
    """

    size: int
    seconds: float
    wall_s: float
    said: str
    memory_mb: float | None = None


class Worker:
    """One case's process. Whatever goes wrong in it is raised here, from `ask`."""

    def __init__(self, case: str, folder: Path) -> None:
        self.case = case
        self._folder = folder
        self._process = _process()

    def prepare(self) -> None:
        """Make the histories of all sizes elsewhere, load them here."""
        with _process() as maker:
            maker.submit(_make, self.case, self._folder).result()
        self._process.submit(_load, self.case, self._folder).result()

    def first(self) -> Answer:
        """The first run of all, at the full size: cold, and with its memory."""
        return self._process.submit(_first, self.case).result()

    def ask(self, size: int) -> Answer:
        """One round at this size."""
        return self._process.submit(_round, self.case, size).result()

    def close(self) -> None:
        self._process.shutdown(cancel_futures=True)


def _process() -> ProcessPoolExecutor:
    # Ctrl-C goes to all processes; only the one that waits for the others has to hear it.
    return ProcessPoolExecutor(
        1,
        multiprocessing.get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )


def _make(name: str, folder: Path) -> None:
    case = CASES[name]
    for size in case.sizes:
        _file(name, size, folder).write_bytes(pickle.dumps(case.make(size), protocol=5))


def _load(name: str, folder: Path) -> None:
    for size in CASES[name].sizes:
        file = _file(name, size, folder)
        with file.open("rb") as history:
            _loaded[size] = pickle.load(history)
        file.unlink()
    # What is here now stays until the end; collecting should not walk over it each time.
    gc.collect()
    gc.freeze()


def _file(name: str, size: int, folder: Path) -> Path:
    return folder / f"{name}-{size}.pickle"


def _run(name: str, size: int) -> Answer:
    started, wall = process_time(), perf_counter()
    said = CASES[name].run(_loaded[size])
    return Answer(size, process_time() - started, perf_counter() - wall, said)


def _first(name: str) -> Answer:
    size = max(CASES[name].sizes)
    held = memory_mb()
    forgot = _forget_peak()
    answer = _run(name, size)
    needed = _peak_mb() - held if forgot else None
    return replace(answer, memory_mb=needed)


def _round(name: str, size: int) -> Answer:
    answers: list[Answer] = []
    ends = perf_counter() + ROUND_S
    while not answers or (perf_counter() < ends and len(answers) < REPEATS_MAX):
        answers.append(_run(name, size))
    seconds, wall_s = (
        median(each) for each in zip(*((one.seconds, one.wall_s) for one in answers), strict=True)
    )
    wrong = [answer.said for answer in answers if answer.said != CASES[name].expected]
    return Answer(size, seconds, wall_s, wrong[0] if wrong else answers[0].said)


def _forget_peak() -> bool:
    try:
        _FORGET.write_text("5")
    except OSError:
        return False
    return True


def _peak_mb() -> float:
    [line] = [line for line in _STATUS.read_text().splitlines() if line.startswith(_PEAK)]
    return int(line.split()[1]) / 2**10
