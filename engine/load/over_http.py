"""Service and Locust as two separate processes, started, watched and joined into one LoadRun.

They must be separate: Locust patches the standard library for gevent, beside which an asyncio loop
stands still and SQLite's threads take turns. Both get sessions of their own, so that Ctrl-C reaches
only this process, which then stops them, and nothing they started outlives the run.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine.errors import LoadFailed, UsageError
from engine.load.over_http_history import with_history
from engine.results import Load, LoadRun, Percentiles
from engine.stores.opening import Synchronous, borrowed, dialect_of
from engine.verdicts import EXIT_USAGE, Break, Finding, Verdict

START_S_MAX = 30.0
# Beside the run time: Locust's start, opening the wallets, the last answers, the audit.
AROUND_S_MAX = 90.0
STOP_S_MAX = 20.0
POLL_S = 0.2
LOG_TAIL = 1500

# Its standard input ends with this process, however that ends, and so does the service.
_SERVE = """
import json, os, signal, sys, threading
from engine.service.serve import Settings, run

def end_with_parent():
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)

if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    sys.exit(run(Settings(**json.loads(sys.argv[1]))))
"""
_ANNOUNCEMENT = re.compile(r"serves on (?P<url>http://\S+)")
LOCUSTFILES = ("wallet", "steady", "ramp", "spike")

Progress = Callable[[float, float], None]


def run_load(
    *,
    lock: str = "per-user",
    workers: int = 1,
    users: int = 50,
    run_time_s: int = 10,
    accounts: int = 1,
    work_ms: float = 0.0,
    cache: bool = False,
    synchronous: Synchronous = "NORMAL",
    store: str = "sqlite",
    postgres_data: Path | None = None,
    seed: int = 0,
    round: int = 0,
    locustfile: str = "wallet",
    user_classes: Sequence[str] = (),
    processes: int = 1,
    record: Path | None = None,
    on_progress: Progress | None = None,
) -> LoadRun:
    """Load a service with `workers` processes over one database, and judge it by the money.

    Every call is recorded, and the history judged too; `record` keeps it in a Parquet file.
    `store` and `postgres_data`: see `stores.opening.borrowed`. `accounts` 1 is one hot account.
    `locustfile` is one of walletrace's (wallet, steady, ramp, spike) or a path, `user_classes`
    names some of its users, and `processes` is how many Locust has. `on_progress` is told (seconds
    of load so far, seconds in all). UsageError, LoadFailed, SystemFault.
    """
    file = _locustfile(locustfile)
    if run_time_s < 1 or users < 1:
        raise UsageError(f"{users} users for {run_time_s} s", "use 1 or more of each")
    load = Load(
        lock=lock,
        clients=users,
        accounts="hot" if accounts == 1 else f"uniform:{accounts}",
        mix=" ".join(user_classes) or file.stem,
        work_ms=work_ms,
        cache=cache,
        workers=workers,
        synchronous=synchronous,
        store=dialect_of(store),
    )
    arguments = [
        *("-f", str(file), "--headless", "--only-summary", "--run-time", f"{run_time_s}s"),
        *("--users", str(users), "--spawn-rate", str(users)),
        *("--accounts", str(accounts), "--seed", str(seed), "--service-workers", str(workers)),
        *_several(processes),
        *user_classes,
    ]
    with (
        TemporaryDirectory(prefix="walletrace-load-") as name,
        borrowed(store, postgres_data=postgres_data) as address,
    ):
        folder, recordings = Path(name), Path(name) / "recordings"
        recordings.mkdir()
        with _service(load, address, folder) as url:
            arguments += ["--host", url, "--record", str(recordings)]
            result = _locust(arguments, folder, run_time_s, on_progress)
        return with_history(_joined(load, round, result), recordings, record)


def _locustfile(name: str) -> Path:
    package = find_spec("locustfiles")
    assert package, "locustfiles is installed together with engine"
    assert package.origin, "locustfiles is a package with an __init__.py"
    file = Path(package.origin).with_name(f"{name}.py") if name in LOCUSTFILES else Path(name)
    if not file.is_file():
        raise UsageError(f"no locustfile {name!r}", f"known: {', '.join(LOCUSTFILES)}; or a path")
    return file


def _several(processes: int) -> list[str]:
    if processes == 1:
        return []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    local = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port]
    return ["--processes", str(processes), *local, "--master-port", port]


@contextmanager
def _service(load: Load, address: str, folder: Path) -> Iterator[str]:
    """The URL of a service that is ready."""
    settings = {
        "database": address,
        "lock": load.lock,
        "port": 0,
        "workers": load.workers,
        "cache": load.cache,
        "work_ms": load.work_ms,
        "synchronous": load.synchronous,
    }
    command = [sys.executable, "-c", _SERVE, json.dumps(settings)]
    with _started(command, folder / "service.log") as process:
        deadline_s = time.monotonic() + START_S_MAX
        while (url := _announced(folder / "service.log")) is None:
            status = process.poll()
            if status == EXIT_USAGE:
                raise UsageError(_tail(folder / "service.log"))
            if status is not None or time.monotonic() > deadline_s:
                raise LoadFailed(f"the service did not start: {_tail(folder / 'service.log')}")
            time.sleep(POLL_S)
        yield url


def _announced(log: Path) -> str | None:
    """The URL that the service says once all its workers listen."""
    match = _ANNOUNCEMENT.search(log.read_text(encoding="utf-8", errors="replace"))
    return match["url"] if match else None


def _locust(
    arguments: list[str], folder: Path, run_time_s: int, on_progress: Progress | None
) -> dict[str, Any]:
    """Locust's result file; it ends by itself, or else at the deadline."""
    log, result = folder / "locust.log", folder / "result.json"
    command = [sys.executable, "-m", "locust", *arguments, "--result", str(result)]
    with _started(command, log) as process:
        started_s = time.monotonic()
        while process.poll() is None:
            passed_s = time.monotonic() - started_s
            if passed_s > run_time_s + AROUND_S_MAX:
                raise LoadFailed(f"Locust did not end within {passed_s:.0f} s: {_tail(log)}")
            if on_progress is not None:
                on_progress(min(passed_s, run_time_s), run_time_s)
            time.sleep(POLL_S)
    if not result.exists():
        failure = UsageError if process.returncode == EXIT_USAGE else LoadFailed
        raise failure(f"Locust ended with status {process.returncode}: {_tail(log)}")
    document: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return document


