"""One worker process: the wallet over the database, for calls that come through a pipe.

It stops itself by SIGSTOP where its parent says, between the read and the write or between the
write and the answer, so that it is killed or paused exactly there. It ends with its parent.
"""

import asyncio
import ctypes
import os
import signal
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Literal, NamedTuple

import uvloop

from engine.catalog import lock_strategy
from engine.errors import WalletraceError
from engine.history import Receipt
from engine.operations import Operation
from engine.ports import Store
from engine.runtimes import AsyncioRuntime
from engine.stores.opening import Database, open_database
from engine.stores.working import Working
from engine.wallet import WalletService

# Before the statement that writes, or after the commit and before the answer.
Place = Literal["write", "answer"]

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """What a worker works with. `lease_s`: how long a lease lasts that is not given back."""

    address: str
    lock: str
    lease_s: float


class Ask(NamedTuple):
    """A call, by a number of the parent's."""

    number: int
    key: str
    operation: Operation


class Halt(NamedTuple):
    """Stop yourself the next time you come to this place."""

    place: Place


class Ready(NamedTuple):
    """The worker takes calls. Ids of calls that it ran itself begin with `prefix`."""

    prefix: str


class Answer(NamedTuple):
    """How a call ended."""

    number: int
    answer: Receipt | WalletraceError


class Halting(NamedTuple):
    """The worker stops itself now."""


def work(pipe: int) -> None:
    """The whole life of a worker; the pipe's file descriptor brings its Settings first."""
    _end_with_parent()
    parent: Connection = Connection(pipe)
    settings = parent.recv()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(settings, parent))


def _end_with_parent() -> None:
    # One that is stopped does not see the pipe close. Elsewhere than on Linux it may be left over.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


async def _work(settings: Settings, parent: Connection) -> None:
    async with open_database(settings.address, lease_s=settings.lease_s) as database:
        worker = _Worker(settings.lock, database, parent)
        loop = asyncio.get_running_loop()
        loop.add_reader(parent.fileno(), worker.receive)
        parent.send(worker.ready)
        await worker.dismissed.wait()
        loop.remove_reader(parent.fileno())


class _Worker:
    def __init__(self, lock: str, database: Database, parent: Connection) -> None:
        self._parent = parent
        self._halts: set[Place] = set()
        self._calls: set[asyncio.Task[None]] = set()
        self.dismissed = asyncio.Event()
        runtime = AsyncioRuntime()
        self.ready = Ready(runtime.new_id().rpartition("-")[0])

        async def before_write() -> None:
            self._halt("write")

        def session() -> Store:
            return Working(database.session(), before_write)

        strategy = lock_strategy(lock, database.session().dialect)(runtime)
        self._wallet = WalletService(strategy, session, runtime)

    def receive(self) -> None:
        try:
            message = self._parent.recv()
        except (EOFError, ConnectionResetError):
            self.dismissed.set()
            return
        if isinstance(message, Halt):
            self._halts.add(message.place)
            return
        task = asyncio.create_task(self._answer(message))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _answer(self, ask: Ask) -> None:
        answer: Receipt | WalletraceError
        try:
            answer = await self._wallet.execute(ask.operation, key=ask.key)
            self._halt("answer")
        except WalletraceError as error:
            answer = error
        self._parent.send(Answer(ask.number, answer))

    def _halt(self, place: Place) -> None:
        if place in self._halts:
            self._halts.remove(place)
            self._parent.send(Halting())
            os.kill(os.getpid(), signal.SIGSTOP)
