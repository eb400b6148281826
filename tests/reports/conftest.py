"""Sample findings, made by hand: the guide's race, a deadlock, stale reads, and loads."""

import random
from array import array
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from engine.money import show_cents
from engine.results import (
    Cell,
    IsolationCell,
    Load,
    LoadRun,
    Percentiles,
    ProgramsResult,
    Ratio,
    TimelineEvent,
    Witness,
)
from engine.verdicts import Break, Finding, Verdict
from reports import Found, write

LOCKS = ("none", "global", "per-user", "db-row", "per-user-unsorted")
TOPOLOGIES = ("one-service", "service-per-request", "two-processes")
SCENARIOS = ("documented-race", "double-spend", "crossing-transfers", "stale-cache")


@dataclass(frozen=True, slots=True)
class SampleClaim:
    """A claim of the guide, measured."""

    claim: str
    measure: str
    without: float
    with_it: float


def documented_race(*, instances: tuple[int, int] = (0, 0), locked: bool = False) -> Witness:
    """A reads 1000.00, B reads 1000.00, A writes 500.00, B writes 1300.00; correct is 800.00."""
    told = [
        ("A", "invoke", "asks: withdraw 500.00 from alice", 100_000),
        *([("A", "acquire", "locks user:alice", 100_000)] if locked else []),
        ("A", "read", "reads alice 1000.00", 100_000),
        ("B", "invoke", "asks: add 300.00 to alice", 100_000),
        *([("B", "acquire", "locks user:alice", 100_000)] if locked else []),
        ("B", "read", "reads alice 1000.00", 100_000),
        ("A", "write", "writes alice 500.00", 50_000),
        ("B", "write", "writes alice 1300.00", 130_000),
    ]
    last = {"A": "writes alice 500.00", "B": "writes alice 1300.00"}
    events: list[TimelineEvent] = []
    held: dict[str, tuple[str, ...]] = {"A": (), "B": ()}
    for step, (client, kind, text, balance) in enumerate(told):
        if kind == "acquire":
            held[client] = ("user:alice",)
        wrong = text == last["B"]
        events.append(
            TimelineEvent(
                step, client, instances[client == "B"], kind, "go", text, {"alice": balance},
                held[client], wrong,
            )
        )  # fmt: skip
    message = (
        "B's deposit of 300.00 had read alice at 1000.00 before A's withdrawal of 500.00 made it"
        " 500.00, and wrote 1300.00 over it: A's withdrawal of 500.00 is lost, 500.00 too much"
    )
    return Witness(
        tuple(event.client for event in events), 2, tuple(events),
        (Finding(Break.MONEY, message, 50_000),), message, {"alice": 80_000}, {"alice": 130_000},
    )  # fmt: skip


