"""What the lock strategies cost, in sentences: ratios with their intervals, money lost under load.

Only strategies that held are compared: the speed of one that loses money says nothing.
"""

from collections.abc import Iterator, Sequence

from engine.results import LoadRun, Ratio
from engine.verdicts import Verdict
from reports.found import Found
from reports.reading import in_order, listed, lost_words
from reports.standing import standings


def cost_sentences(found: Found) -> Iterator[str]:
    """One sentence for each ratio between strategies that may be used somewhere."""
    ruled_out = _ruled_out(found)
    compared = [r for r in found.ratios if not {r.lock, r.baseline} & ruled_out]
    yield from (ratio_sentence(ratio) for ratio in compared)
    left_out = in_order(
        name for r in found.ratios for name in (r.lock, r.baseline) if name in ruled_out
    )
    if left_out:
        yield (
            f"The speed of {listed(left_out)} is not compared: what loses money or gets stuck has"
            " no price."
        )


def _ruled_out(found: Found) -> set[str]:
    """Those that hold under no topology, or broke under load."""
    stands = standings(found)
    held = {stand.lock for stand in stands if stand.holds}
    broken = {stand.lock for stand in stands if stand.broken}
    lost = {run.load.lock for run in found.load_runs if run.verdict is Verdict.BROKEN}
    return (broken | lost) - held


def ratio_sentence(ratio: Ratio) -> str:
    """A ratio in words; a difference within noise is called that.

    >>> print(ratio_sentence(Ratio("throughput", "per-user", "global", 0.0, 1.02, 0.94, 1.1, 6)))
    With no work inside the lock, throughput of per-user and global cannot be told apart: 1.02 times (95% interval 0.94 to 1.10, 6 rounds), within noise.
    """  # noqa: E501
    work = f"{ratio.work_ms:g} ms of work" if ratio.work_ms else "no work"
    interval = f"(95% interval {ratio.low:.2f} to {ratio.high:.2f}, {ratio.rounds} rounds)"
    measure = ratio.measure.replace("_", " ")
    if within_noise(ratio):
        return (
            f"With {work} inside the lock, {measure} of {ratio.lock} and {ratio.baseline} cannot be"
            f" told apart: {ratio.ratio:.2f} times {interval}, within noise."
        )
    return (
        f"With {work} inside the lock, {measure} of {ratio.lock} is {ratio.ratio:.2f} times that of"
        f" {ratio.baseline} {interval}."
    )


def within_noise(ratio: Ratio) -> bool:
    """Whether the interval holds "no difference"."""
    return ratio.low <= 1 <= ratio.high


def load_sentences(found: Found) -> Iterator[str]:
    """What became of the money under load, strategy by strategy."""
    for driver in in_order(run.driver for run in found.load_runs):
        runs = [run for run in found.load_runs if run.driver == driver]
        told = [
            load_words(lock, [run for run in runs if run.load.lock == lock])
            for lock in in_order(run.load.lock for run in runs)
        ]
        yield f"Under load ({driver}): {'; '.join(told)}."


def load_words(lock: str, runs: Sequence[LoadRun]) -> str:
    """What became of one strategy's runs."""
    broken = [run for run in runs if run.verdict is Verdict.BROKEN]
    undecided = [run for run in runs if run.verdict is Verdict.UNKNOWN]
    if broken:
        most = max((run.lost_cents for run in broken), key=abs)
        worst = f", at worst {lost_words(most)} in one run" if most else ""
        return f"{lock} broke in {len(broken)} of {len(runs)} runs{worst}"
    if undecided:
        return f"{lock} stayed unknown in {len(undecided)} of {len(runs)} runs"
    return f"{lock} was clean in {len(runs)} run{'s' if len(runs) > 1 else ''}"


def claim_sentences(found: Found) -> Iterator[str]:
    """The guide's claims, as measured."""
    for claim in found.claims:
        change = f" ({claim.with_it / claim.without:.2f} times)" if claim.without else ""
        yield (
            f"The guide's {claim.claim}: {claim.measure} go from {claim.without:,.2f} to"
            f" {claim.with_it:,.2f}{change}."
        )
