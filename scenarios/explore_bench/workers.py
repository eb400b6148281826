"""One warm process for each tool, asked one case at a time."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from statistics import median
from time import perf_counter
from typing import NamedTuple

from scenarios.explore_bench.cases import Answer

OURS = "walletrace"
# One round of a tool repeats a short case for this long; its figure is the median of those runs.
ROUND_S = 0.1
REPEATS_MAX = 200
# A tool that does not keep its limit is ended after so much more.
PATIENCE_S = 10.0

Ask = Callable[[str, float], Answer]


def tool(name: str) -> Ask:
    """How one tool is asked: (case, limit in seconds) to an answer."""
    # Imported where they run: no tool's process holds another tool.
    if name == OURS:
        from scenarios.explore_bench.ours import ours

        return ours
    from scenarios.explore_bench import peers

    return {"frontrun": peers.frontrun, "detangle": peers.detangle}[name]


def one_round(ask: Ask, case: str, limit_s: float) -> Answer:
    """The tool's median answer within ROUND_S; one run where that takes longer."""
    answers: list[Answer] = []
    ends = perf_counter() + ROUND_S
    while not answers or (perf_counter() < ends and len(answers) < REPEATS_MAX):
        answers.append(ask(case, limit_s))
        if not answers[-1].done:
            return answers[-1]
    seconds = median(answer.seconds for answer in answers)
    return min(answers, key=lambda answer: abs(answer.seconds - seconds))


def _serve(name: str, connection: Connection) -> None:
    ask = tool(name)
    while True:
        try:
            case, limit_s, once = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            answer = ask(case, limit_s) if once else one_round(ask, case, limit_s)
        except Exception as error:
            answer = Answer(0.0, False, f"{type(error).__name__}: {error}")
        connection.send(answer)


class _Process(NamedTuple):
    process: multiprocessing.process.BaseProcess
    connection: Connection


class Worker:
    """A tool's process. It is started when first asked, and again if it had to be ended."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._running: _Process | None = None

    def ask(self, case: str, limit_s: float, *, once: bool = False) -> Answer:
        """One round of the case, or a single run of it. Never raises for what the tool does."""
        running = self._running = self._running or _started(self.name)
        running.connection.send((case, limit_s, once))
        try:
            if running.connection.poll(limit_s + ROUND_S + PATIENCE_S):
                answer: Answer = running.connection.recv()
                return answer
            said = "ignored its limit"
        except EOFError:
            said = "its process ended"
        self.close()
        return Answer(limit_s, False, said)

    def close(self) -> None:
        """End the process, if there is one."""
        if self._running is not None:
            self._running.process.kill()
            self._running.process.join()
            self._running.connection.close()
            self._running = None


def _started(name: str) -> _Process:
    # Spawned, not forked: what one tool has patched must not be there in another's process.
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(name, theirs), daemon=True, name=name)
    process.start()
    theirs.close()
    return _Process(process, mine)
