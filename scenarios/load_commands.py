"""`walletrace bench`, `serve` and `load`: everything that puts load on a wallet.

What takes long to import is imported by the command that needs it.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.catalog import lock_strategy, strategies_on
from engine.load.machine import Machine, machine
from engine.results import Load, LoadRun, Ratio
from engine.service.settings import Settings
from engine.stores.opening import STORES, Synchronous, database_words, dialect_of
from engine.verdicts import EXIT_DECIDED_OTHERWISE, EXIT_OK, EXIT_UNDECIDED, Verdict, exit_status
from reports.terminal_load import print_load
from scenarios.console import out, print_json, progress
from scenarios.options import Json, PostgresData

Locks = Annotated[
    list[str] | None,
    typer.Option("--lock", help="A name from `list` or your own module:Class (repeatable)."),
]
Lock = Annotated[str, typer.Option(help="A name from `list` or your own module:Class.")]
Sync = Annotated[
    Synchronous,
    typer.Option(help="SQLite's setting; on PostgreSQL, OFF means synchronous_commit=off."),
]
Store = Annotated[str, typer.Option(help=f"{STORES}. Emptied: it may hold no wallets.")]
Seed = Annotated[int, typer.Option(help="Decides accounts, amounts and order of operations.")]
Mix = Annotated[str, typer.Option(help="Weights of withdraw, add, transfer, batch and balance.")]
WorkMs = Annotated[
    list[float] | None, typer.Option(help="Declared delay inside the locked section (repeatable).")
]
Record = Annotated[
    Path | None,
    typer.Option(help="Keep the history for `check`: a Parquet file, or of several runs a folder."),
]
Boundaries = Annotated[
    bool, typer.Option(help="Record and judge the steps of locks and transactions too.")
]
Expect = Annotated[Verdict | None, typer.Option(help="Exit 0 if this is the verdict.")]


def bench(
    lock: Locks = None,
    clients: Annotated[int, typer.Option(min=1, help="Clients in a closed loop.")] = 16,
    accounts: Annotated[str, typer.Option(help="hot, uniform:N or zipf:N.")] = "hot",
    mix: Mix = "withdraw=1,add=1",
    work_ms: WorkMs = None,
    rounds_: Annotated[int, typer.Option("--rounds", min=1, help="Strategies take turns.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.05, help="Measured time of one run.")] = 1.0,
    warmup_s: Annotated[float, typer.Option(min=0.0, help="Discarded before each run.")] = 0.2,
    cache: Annotated[bool, typer.Option(help="Put the cache in front of balances.")] = False,
    synchronous: Sync = "NORMAL",
    store: Store = "sqlite",
    postgres_data: PostgresData = None,
    seed: Seed = 0,
    pin: Annotated[bool, typer.Option(help="Keep each run on one core.")] = True,
    record: Record = None,
    boundaries: Boundaries = False,
    expect: Expect = None,
    as_json: Json = False,
) -> None:
    """Measure lock strategies in this process: throughput, lock wait, and money lost.

    Strategies alternate in rounds. Exit status: 0 if every strategy kept the money, or if all
    verdicts are what --expect names; 1 if not; 3 if a run could not be judged. Without --lock,
    `none` runs along as the control and is not counted.
    """
    from engine.load import rounds

    dialect, database = dialect_of(store), database_words(store)
    base = Load("", clients, accounts, mix, cache=cache, synchronous=synchronous, store=dialect)
    names = lock or list(strategies_on(dialect))
    for name in names:
        lock_strategy(name, dialect)
    loads = rounds.loads(names, base, work_ms=work_ms or [0.0, 2.0])
    interrupted = False
    with progress("measuring") as advance:
        try:
            runs = rounds.compare(
                loads,
                rounds=rounds_,
                seconds=seconds,
                warmup_s=warmup_s,
                seed=seed,
                pin=pin,
                stores={dialect: store},
                postgres_data=postgres_data,
                record=record,
                boundaries=boundaries,
                on_progress=lambda run, done, of: advance(done, of, run.load.lock),
            )
        except rounds.Interrupted as cut:
            interrupted, runs = True, list(cut.runs)
    if not runs:
        raise KeyboardInterrupt
    ran_on = machine(database=database, synchronous=synchronous, pin=pin)
    _print_bench(runs, names, ran_on, seed=seed, as_json=as_json)
    if interrupted:
        raise KeyboardInterrupt  # the table is of what was measured till then
    raise typer.Exit(_bench_status(runs, expect, control=lock is None))


def _print_bench(
    runs: Sequence[LoadRun], names: Sequence[str], ran_on: Machine, *, seed: int, as_json: bool
) -> None:
    from engine.load.stats import ratios

    compared = ratios(runs, baseline=_baseline(names), seed=seed) if len(names) > 1 else []
    if as_json:
        print_json({"machine": asdict(ran_on), **loads_json(runs, compared)})
    else:
        print_load(out, runs, compared)


def _baseline(names: Sequence[str]) -> str:
    return "global" if "global" in names else names[0]


def _bench_status(runs: Sequence[LoadRun], expect: Verdict | None, *, control: bool) -> int:
    """`control`: nobody asked for `none`, which runs along to show what is lost without a lock."""
    if expect is not None:
        statuses = [exit_status(run.verdict, expected=expect) for run in runs]
    else:
        judged = [run for run in runs if not (control and run.load.lock == "none")]
        statuses = [exit_status(run.verdict) for run in judged]
    for status in (EXIT_DECIDED_OTHERWISE, EXIT_UNDECIDED):
        if status in statuses:
            return status
    return EXIT_OK


def loads_json(runs: Sequence[LoadRun], compared: Sequence[Ratio]) -> dict[str, Any]:
    """Load runs without their raw samples, and the ratios between strategies."""
    return {
        "runs": [_plain(run) for run in runs],
        "ratios": [asdict(ratio) for ratio in compared],
    }


def _plain(run: LoadRun) -> dict[str, Any]:
    names = [name for name in LoadRun.__dataclass_fields__ if name != "samples"]
    found = {name: getattr(run, name) for name in names}
    for name, value in found.items():
        if hasattr(value, "__dataclass_fields__"):
            found[name] = asdict(value)
    found["findings"] = [asdict(finding) for finding in run.findings]
    return found


def serve(
    database: Annotated[
        str, typer.Option("--store", "--database", help=f"{STORES}; the first two are temporary.")
    ] = "walletrace.db",
    postgres_data: PostgresData = None,
    lock: Lock = "per-user",
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    cache: Annotated[
        bool | None,
        typer.Option(help="Cache balances (default: only with one worker, or they go stale)."),
    ] = None,
    work_ms: Annotated[float, typer.Option(min=0.0, help="Delay inside the locked section.")] = 0.0,
    idle_s: Annotated[float, typer.Option(min=0.0, help="When an unused lock is idle.")] = 60.0,
    sweep_s: Annotated[float, typer.Option(min=0.1, help="How often idle locks go.")] = 10.0,
    synchronous: Sync = "NORMAL",
    log: Annotated[bool, typer.Option(help="One JSON line for each operation on stderr.")] = False,
) -> None:
    """Serve the wallet over HTTP until Ctrl-C. Its description is at /openapi.json."""
    from engine.service.serve import run

    settings = Settings(
        database=database,
        postgres_data=None if postgres_data is None else str(postgres_data),
        lock=lock,
        host=host,
        port=port,
        workers=workers,
        cache=cache,
        work_ms=work_ms,
        idle_s=idle_s,
        sweep_s=sweep_s,
        synchronous=synchronous,
        operation_lines=log,
    )
    raise typer.Exit(run(settings))


def load(
    lock: Lock = "per-user",
    workers: Annotated[int, typer.Option(min=1, help="Worker processes of the service.")] = 1,
    users: Annotated[int, typer.Option(min=1, help="Locust users.")] = 50,
    run_time: Annotated[str, typer.Option(help="How long, like 10s or 2m.")] = "10s",
    accounts: Annotated[int, typer.Option(min=1, help="1 is one hot account.")] = 1,
    work_ms: Annotated[float, typer.Option(min=0.0, help="Delay inside the locked section.")] = 0.0,
    locustfile: Annotated[
        str, typer.Option(help="wallet, steady, ramp, spike, or a file of your own.")
    ] = "wallet",
    processes: Annotated[int, typer.Option(min=1, help="Locust processes.")] = 1,
    synchronous: Sync = "NORMAL",
    store: Store = "sqlite",
    postgres_data: PostgresData = None,
    seed: Seed = 0,
    record: Annotated[
        Path | None, typer.Option(help="Keep the history for `check`: a Parquet file.")
    ] = None,
    expect: Expect = None,
    as_json: Json = False,
) -> None:
    """Start a service and Locust beside it, and judge by the money.

    Exit status: 0 clean (or what --expect names), 1 broken, 3 if it cannot be told.
    """
    from engine.load.over_http import run_load

    lock_strategy(lock, dialect_of(store))
    with progress("loading") as advance:
        found = run_load(
            lock=lock,
            workers=workers,
            users=users,
            run_time_s=_seconds(run_time),
            accounts=accounts,
            work_ms=work_ms,
            synchronous=synchronous,
            store=store,
            postgres_data=postgres_data,
            seed=seed,
            locustfile=locustfile,
            processes=processes,
            record=record,
            on_progress=lambda done, of: advance(int(done), int(of), f"{lock}, {workers} workers"),
        )
    if as_json:
        print_json(loads_json([found], [])["runs"][0])
    else:
        print_load(out, [found], [])
    raise typer.Exit(exit_status(found.verdict, expected=expect))


def _seconds(text: str) -> int:
    """Read "10s", "2m" or "10"."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in ("s", "m") else (text, "s")
    if not (number.isdigit() and len(number) < 6 and int(number)):
        raise typer.BadParameter(f"{text!r} is no run time; write it like 10s or 2m")
    return int(number) * (60 if unit == "m" else 1)
