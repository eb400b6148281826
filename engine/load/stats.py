"""Figures from raw samples, and comparisons that carry their uncertainty.

Rounds of different lock strategies are compared in pairs, each with its neighbour in time, since
machines drift by more than strategies differ. The median of the ratios has a bootstrap interval.

>>> percentiles(array("q", range(1_000_000, 101_000_000, 1_000_000)))
Percentiles(p50_ms=50.0, p90_ms=90.0, p99_ms=99.0, p999_ms=100.0, max_ms=100.0)
"""

import io
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
from hdrh.histogram import HdrHistogram

from engine.results import Load, LoadRun, Percentiles, Ratio

NS_PER_MS = 1_000_000
RESAMPLES = 2_000
# One microsecond to one hour, in steps of a thousandth of the value.
_HDR_NS = (1_000, 3_600_000_000_000, 3)

MEASURES: dict[str, Callable[[LoadRun], float]] = {
    "throughput": lambda run: run.throughput_per_s,
    "lock wait p99": lambda run: run.lock_wait.p99_ms,
    "latency p99": lambda run: run.latency.p99_ms,
}


def percentiles(samples_ns: "array[int]") -> Percentiles:
    """Exact percentiles (nearest rank: each is a sample), in milliseconds."""
    if not samples_ns:
        return Percentiles()
    found = np.percentile(
        np.frombuffer(samples_ns, np.int64), [50, 90, 99, 99.9, 100], method="inverted_cdf"
    )
    return Percentiles(*(float(value) / NS_PER_MS for value in found))


def hgrm(samples_ns: "array[int]") -> str:
    """The percentile distribution in milliseconds, as a `.hgrm` text for HdrHistogram's plotter."""
    histogram = HdrHistogram(*_HDR_NS)  # type: ignore[no-untyped-call]
    for sample_ns in samples_ns:
        histogram.record_value(max(sample_ns, _HDR_NS[0]))  # type: ignore[no-untyped-call]
    text = io.BytesIO()
    histogram.output_percentile_distribution(text, NS_PER_MS)  # type: ignore[no-untyped-call]
    return text.getvalue().decode()


def ratios(runs: Iterable[LoadRun], *, baseline: str, seed: int) -> list[Ratio]:
    """How each lock strategy compares with `baseline`, per measure and otherwise equal load.

    Pairs are rounds of one number and loads that differ in their lock only. Rounds where either
    side measured nothing (`none` waits for no lock) are no pairs, and without pairs is no Ratio.
    """
    by_load: dict[Load, dict[int, LoadRun]] = {}
    for run in runs:
        by_load.setdefault(run.load, {})[run.round] = run
    found = []
    for load, rounds in by_load.items():
        against = by_load.get(replace(load, lock=baseline), {})
        if load.lock == baseline or not against:
            continue
        for measure, value in MEASURES.items():
            pairs = [(value(rounds[n]), value(against[n])) for n in rounds.keys() & against.keys()]
            quotients = [mine / theirs for mine, theirs in pairs if mine > 0 and theirs > 0]
            if quotients:
                low, middle, high = median_interval(quotients, seed=seed)
                found.append(
                    Ratio(
                        measure,
                        load.lock,
                        baseline,
                        load.work_ms,
                        ratio=middle,
                        low=low,
                        high=high,
                        rounds=len(quotients),
                        accounts=load.accounts,
                    )
                )
    return found


def median_interval(values: Sequence[float], *, seed: int) -> tuple[float, float, float]:
    """Low end, median and high end of a 95 % bootstrap interval of the median.

    Percentile bootstrap (Efron 1979). Of fewer than six values it can say no more than their range.
    """
    drawn = np.random.default_rng(seed).choice(sorted(values), (RESAMPLES, len(values)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return float(low), float(np.median(values)), float(high)
