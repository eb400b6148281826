"""What drivers hand to reports: explored cells with their witnesses, and load runs with samples.

Plain data, standard library only. Money in cents, times in the unit their name ends with.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.verdicts import Break, Finding, Verdict

# The kinds of steps that change balances.
WRITES = ("write", "guarded", "group")


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One step of one client in a schedule that was run.

    `client` is the lane ("A", "B", …; background work of A is "A+1"), `instance` the service
    instance it went through. `kind` is a step's kind ("invoke", "acquire", "release", "read",
    "write", "take", "give", "cache_get", "cache_put", …), `how` is "go" or what struck instead
    ("cancelled", "answer lost", "crashed", "busy", …). `text` says it to people ("reads alice:
    1000.00"). `balances` are the database's after the step, `holds` the locks this client holds
    after it. `wrong` marks the step at which the money (or what else broke) was lost.

    `request` is what the client had asked for ("withdraw 500.00 from alice"). `saw` are the
    balances a read was answered with, or those a write was computed from. `leases` are those of
    `holds` that stand in the database; the others are mutexes. `waits` says of every client that
    cannot go on after the step which lock it waits for.
    """

    step: int
    client: str
    instance: int
    kind: str
    how: str
    text: str
    balances: Mapping[str, int]
    holds: tuple[str, ...] = ()
    wrong: bool = False
    request: str = ""
    saw: Mapping[str, int] = field(default_factory=dict)
    leases: tuple[str, ...] = ()
    waits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Witness:
    """A schedule that breaks something. `schedule` replays it, `explanation` says it in words.

    `outcome` is the key under which the cell's `outcomes` count it. `preemptions` are those of the
    order in which it is told.
    """

    schedule: tuple[str, ...]
    preemptions: int
    events: tuple[TimelineEvent, ...]
    findings: tuple[Finding, ...]
    explanation: str
    correct: Mapping[str, int] | None
    final: Mapping[str, int]
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the verdict matrix: a scenario under one lock strategy, topology and store.

    `outcomes` maps an outcome in words ("alice=1300.00, money") to the number of interleavings
    that end so. `kinds` is what broke in any of them. `method` says how it was explored ("state by
    state", "schedule by schedule"), `states` how many states the graph has (0 without one), and
    `backoffs_max` how often one client had to try again in the worst interleaving.
    `preemptions_fewest` is what a losing schedule needs at least, where that is proven. `wallet`
    names a wallet of the user's own; if that takes no lock strategy, `lock` is its name too.
    `memory_mb` is what the process held when the cell was explored.
    """

    scenario: str
    lock: str
    store: str
    topology: str
    faults: str
    expected: Verdict | None
    verdict: Verdict
    kinds: tuple[Break, ...]
    interleavings: int
    losing: int
    outcomes: Mapping[str, int]
    witness: Witness | None
    seconds: float
    note: str = ""
    method: str = ""
    states: int = 0
    backoffs_max: int = 0
    preemptions_fewest: int | None = None
    wallet: str = ""
    memory_mb: float = 0.0

    @property
    def as_expected(self) -> bool:
        return self.expected is None or self.verdict == self.expected


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of one kind of duration, in milliseconds; all zero where nothing was measured."""

    p50_ms: float = 0.0
    p90_ms: float = 0.0
    p99_ms: float = 0.0
    p999_ms: float = 0.0
    max_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Load:
    """What was asked of a load run. `accounts`: "hot", "uniform:1000" or "zipf:1000".

    `store` is "sqlite" or "postgres". `synchronous` in SQLite's words; on PostgreSQL OFF stands for
    synchronous_commit=off and the others for on.
    """

    lock: str
    clients: int
    accounts: str
    mix: str
    work_ms: float = 0.0
    cache: bool = False
    workers: int = 1
    synchronous: str = "NORMAL"
    store: str = "sqlite"


@dataclass(frozen=True, slots=True)
class LoadRun:
    """One round of load and its judgement.

    `driver` is "asyncio" or "locust". `seconds` is the measured time, warm-up left out; `completed`
    counts calls that were answered ok or refused. `lock_wait` is the strategy's own waiting,
    `store_wait` the database's (queue for its connection, busy lock). `lost_cents` is what the
    wallets hold less (positive) or more (negative) than the acknowledged operations say.
    `samples` holds one column per reading, in ns: invoked, completed, lock_wait, store_wait, hold
    (empty where the driver keeps none).
    """

    driver: str
    load: Load
    round: int
    seconds: float
    completed: int
    refused: Mapping[str, int]
    errors: Mapping[str, int]
    throughput_per_s: float
    latency: Percentiles
    lock_wait: Percentiles
    store_wait: Percentiles
    hold: Percentiles
    locks_per_operation: float
    store_accesses_per_operation: float
    retries: int
    verdict: Verdict
    findings: tuple[Finding, ...]
    lost_cents: int
    samples: Mapping[str, "array[int]"] = field(default_factory=dict)
    note: str = ""


# The range of n rounds holds the median with a chance of 1 - 2**(1 - n): 97 % for six.
ROUNDS_FOR_INTERVAL = 6


@dataclass(frozen=True, slots=True)
class Ratio:
    """How `lock` compares with `baseline` under one load: the median of paired rounds.

    `low` to `high` is a 95 % interval of the median from ROUNDS_FOR_INTERVAL rounds on; fewer
    rounds allow no such interval, and it is their range.
    """

    measure: str
    lock: str
    baseline: str
    work_ms: float
    ratio: float
    low: float
    high: float
    rounds: int
    accounts: str = ""


@dataclass(frozen=True, slots=True)
class IsolationCell:
    """Whether one anomaly can happen at one isolation level of a live database.

    `found` is "✓" (in no interleaving), "—" (in `showing` of `runs`), "?" (undecided).
    """

    store: str
    level: str
    anomaly: str
    title: str
    found: str
    showing: int
    runs: int
    as_expected: bool


@dataclass(frozen=True, slots=True)
class ProgramsResult:
    """What Hypothesis found with random programs under one lock strategy and store."""

    lock: str
    store: str
    examples: int
    verdict: Verdict
    expected: Verdict
    smallest: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ViewedCalls:
    """Calls as columns, in order of invocation. None is what was not recorded.

    Per call: `operation`, `client` and `code` (places in the view's names), `kind` and `ended`
    (numbers of `recording`), `invoked_ns`, `completed_ns` (None: never answered). Call i has the
    entries `first[i]` to `first[i + 1]`: `account` (a place), the `amount` asked for (signed),
    `before`, `after` in the smallest unit of the money, `version`.
    """

    operation: Sequence[str]
    client: Sequence[int]
    kind: Sequence[int]
    ended: Sequence[int]
    code: Sequence[int]
    invoked_ns: Sequence[int]
    completed_ns: Sequence[int | None]
    first: Sequence[int]
    account: Sequence[int]
    amount: Sequence[int | None]
    before: Sequence[int | None]
    after: Sequence[int | None]
    version: Sequence[int | None]


@dataclass(frozen=True, slots=True)
class ViewedViolation:
    """What is wrong: `checks.verdict.Violation`, its calls as places among those shown.

    `links` are steps of a cycle: (earlier, later, why). `at_ns`: its last call was answered; from
    there on no order explains what was seen.
    """

    kind: Break
    anomaly: str
    message: str
    calls: tuple[int, ...]
    account: int
    amount: int
    links: tuple[tuple[int, int, str], ...]
    at_ns: int


@dataclass(frozen=True, slots=True)
class HistoryView:
    """A judged history for people: all of it, or a window around what is wrong.

    Times are ns from the first call of their clock, or the places of calls in their order, times
    `step_ns` (0 where times are known). `calls_total`, `count`, `until_ns` and `money` are of the
    whole history; up to `consistent_ns` nothing in it is wrong (None: all of it). `money`: account
    ("" is the total, first; then the worst), moments, money made (or lost: negative) until then.
    """

    title: str
    verdict: Verdict
    layer: str
    level: str
    count: int
    passed: tuple[str, ...]
    notes: tuple[str, ...]
    lost: int | None
    decimals: int
    step_ns: int
    calls_total: int
    until_ns: int
    consistent_ns: int | None
    clients: tuple[str, ...]
    accounts: tuple[str, ...]
    codes: tuple[str, ...]
    calls: ViewedCalls
    violations: tuple[ViewedViolation, ...]
    money: tuple[tuple[str, Sequence[int], Sequence[int]], ...]
