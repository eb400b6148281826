"""What is judged, how it must come out, and the targets we set ourselves."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.checks import judge
from engine.checks.events import check_events
from engine.checks.verdict import Budget
from engine.histories.columns import History
from engine.histories.drawing import Shape
from engine.histories.generate import Known, generate, hide
from engine.recording import Ended, Kind, Recording
from scenarios.check_bench.etcd import published, told

SEED = 2026
SIZES = 4
BILLION = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question. `make(size)` is what is judged, `run` judges it, and has to say `expected`.

    `target_s` and `target_mb` are for the largest of `sizes`; `each`: told per call.
    """

    name: str
    title: str
    sizes: tuple[int, ...]
    make: Callable[[int], Any]
    run: Callable[[Any], str]
    expected: str = "clean"
    target_s: float | None = None
    target_mb: float | None = None
    each: bool = False


def doubling(largest: int) -> tuple[int, ...]:
    """Sizes from an eighth up, so that growth can be told.

    >>> doubling(8000)
    (1000, 2000, 4000, 8000)
    """
    return tuple(largest >> shift for shift in reversed(range(SIZES)))


def _single(calls: int) -> History:
    return replace(_whole(calls), log=None)


def _racing(calls: int) -> History:
    """One change in a thousand reads apart from its write."""
    return generate(Shape(calls=calls, clients=32, racing=0.001), seed=SEED)


def _transfers(calls: int) -> History:
    mix = {Kind.TRANSFER: 0.7, Kind.BALANCE: 0.3}
    shape = Shape(calls=calls, clients=32, accounts=100, mix=mix)
    return replace(generate(shape, seed=SEED), log=None)


def _values(calls: int) -> History:
    return hide(_single(calls), Known.VALUES)


def _timeouts(calls: int) -> History:
    return hide(generate(Shape(calls=calls, clients=8, timeouts=20), seed=SEED), Known.VALUES)


def _answers(calls: int) -> History:
    shape = Shape(calls=calls, clients=32, amounts=(1, BILLION), opening=50 * BILLION)
    return hide(generate(shape, seed=SEED), Known.ANSWERS)


def _whole(calls: int) -> History:
    return generate(Shape(calls=calls, clients=32), seed=SEED)


def _judged(history: History) -> str:
    found = judge(history)
    return f"{found.verdict}, {found.layer}"


def _events(history: History) -> str:
    return "broken" if check_events(history, Budget()).count else "clean"


def _recorded(calls: int) -> list[tuple[Any, ...]]:
    """What is recorded of each call, as the driver has it in hand when the call ends."""
    clients = [f"client {number}" for number in range(32)]
    return [
        (
            f"operation-{place}",
            clients[place % 32],
            Kind.WITHDRAW,
            Ended.OK,
            place,
            place + 1,
            *("account", -5, 5, 2 * BILLION - 5 * place, 2 * BILLION - 5 * place - 5, place + 2),
        )
        for place in range(calls)
    ]


def _record(calls: list[tuple[Any, ...]]) -> str:
    with tempfile.TemporaryDirectory(prefix="walletrace-") as folder:
        with Recording(Path(folder) / "calls.spill") as recording:
            for call in calls:
                recording.one(*call)  # as the driver does, for one account and without a key
        return recording.trouble or "recorded"


_ALL = (
    Case(
        name="versions",
        title="versions, 1M calls",
        sizes=doubling(1_000_000),
        make=_single,
        run=_judged,
        expected="clean, version sweep",
        target_s=0.4,
        target_mb=400,
    ),
    Case(
        name="transfers",
        title="transfers, 100k calls",
        sizes=doubling(100_000),
        make=_transfers,
        run=_judged,
        expected="clean, transaction graph",
        target_s=0.15,
    ),
    Case(
        name="values",
        title="before/after, 10k calls",
        sizes=doubling(10_000),
        make=_values,
        run=_judged,
        expected="clean, event order",
        target_s=0.04,
    ),
    Case(
        name="timeouts",
        title="the same, 20 timeouts",
        sizes=doubling(10_000),
        make=_timeouts,
        run=_events,
        target_s=0.1,
    ),
    Case(
        name="answers",
        title="black box, 1k calls",
        sizes=doubling(1_000),
        make=_answers,
        run=_judged,
        expected="clean, black box",
        target_s=0.4,
    ),
    Case(
        name="etcd",
        title="102 histories of etcd",
        sizes=(102,),
        make=lambda size: published()[:size],
        run=told,
        expected="102 of 102 right",
        target_s=0.15,
    ),
    Case(
        name="whole",
        title="judge with log, 1M calls",
        sizes=doubling(1_000_000),
        make=_whole,
        run=_judged,
        expected="clean, version sweep",
        target_s=1.0,
        target_mb=500,
    ),
    Case(
        name="racing",
        title="the same, some racing",
        sizes=(1_000_000,),
        make=_racing,
        run=_judged,
        expected="broken, ledger",
    ),
    Case(
        name="recording",
        title="recording a call, in µs",
        sizes=(100_000,),
        make=_recorded,
        run=_record,
        expected="recorded",
        target_s=0.05,  # half a microsecond each
        each=True,
    ),
)
CASES = {case.name: case for case in _ALL}
