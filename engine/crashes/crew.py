"""The parent's side: worker processes, what each was asked, and what it answered.

What has arrived here is acknowledged, and is kept by this process, which nobody kills.
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing import Pipe
from time import monotonic

from engine.crashes.worker import Answer, Ask, Halt, Halting, Place, Ready, Settings
from engine.errors import LoadFailed, WalletraceError
from engine.history import Receipt
from engine.operations import Operation, accounts_of

START_S_MAX = 30.0
END_S_MAX = 10.0

_WORK = "import sys; from engine.crashes.worker import work; work(int(sys.argv[1]))"


class Died(Exception):
    """The worker died before it answered: whether the call has happened is unknown."""


class Worker:
    """One process. Made and ended by a `Crew`."""

    def __init__(self, settings: Settings) -> None:
        self._pipe, theirs = Pipe()
        # Not multiprocessing's own processes: each would import the parent's main module first.
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORK, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,  # Ctrl-C is for us; the pipe's end is for them
        )
        theirs.close()  # theirs alone now, so that its end is the worker's end
        self._pipe.send(settings)
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[str] = loop.create_future()
        self.halted = asyncio.Event()
        self._asked: dict[int, tuple[Operation, asyncio.Future[Receipt]]] = {}
        self._numbers = 0
        loop.add_reader(self._pipe.fileno(), self._receive)

    async def ask(self, key: str, operation: Operation) -> Receipt:
        """Have it run the call. What the wallet raises; Died."""
        self._numbers += 1
        answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._asked[self._numbers] = operation, answer
        try:
            self._pipe.send(Ask(self._numbers, key, operation))
        except OSError as error:
            self._asked.pop(self._numbers, None)
            raise Died from error
        return await answer

    @property
    def touching(self) -> set[str]:
        """The accounts of the calls under way."""
        under_way = (operation for operation, _ in self._asked.values())
        return {account for operation in under_way for account in accounts_of(operation)}

    def halt(self, place: Place) -> None:
        """Have it stop itself there; `halted` says when it does."""
        self.halted.clear()
        self._pipe.send(Halt(place))

    def resume(self) -> None:
        """Let it go on after it stopped itself."""
        self._process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """SIGKILL; who waits for an answer is told that it died."""
        self._process.kill()
        await asyncio.to_thread(self._process.wait)
        self._receive()  # what it said before it died, and that it did

    async def end(self) -> None:
        """Let it end by itself, or else kill it."""
        self._hang_up()
        self.resume()  # it may stand still
        try:
            await asyncio.to_thread(self._process.wait, END_S_MAX)
        except subprocess.TimeoutExpired:
            await self.kill()

    def _receive(self) -> None:
        try:
            while self._pipe.poll():
                self._take(self._pipe.recv())
        except (EOFError, OSError):
            self._hang_up()

    def _take(self, message: Ready | Halting | Answer) -> None:
        match message:
            case Ready(prefix):
                self.ready.set_result(prefix)
            case Halting():
                self.halted.set()
            case Answer(number, answer):
                _, waiting = self._asked.pop(number)
                if waiting.done():  # its client was cancelled
                    return
                if isinstance(answer, WalletraceError):
                    waiting.set_exception(answer)
                else:
                    waiting.set_result(answer)

    def _hang_up(self) -> None:
        if self._pipe.closed:
            return
        asyncio.get_running_loop().remove_reader(self._pipe.fileno())
        self._pipe.close()
        for _, waiting in self._asked.values():
            if not waiting.done():
                waiting.set_exception(Died())
        self._asked.clear()
        if not self.ready.done():
            self.ready.set_exception(Died())


class Crew:
    """`size` workers, each in its place. One that was killed is replaced at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.workers: list[Worker] = []
        self.prefixes: dict[Worker, str] = {}

    async def fill(self, size: int) -> None:
        """Start them all. LoadFailed if one does not start."""
        for _ in range(size):
            self.workers.append(Worker(self._settings))
        for worker in self.workers:
            await self._started(worker)

    async def kill(self, place: int) -> float:
        """Kill the worker there and start another; when it was dead (seconds, monotonic)."""
        await self.workers[place].kill()
        dead_s = monotonic()
        self.workers[place] = Worker(self._settings)
        await self._started(self.workers[place])
        return dead_s

    async def _started(self, worker: Worker) -> None:
        try:
            async with asyncio.timeout(START_S_MAX):
                self.prefixes[worker] = await worker.ready
        except (Died, TimeoutError) as error:
            raise LoadFailed("a worker process did not start", "see what it printed") from error


@asynccontextmanager
async def crew(settings: Settings, size: int) -> AsyncIterator[Crew]:
    """`size` workers that take calls, ended with the block."""
    crew = Crew(settings)
    try:
        await crew.fill(size)
        yield crew
    finally:
        await asyncio.gather(*(worker.end() for worker in crew.workers))
