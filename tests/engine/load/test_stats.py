"""Figures are exact, and comparisons are paired and seeded."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.load.stats import hgrm, median_interval, percentiles, ratios
from engine.results import Load, LoadRun, Percentiles
from engine.verdicts import Verdict

BASE = Load("global", 16, "uniform:100", "add=1")


def run(lock, round, throughput, wait_p99_ms=0.0, work_ms=0.0):
    return LoadRun(
        driver="asyncio",
        load=Load(lock, 16, "uniform:100", "add=1", work_ms=work_ms),
        round=round,
        seconds=1.0,
        completed=int(throughput),
        refused={},
        errors={},
        throughput_per_s=throughput,
        latency=Percentiles(),
        lock_wait=Percentiles(p99_ms=wait_p99_ms),
        store_wait=Percentiles(),
        hold=Percentiles(),
        locks_per_operation=0.0,
        store_accesses_per_operation=0.0,
        retries=0,
        verdict=Verdict.CLEAN,
        findings=(),
        lost_cents=0,
    )


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=300))
def test_every_percentile_is_a_sample_and_at_least_that_share_is_not_above_it(samples):
    found = percentiles(array("q", samples))
    shares = {
        0.5: found.p50_ms,
        0.9: found.p90_ms,
        0.99: found.p99_ms,
        0.999: found.p999_ms,
        1.0: found.max_ms,
    }
    in_ms = [sample / 1e6 for sample in samples]
    for share, value in shares.items():
        assert value in in_ms
        assert sum(sample <= value for sample in in_ms) >= share * len(in_ms) - 1e-9


def test_no_samples_are_all_zero():
    assert percentiles(array("q")) == Percentiles()


def test_an_hgrm_text_ends_with_the_largest_sample_and_the_count():
    text = hgrm(array("q", [2_000_000] * 99 + [500_000_000]))
    assert text.splitlines()[0].split()[:2] == ["Value", "Percentile"]
    value, share, count = text.splitlines()[-4].split()
    assert (float(value), float(share), int(count)) == (pytest.approx(500, rel=1e-3), 1.0, 100)


def test_ratios_are_medians_of_pairs_so_that_a_slow_round_does_not_count():
    runs = [
        *(run("global", n, 100.0 * drift) for n, drift in enumerate((1, 10, 3))),
        *(run("per-user", n, 500.0 * drift) for n, drift in enumerate((1, 10, 3))),
    ]
    (found,) = ratios(runs, baseline="global", seed=1)
    assert (found.measure, found.lock, found.baseline) == ("throughput", "per-user", "global")
    assert (found.ratio, found.low, found.high, found.rounds) == (5.0, 5.0, 5.0, 3)


def test_loads_with_and_without_work_are_compared_apart():
    runs = [
        run(lock, 0, tput, work_ms=w)
        for w in (0.0, 2.0)
        for lock, tput in (("global", 100.0), ("per-user", 100.0 + 200 * w))
    ]
    found = ratios(runs, baseline="global", seed=1)
    assert [(ratio.work_ms, ratio.ratio) for ratio in found] == [(0.0, 1.0), (2.0, 5.0)]


def test_a_round_that_only_one_side_ran_is_no_pair():
    runs = [run("global", 0, 100.0), run("per-user", 0, 200.0), run("per-user", 1, 900.0)]
    (found,) = ratios(runs, baseline="global", seed=1)
    assert (found.ratio, found.rounds) == (2.0, 1)


def test_where_nothing_was_waited_for_there_is_no_ratio_of_waits():
    runs = [run("global", 0, 100.0, wait_p99_ms=8.0), run("none", 0, 100.0)]
    runs += [run("per-user", 0, 100.0, wait_p99_ms=2.0)]
    waits = [r for r in ratios(runs, baseline="global", seed=1) if r.measure == "lock wait p99"]
    assert [(found.lock, found.ratio) for found in waits] == [("per-user", 0.25)]


def test_an_interval_holds_the_median_and_narrows_with_more_rounds():
    few = [0.8, 1.0, 1.2, 0.9, 1.1]
    low, middle, high = median_interval(few, seed=3)
    many_low, _, many_high = median_interval(few * 20, seed=3)
    assert low <= middle == 1.0 <= high
    assert many_high - many_low < high - low


def test_the_same_seed_gives_the_same_interval():
    values = [n**1.7 for n in range(1, 31)]
    assert len({median_interval(values, seed=5) for _ in range(8)}) == 1
