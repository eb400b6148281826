"""Every interleaving of one script on a live database, run from the start each time.

A schedule is the sequence of sessions that were let go. A session may be let go unless it waits in
the database or has ended. Schedules are enumerated depth first, earlier sessions first; each run
shows which other sessions could have gone at each point.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from engine.isolation.levels import IsolationLevel
from engine.isolation.live import Live
from engine.isolation.scripts import Answer, Ended, Parameters, Script, Session

RUNS_MAX = 5_000


class Undecided(Exception):
    """The interleavings could not all be run; says why."""


@dataclass(frozen=True, slots=True)
class Event:
    """A session was answered or, where `answer` is None, began to wait. `sql`: with its values."""

    session: str
    short: str
    sql: str
    answer: Answer | None


class _Choice(NamedTuple):
    enabled: tuple[int, ...]
    chosen: int


@dataclass(frozen=True, slots=True)
class Run:
    """One interleaving: what could go and went at each point, and what came of it."""

    choices: tuple[_Choice, ...]
    events: tuple[Event, ...]
    ended: Ended
    outcome: str

    @property
    def schedule(self) -> tuple[int, ...]:
        """The sessions by number, in the order in which they were let go."""
        return tuple(choice.chosen for choice in self.choices)

    @property
    def preemptions(self) -> int:
        """How often a session was left that could have gone on."""
        return sum(
            after.chosen != before.chosen and before.chosen in after.enabled
            for before, after in pairwise(self.choices)
        )


@dataclass(frozen=True, slots=True)
class Explored:
    """All interleavings of a script: how they ended, and the simplest that shows the anomaly.

    `refusals`: SQLSTATE or SQLite's name of each error with which a transaction was undone.
    """

    script: Script
    runs: int
    showing: int
    waited: bool
    refusals: frozenset[str]
    outcomes: Mapping[str, int]
    witness: Run | None


class _Request(NamedTuple):
    """The statement that a session sends next."""

    short: str
    sql: str
    parameters: Parameters = ()
    outside: bool = False

    def event(self, session: Session, answer: Answer | None) -> Event:
        sql = self.sql
        for number, value in enumerate(self.parameters, start=1):
            sql = sql.replace(f"${number}", str(value))
        return Event(session.name, self.short, sql, answer)


@dataclass(slots=True)
class _Lane:
    """A session on its way: what it was answered, and what it does next."""

    session: Session
    transactional: bool
    answers: list[Answer] = field(default_factory=list)
    position: int = 0
    waiting: bool = False
    fate: str = ""
    asked: _Request = field(init=False)

    @property
    def ready(self) -> bool:
        return not (self.waiting or self.fate)

    def prepare(self) -> None:
        """Find the next statement to send; one without parameters is left out."""
        for statement in self.session.statements[self.position :]:
            parameters = statement.parameters(self.answers)
            if parameters is not None:
                self.asked = _Request(statement.short, statement.sql, parameters, statement.outside)
                return
            self.position += 1
        ending = self.session.ending
        self.asked = _Request("c" if ending == "COMMIT" else "a", ending)
        if not self.transactional:
            self.fate = "committed"

    def take(self, answer: Answer) -> Event:
        event = self.asked.event(self.session, answer)
        self.waiting = False
        if answer.error:
            self.fate = answer.error
        elif self.asked.sql == self.session.ending:
            self.fate = "committed" if self.session.ending == "COMMIT" else "rolled back"
        else:
            self.answers.append(answer)
            self.position += 1
            self.prepare()
        return event

    def wait(self) -> Event:
        self.waiting = True
        return self.asked.event(self.session, None)


async def explore(live: Live, script: Script, level: IsolationLevel) -> Explored:
    """Run every interleaving of `script` at `level`, and the witness once more. Undecided."""
    outcomes: Counter[str] = Counter()
    refusals: set[str] = set()
    waited = False
    showing: list[Run] = []
    prefix: tuple[int, ...] | None = ()
    while prefix is not None:
        if outcomes.total() == RUNS_MAX:
            raise Undecided(f"{script.name} has more than {RUNS_MAX:,} interleavings")
        run = await perform(live, script, level, prefix)
        outcomes[run.outcome] += 1
        refusals |= {event.answer.error for event in run.events if event.answer} - {""}
        waited |= any(event.answer is None for event in run.events)
        if script.shows(run.ended):
            showing.append(run)
        prefix = _following(run.choices)
        await asyncio.sleep(0)  # SQLite never suspends, and Ctrl-C has to come through
    witness = min(showing, key=lambda run: (run.preemptions, len(run.events)), default=None)
    if witness is not None:
        again = await perform(live, script, level, witness.schedule)
        if again.events != witness.events:
            raise Undecided(f"{script.name}: the same schedule ended in another way")
    return Explored(
        script, outcomes.total(), len(showing), waited, frozenset(refusals), outcomes, witness
    )


async def perform(
    live: Live, script: Script, level: IsolationLevel, schedule: Sequence[int]
) -> Run:
    """One interleaving: `schedule`, and after that whoever comes first. Undecided."""
    await live.reset(level, script.opening)
    lanes = [_Lane(session, level.begin is not None) for session in script.sessions]
    for lane in lanes:
        lane.prepare()
    choices: list[_Choice] = []
    events: list[Event] = []
    while enabled := tuple(number for number, lane in enumerate(lanes) if lane.ready):
        planned = schedule[len(choices)] if len(choices) < len(schedule) else enabled[0]
        if planned not in enabled:
            raise Undecided(f"{script.name}: step {len(choices) + 1} of a schedule cannot be made")
        choices.append(_Choice(enabled, planned))
        asked = lanes[planned].asked
        answers = await live.go(planned, asked.sql, asked.parameters, outside=asked.outside)
        if planned not in answers:
            events.append(lanes[planned].wait())
        events += [lanes[number].take(answer) for number, answer in answers.items()]
    if len(choices) < len(schedule):
        raise Undecided(f"{script.name}: a schedule has {len(schedule)} steps, {len(choices)} made")
    if any(lane.waiting for lane in lanes):
        raise Undecided(f"{script.name}: everybody waits, and the database does not end it")
    ended = Ended(
        {lane.session.name: tuple(lane.answers) for lane in lanes},
        frozenset(lane.session.name for lane in lanes if lane.fate == "committed"),
        await live.final(),
    )
    fates = ", ".join(f"{lane.session.name} {lane.fate}" for lane in lanes)
    values = ", ".join(f"{key}={value}" for key, value in sorted(ended.final.items()))
    return Run(tuple(choices), tuple(events), ended, f"{values}: {fates}")


def _following(choices: Sequence[_Choice]) -> tuple[int, ...] | None:
    """The next schedule depth first, up to where it differs; None after the last one."""
    for depth in range(len(choices) - 1, -1, -1):
        enabled, chosen = choices[depth]
        if later := [number for number in enabled if number > chosen]:
            return (*(choice.chosen for choice in choices[:depth]), later[0])
    return None
