"""One run from its first event to its verdict, in whatever part this process plays.

A process on its own opens the wallets, keeps the tally and judges. With several, the master opens
and judges, and each worker sends its tally when its last user has stopped. The tallies travel as
messages of their own: Locust's periodic reports end half a second after the master says quit,
which is too early for calls that are still waiting for a lock.
"""

import json
import logging
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from locust import events
from locust.env import Environment
from locust.runners import STATE_MISSING, STATE_STOPPED, MasterRunner, WorkerRunner

from engine.errors import WalletraceError
from engine.verdicts import EXIT_DECIDED_OTHERWISE, EXIT_UNDECIDED
from locustfiles.journal import Journal, write_books
from locustfiles.judgement import Holdings, as_document, in_words, judge
from locustfiles.options import Plan, add_options, enough_for, new_run_id, plan_of
from locustfiles.requests import Luck
from locustfiles.service import Service
from locustfiles.tally import Tally

TALLY, FINISH = "walletrace-tally", "walletrace-finish"
# Longer than a user waits for an answer, so that no call is cut off whose answer still comes.
ANSWER_S_MAX = 10.0
STOP_S_MAX = 15.0
TALLY_S_MAX = 30.0
HOST = "http://127.0.0.1:8000"

log = logging.getLogger("walletrace.load")


class Run:
    """The state of the current run in this process; `plan` is None where none could start."""

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.tally = Tally()
        self.journal = Journal()
        self._started_s = 0.0
        self._judged = True
        self._doubts: tuple[str, ...] = ()
        self._awaited: set[str] = set()  # workers whose tally has not come yet
        self._users = 0
        self._audited = True

    def join(self, environment: Environment) -> tuple[str, Luck]:
        """The next user's name and own luck; no two users of a run share them, in any process."""
        assert self.plan is not None, "users start after the test has started"
        self._users += 1
        process = _process(environment)
        rng = random.Random(f"{self.plan.seed}/{process}/{self._users}")
        luck = Luck(rng, self.plan.accounts, self.plan.amount_cents_max)
        return f"user {process}-{self._users}", luck

    def init(self, environment: Environment, **_: Any) -> None:
        """Undecided until judged, so that a crash is never taken for a clean run."""
        environment.stop_timeout = environment.stop_timeout or STOP_S_MAX
        _choose_default_users(environment)
        runner = environment.runner
        if isinstance(runner, WorkerRunner):
            runner.register_message(FINISH, self._finish)
            return
        environment.process_exit_code = EXIT_UNDECIDED
        if isinstance(runner, MasterRunner):
            runner.register_message(TALLY, self._receive)
            _listen(environment.events.worker_connect, self._connected)
        options = environment.parsed_options
        if options and (options.headless or options.autostart):
            # Before Locust's clock starts: many wallets take longer to open than a run may last.
            self._prepare(environment)

    def test_start(self, environment: Environment, **_: Any) -> None:
        """A worker learns the wallets' names from the master's options."""
        if isinstance(environment.runner, WorkerRunner):
            self._begin(environment)
        elif self._judged:
            self._prepare(environment)
        if isinstance(environment.runner, MasterRunner):
            self._awaited = _present(environment.runner)
        self._started_s = time.monotonic()
        if self._doubts:
            _give_up(environment)

    def _begin(self, environment: Environment) -> None:
        options: Any = environment.parsed_options
        self.plan, self._judged, self._doubts, self._users = None, False, (), 0
        self.tally = Tally(options.run_id)
        self.plan = plan_of(options, options.run_id)
        # A master has no users: it would only take the file of its first worker.
        folder = "" if isinstance(environment.runner, MasterRunner) else options.record
        self.journal = Journal(folder, f"{options.run_id}-{_process(environment)}")

    def _prepare(self, environment: Environment) -> None:
        """Open the wallets of a new run; what goes wrong becomes a doubt."""
        options: Any = environment.parsed_options
        options.run_id = new_run_id()  # travels to the workers with the options
        try:
            self._begin(environment)
            assert self.plan is not None
            enough_for(environment.user_classes, self.plan)
            with Service(environment.host or HOST) as service:
                self._audited = not service.audit()
                service.open_wallets(self.plan.accounts, self.plan.opening_cents)
            if not self._audited:
                log.warning("the audit finds older breaks: this run is judged by balances only")
        except WalletraceError as error:
            self._doubts = (f"the run could not start: {error}",)
            log.error(self._doubts[0])

    def test_stopping(self, environment: Environment, **_: Any) -> None:
        self.tally.seconds = time.monotonic() - self._started_s

    def test_stop(self, environment: Environment, **_: Any) -> None:
        """All users of this process have stopped: hand over the tally, or judge."""
        self.journal.close()
        if isinstance(environment.runner, WorkerRunner):
            environment.runner.send_message(TALLY, self.tally.as_message())
            return
        if isinstance(environment.runner, MasterRunner):
            self._await_tallies(environment.runner)
        self._judge(environment)

    def quitting(self, environment: Environment, **_: Any) -> None:
        """Ctrl-C comes here first: let the users finish their calls before anything is judged."""
        runner = environment.runner
        if runner is not None and not self._judged and runner.state != STATE_STOPPED:
            if isinstance(runner, MasterRunner):
                runner.stop(send_stop_to_client=False)
            else:
                runner.stop()
        if not isinstance(runner, WorkerRunner):
            self._judge(environment)

    def _finish(self, environment: Environment, **_: Any) -> None:
        assert environment.runner is not None
        environment.runner.stop()

    def _receive(self, msg: Any, **_: Any) -> None:
        self._awaited.discard(msg.node_id)
        if msg.data["run_id"] == self.tally.run_id:
            self.tally.merge(msg.data)

    def _connected(self, client_id: str, **_: Any) -> None:
        self._awaited.add(client_id)

    def _await_tallies(self, runner: MasterRunner) -> None:
        """Wait for the workers that are still there; the others' sums are lost."""
        runner.send_message(FINISH)
        deadline_s = time.monotonic() + TALLY_S_MAX
        while self._awaited & _present(runner) and time.monotonic() < deadline_s:
            time.sleep(0.05)  # gevent has patched it: messages come in meanwhile
        if self._awaited:
            self._doubts += (f"the sums of {len(self._awaited)} load processes are missing",)

    def _judge(self, environment: Environment) -> None:
        if self._judged:
            return
        self._judged = True
        options = environment.parsed_options
        assert options is not None
        holdings = None if self._doubts else self._holdings(environment)
        judgement = judge(
            self.plan.opening_cents if self.plan else 0,
            self.tally,
            holdings,
            service_workers=options.service_workers,
            doubts=self._doubts,
        )
        print(in_words(judgement, self.tally), flush=True)
        if environment.process_exit_code != EXIT_DECIDED_OTHERWISE:  # by an earlier run on the page
            environment.process_exit_code = judgement.exit_status
        if options.result:
            document = as_document(judgement, self.tally)
            Path(options.result).write_text(json.dumps(document, indent=2), encoding="utf-8")

    def _write_books(self, environment: Environment, service: Service) -> None:
        """The final phase of the recording; without it, nobody can call it complete."""
        options: Any = environment.parsed_options
        if options.record and self.plan is not None:
            books = service.books(self.plan.accounts, settled=not self.tally.unanswered)
            if books is None:
                log.warning("calls that were never answered still change the wallets")
            else:
                write_books(options.record, *books)

    def _holdings(self, environment: Environment) -> Holdings | None:
        assert self.plan is not None, "what did not start has doubts"
        try:
            with Service(environment.host or HOST) as service:
                self._write_books(environment, service)
                return service.holdings(self.plan.accounts, audited=self._audited)
        except WalletraceError as error:
            self._doubts += (str(error),)
            return None


