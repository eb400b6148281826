"""`walletrace serve`: starts the worker processes, says where they listen, and ends with them.

Workers share nothing but the port and the database: each has its own locks and cache, which
is what a mutex in memory meets as soon as a service runs in more than one process.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from engine.catalog import lock_strategy
from engine.errors import SystemFault, UsageError
from engine.service.settings import Settings
from engine.service.sockets import reserved_port
from engine.service.worker import GRACE_S, METRICS_DIR_VARIABLE, work
from engine.stores.opening import dialect_of, located, open_database
from engine.verdicts import EXIT_FAULT, EXIT_OK, EXIT_USAGE

__all__ = ["Settings", "run"]

# How soon a signal is noticed.
POLL_S = 0.1
# After this, workers that are still there are killed.
STOP_S = GRACE_S + 5.0


@dataclass(frozen=True, slots=True)
class _Worker:
    index: int
    process: SpawnProcess
    pipe: Connection


class _Stop:
    """Set by SIGINT and SIGTERM."""

    asked = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        self.asked = True


def run(settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM; the exit status. Call it in the main thread.

    0 after a graceful stop, 2 if it cannot start as told, 70 if a worker died.
    """
    try:
        # Asked once here, so that what cannot work is told once and not by every worker.
        lock_strategy(settings.lock, dialect_of(settings.database))
        if settings.workers < 1:
            raise UsageError(f"{settings.workers} workers", "use 1 or more")
        data = None if settings.postgres_data is None else Path(settings.postgres_data)
        with _signals() as stop, located(settings.database, postgres_data=data) as address:
            # Workers are told where it is: an embedded server is started once, here.
            settings = replace(settings, database=address, postgres_data=None)
            asyncio.run(_prepare(address))
            with reserved_port(settings.host, settings.port) as port:
                return _serve(settings, port, stop)
    except (UsageError, SystemFault) as error:
        _complain(str(error))
        return EXIT_USAGE


async def _prepare(address: str) -> None:
    async with open_database(address):
        pass


def _serve(settings: Settings, port: int, stop: _Stop) -> int:
    with ExitStack() as cleanup:
        if settings.workers > 1:
            folder = cleanup.enter_context(TemporaryDirectory(prefix="walletrace-metrics-"))
            cleanup.enter_context(_environment(METRICS_DIR_VARIABLE, folder))
        workers: list[_Worker] = []
        status = EXIT_FAULT
        try:
            workers.extend(_start(settings, index, port) for index in range(settings.workers))
            status = _watch(settings, port, workers, stop)
        finally:
            stopped = _stop_all(workers)
        return status if stopped else EXIT_FAULT


def _start(settings: Settings, index: int, port: int) -> _Worker:
    spawn = get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=work, args=(settings, index, port, theirs), daemon=True)
    # Born deaf to Ctrl+C, which a terminal sends to all: no worker is torn down while it starts.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    process.start()
    signal.signal(signal.SIGINT, before)
    theirs.close()  # theirs alone now, so that its end is the worker's end
    return _Worker(index, process, ours)


def _watch(settings: Settings, port: int, workers: list[_Worker], stop: _Stop) -> int:
    starting = {worker.index for worker in workers}
    by_pipe = {worker.pipe: worker for worker in workers}
    while not stop.asked:
        for pipe in wait(list(by_pipe), timeout=POLL_S):
            assert isinstance(pipe, Connection)
            worker = by_pipe[pipe]
            try:
                complaint = pipe.recv()
            except (EOFError, ConnectionResetError):
                worker.process.join(POLL_S)
                status = worker.process.exitcode
                _complain(f"worker {worker.index} died (exit status {status}); the service ends")
                return EXIT_FAULT
            if complaint:
                _complain(complaint)
                return EXIT_USAGE
            starting.remove(worker.index)
            if not starting:
                _announce(settings, port)
    return EXIT_OK


def _announce(settings: Settings, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    print(f"walletrace serves on http://{host}:{port} with {settings.workers} workers", flush=True)


def _stop_all(workers: list[_Worker]) -> bool:
    """Ask all to finish, wait, kill those that do not; whether all ended by themselves."""
    for worker in workers:
        worker.pipe.close()
    give_up = time.monotonic() + STOP_S
    late = []
    for worker in workers:
        worker.process.join(max(0.0, give_up - time.monotonic()))
        if worker.process.is_alive():
            late.append(worker.index)
            worker.process.kill()
            worker.process.join()
    if late:
        _complain(f"workers {late} did not stop within {STOP_S:g} s and were killed")
    return not late


@contextmanager
def _signals() -> Iterator[_Stop]:
    stop = _Stop()
    before = {signum: signal.signal(signum, stop) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set for the workers, which inherit it before they import anything."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _complain(text: str) -> None:
    print(f"walletrace: {text}", file=sys.stderr, flush=True)