def long_witness(steps: int, clients: str = "ABC") -> Witness:
    """A schedule of many steps over two accounts, with background work and a lost answer."""
    rng = random.Random(steps)
    balances = {"alice": 100_000, "bob": 20_000}
    events = []
    for step in range(steps):
        client = clients[step % len(clients)] + ("+1" if step % 11 == 10 else "")
        kind = ("invoke", "take", "read", "write", "give", "cache_put")[step // 2 % 6]
        account = rng.choice(("alice", "bob"))
        if kind == "write":
            balances = balances | {account: balances[account] + rng.randrange(-500, 900) * 10}
        text = {
            "invoke": "asks: transfer 200.00 from alice to bob",
            "take": f"takes the lease on {account}",
            "read": f"reads {account} {show_cents(balances[account])}",
            "write": f"writes {account} {show_cents(balances[account])}",
            "give": f"gives the lease on {account} back",
            "cache_put": f"caches {account} {show_cents(balances[account])}",
        }[kind]
        how = "answer lost" if step == steps // 2 else "go"
        holds = (account,) if kind in ("take", "read", "write") else ()
        events.append(
            TimelineEvent(
                step, client, step % len(clients) % 2, kind, how, text, dict(balances), holds,
                step == steps - 3,
            )
        )  # fmt: skip
    message = "no order of the calls explains the answers and balances"
    return Witness(
        tuple(event.client for event in events), 4, tuple(events),
        (Finding(Break.MONEY, message),), message, None, balances,
    )  # fmt: skip


def deadlock() -> Witness:
    """Two opposite transfers, each holding what the other waits for."""
    start = {"alice": 100_000, "bob": 100_000}
    told = [
        ("A", "invoke", "asks: transfer 100.00 from alice to bob", ()),
        ("A", "acquire", "locks user:alice", ("user:alice",)),
        ("B", "invoke", "asks: transfer 50.00 from bob to alice", ()),
        ("B", "acquire", "locks user:bob", ("user:bob",)),
    ]
    events = tuple(
        TimelineEvent(step, client, 0, kind, "go", text, start, holds, step == 3)
        for step, (client, kind, text, holds) in enumerate(told)
    )
    message = "deadlock: A waits for user:bob, held by B; B waits for user:alice, held by A"
    return Witness(
        ("A", "A", "B", "B"), 1, events, (Finding(Break.LIVENESS, message),), message, None, start
    )


def breaks(scenario: str, lock: str, topology: str) -> Break | None:
    """What breaks in a cell of the sample matrix."""
    if scenario == "stale-cache":
        return Break.READS if topology == "two-processes" else None
    alone = topology == "one-service"
    if lock == "none" or (not alone and lock in ("global", "per-user", "per-user-unsorted")):
        return Break.MONEY
    if scenario == "crossing-transfers" and lock == "per-user-unsorted":
        return Break.LIVENESS
    return None


def sample_cell(scenario: str, lock: str, topology: str, store: str = "memory") -> Cell:
    """One cell of the sample matrix, as expected."""
    kind = breaks(scenario, lock, topology)
    verdict = Verdict.BROKEN if kind else Verdict.SAFE
    witness = None
    if kind is Break.LIVENESS:
        witness = deadlock()
    elif kind is Break.READS:
        witness = long_witness(14, "AB")
    elif kind is Break.MONEY and scenario == "crossing-transfers":
        witness = long_witness(26)
    elif kind:
        one = topology == "one-service"
        witness = documented_race(instances=(0, 0 if one else 1), locked=lock != "none")
    return Cell(
        scenario, lock, store, topology, "", verdict, verdict, (kind,) if kind else (), 20,
        12 if kind else 0, {"alice=1300.00: money": 12, "alice=800.00": 8}, witness, 0.01,
        "all 20 interleavings",
    )  # fmt: skip


def sample_run(lock: str, round_: int, *, work_ms: float, driver: str, accounts: str) -> LoadRun:
    """One round of load with samples; `none` loses money on it."""
    rng = random.Random(f"{lock}{round_}{work_ms}{driver}{accounts}")
    slow = {"none": 0.1, "per-user": 0.6, "global": 3.0, "db-row": 1.5}[lock] + work_ms
    waits = array("q", (int(rng.expovariate(1) * slow * 1e6) for _ in range(400)))
    lost = rng.randrange(10_000, 90_000) if lock == "none" and accounts == "hot" else 0
    wait = Percentiles(slow * 0.7, slow * 2.3, slow * 4.6, slow * 6.9, slow * 8)
    return LoadRun(
        driver, Load(lock, 16, accounts, "mixed", work_ms), round_, 2.0, int(4000 / slow),
        {"insufficient_funds": 3}, {}, (2000 + rng.randrange(200)) / slow, wait, wait,
        Percentiles(0.2, 0.5, 1.1, 2.0, 3.0), wait, 1.2, 2.0, 0,
        Verdict.BROKEN if lost else Verdict.CLEAN,
        (Finding(Break.MONEY, "alice: the log leaves a gap", -lost),) if lost else (), lost,
        {} if driver == "locust" else {"lock_wait": waits, "store_wait": waits},
    )  # fmt: skip


def store_runs() -> tuple[LoadRun, ...]:
    """Three strategies on two databases, from one client to many and from one account to many."""
    return tuple(
        replace(run, load=Load(lock, clients, accounts, "add=1", store=store), errors=errors)
        for clients, accounts in ((1, "hot"), (32, "hot"), (32, "uniform:100"))
        for store in ("postgres", "sqlite")
        for lock in ("none", "per-user", "db-row")
        for run in [sample_run(lock, 0, work_ms=0.0, driver="store", accounts=accounts)]
        for errors in [{"conflict": 5_000} if lock == "db-row" else {}]
    )


def isolation_cells() -> tuple[IsolationCell, ...]:
    """One anomaly that happens at one level, and one that the other database has no word for."""
    return (
        IsolationCell("postgres", "read-committed", "P4", "lost update", "—", 2, 6, True),
        IsolationCell("postgres", "read-committed", "G0", "dirty write", "✓", 0, 6, True),
        IsolationCell("sqlite", "immediate", "P4", "lost update", "✓", 0, 6, False),
    )


def sample_found() -> Found:
    """A whole report's findings, all as expected."""
    runs = [
        sample_run(lock, round_, work_ms=work_ms, driver=driver, accounts=accounts)
        for driver, accounts, work_ms in (
            ("asyncio", "hot", 0.0),
            ("asyncio", "uniform:10", 0.0),
            ("asyncio", "uniform:1000", 0.0),
            ("asyncio", "uniform:1000", 2.0),
            ("locust", "hot", 0.0),
        )
        for round_ in range(3 if driver == "asyncio" else 1)
        for lock in LOCKS[:4]
    ]
    return Found(
        tuple(
            sample_cell(scenario, lock, topology, store)
            for topology in TOPOLOGIES
            for lock in LOCKS
            for scenario in SCENARIOS
            for store in ("memory", "sqlite")
        ),
        tuple(runs),
        (
            Ratio("throughput", "per-user", "global", 2.0, 4.9, 4.2, 5.5, 6),
            Ratio("throughput", "per-user", "global", 0.0, 1.02, 0.94, 1.1, 6),
            Ratio("throughput", "none", "global", 0.0, 1.5, 1.3, 1.7, 6),
        ),
        (
            ProgramsResult("per-user", "sqlite", 200, Verdict.CLEAN, Verdict.CLEAN, "", 4.0),
            ProgramsResult(
                "none",
                "memory",
                7,
                Verdict.BROKEN,
                Verdict.BROKEN,
                "withdraw 1.00 beside add 1.00",
                0.4,
            ),
        ),
        (SampleClaim("batches of 4, not one by one", "locks per operation", 1.2, 0.3),),
        {"python": "3.11.2", "cores": "2"},
        ("No power failures.",),
        ("per-user-unsorted",),
        store_runs(),
        isolation_cells(),
    )


@pytest.fixture(scope="session")
def found() -> Found:
    return sample_found()


@pytest.fixture(scope="session")
def surprised(found: Found) -> Found:
    """The same with one wrong cell: per-user, safe by declaration, loses money."""
    wrong = replace(
        sample_cell("double-spend", "none", "one-service"), lock="per-user", expected=Verdict.SAFE
    )
    kept = [
        cell
        for cell in found.cells
        if (cell.scenario, cell.lock, cell.topology) != ("double-spend", "per-user", "one-service")
    ]
    return replace(found, cells=(*kept, wrong))


@pytest.fixture(scope="session")
def small(found: Found) -> Found:
    """Fewer of everything, for what is slow to draw."""
    return replace(
        found,
        cells=tuple(c for c in found.cells if c.lock in ("none", "per-user-unsorted", "db-row")),
        load_runs=tuple(
            run
            for run in found.load_runs
            if run.load.accounts in ("hot", "uniform:10") and run.round == 0
        ),
    )


@pytest.fixture(scope="session")
def folder(small: Found, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole report, written once."""
    out = tmp_path_factory.mktemp("report")
    write(
        out,
        cells=small.cells,
        load_runs=small.load_runs,
        ratios=small.ratios,
        programs=small.programs,
        claims=small.claims,
        machine=small.machine,
        notes=small.notes,
        controls=small.controls,
        store_runs=small.store_runs,
        isolation=small.isolation,
    )
    return out