def _process(environment: Environment) -> int:
    return getattr(environment.runner, "worker_index", 0)


def _give_up(environment: Environment) -> None:
    """End the run before a user starts. Locust would swallow any other exception here."""
    runner, options = environment.runner, environment.parsed_options
    assert runner is not None
    headless = options and options.headless
    gevent.spawn(runner.quit if headless else runner.stop)  # type: ignore[no-untyped-call]
    raise gevent.GreenletExit


def _choose_default_users(environment: Environment) -> None:
    options = environment.parsed_options
    if options is None or not (options.user_classes or options.class_picker):
        default = [user for user in environment.user_classes if getattr(user, "by_default", True)]
        environment.user_classes = default or environment.user_classes


def _present(runner: MasterRunner) -> set[str]:
    return {worker.id for worker in runner.clients.all if worker.state != STATE_MISSING}


def _listen(hook: Any, listener: Callable[..., None]) -> None:
    hook.add_listener(listener)


RUN = Run()
for _hook, _listener in (
    (events.init_command_line_parser, add_options),
    (events.init, RUN.init),
    (events.test_start, RUN.test_start),
    (events.test_stopping, RUN.test_stopping),
    (events.test_stop, RUN.test_stop),
    (events.quitting, RUN.quitting),
):
    _listen(_hook, _listener)
