"""From the rows of a load run to its figures."""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.errors import BusinessError
from engine.load.judgement import Judgement
from engine.load.recorder import OK
from engine.load.stats import percentiles
from engine.results import Load, LoadRun

Column = NDArray[np.int64]

SAMPLES = (
    "invoked",
    "requested",
    "acquired",
    "committed",
    "released",
    "completed",
    "lock_wait",
    "store_wait",
)


def summary(
    load: Load,
    *,
    round: int,
    calls: Mapping[str, Column],
    codes: Sequence[str],
    seconds: float,
    judgement: Judgement,
    note: str,
) -> LoadRun:
    """The figures of one round; `calls` as `recorder.table` gives them.

    Latency and the database's wait are those of all answered calls; lock wait, hold and `samples`
    (SAMPLES and `hold`, in ns) those of mutations, since questions take no lock.
    """
    refused, errors = _by_code(calls["code"], codes)
    failed = [place for place, code in enumerate(codes) if code in errors]
    done = _where(calls, ~np.isin(calls["code"], failed))
    completed = len(done["code"])
    samples = _samples(_where(done, done["question"] == 0))
    return LoadRun(
        driver="asyncio",
        load=load,
        round=round,
        seconds=seconds,
        completed=completed,
        refused=refused,
        errors=errors,
        throughput_per_s=completed / seconds if seconds else 0.0,
        latency=percentiles(_array(done["completed"] - done["invoked"])),
        lock_wait=percentiles(samples["lock_wait"]),
        store_wait=percentiles(_array(done["store_wait"])),
        hold=percentiles(samples["hold"]),
        locks_per_operation=_mean(done["locks"]),
        store_accesses_per_operation=_mean(done["store_accesses"]),
        retries=int(calls["retries"].sum()),
        verdict=judgement.verdict,
        findings=judgement.findings,
        lost_cents=judgement.lost_cents,
        samples=samples,
        note=note,
    )


def _where(calls: Mapping[str, Column], kept: NDArray[np.bool_]) -> dict[str, Column]:
    return {name: column[kept] for name, column in calls.items()}


def _samples(mutations: Mapping[str, Column]) -> dict[str, "array[int]"]:
    hold = mutations["released"] - mutations["acquired"]
    return {name: _array(mutations[name]) for name in SAMPLES} | {"hold": _array(hold)}


def _by_code(column: Column, codes: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
    """How many were refused, and how many failed, by code."""
    business = {error.code for error in BusinessError.__subclasses__()}
    counts = Counter({code: int((column == place).sum()) for place, code in enumerate(codes)})
    refused = {code: count for code, count in counts.items() if code in business and count}
    errors = {code: n for code, n in counts.items() if code not in business | {OK} and n}
    return refused, errors


def _array(column: Column) -> "array[int]":
    return array("q", column.tobytes())


def _mean(column: Column) -> float:
    return float(column.mean()) if len(column) else 0.0