@contextmanager
def _started(command: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    process = None
    try:
        with log.open("wb") as output, _interrupts_held():
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        yield process
    finally:
        if process is not None:
            _end(process)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C waits until the process that is being started is known, or it would be left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda signum, frame: came.append(signum))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def _end(process: "subprocess.Popen[bytes]") -> None:
    _signal_all(process, signal.SIGTERM)
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S_MAX)
    finally:
        # Who waits for its workers has done so by now; what is left was orphaned, or is stuck.
        # A second Ctrl-C comes straight here.
        _signal_all(process, signal.SIGKILL)
        process.wait()


def _signal_all(process: "subprocess.Popen[bytes]", signum: signal.Signals) -> None:
    """Signal what is left of the process and its workers: its session is theirs alone.

    The workers too, since Locust may end before it has learnt to stop those that it forked.
    """
    # macOS says "not permitted" where only zombies are left, others "no such process".
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signum)


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:].strip()


def _joined(load: Load, round: int, result: dict[str, Any]) -> LoadRun:
    overall = {
        measure: Percentiles(**values) for measure, values in result["percentiles"]["all"].items()
    }
    return LoadRun(
        driver="locust",
        load=load,
        round=round,
        seconds=result["seconds"],
        completed=result["completed"],
        refused=result["refused"],
        errors=result["errors"],
        throughput_per_s=result["throughput_per_s"],
        latency=overall["latency"],
        lock_wait=overall["lock_wait"],
        store_wait=overall["store_wait"],
        # What follows is not in the service's answers.
        hold=Percentiles(),
        locks_per_operation=0.0,
        store_accesses_per_operation=0.0,
        retries=0,
        verdict=Verdict(result["verdict"]),
        findings=tuple(
            Finding(Break(finding["kind"]), finding["message"], finding["cents"])
            for finding in result["findings"]
        ),
        lost_cents=result["lost_cents"],
        note="; ".join(result["doubts"]),
    )
