"""What the lock strategies cost, in sentences: ratios with their intervals, money lost under load.

Only strategies that held are compared: the speed of one that loses money says nothing.
"""

from collections.abc import Iterator, Sequence

from engine.results import ROUNDS_FOR_INTERVAL, LoadRun, Ratio
from engine.verdicts import Verdict
from reports.found import Found
from reports.reading import in_order, listed, lost_words
from reports.standing import standings


def cost_sentences(found: Found) -> Iterator[str]:
    """Throughput of strategies that may be used somewhere, where there were rounds enough."""
    told = [r for r in compared(found) if r.measure == "throughput" and has_interval(r)]
    # Work inside the lock first: there the strategies differ most.
    yield from map(ratio_sentence, sorted(told, key=lambda ratio: -ratio.work_ms))
    measured = in_order(name for r in found.ratios for name in (r.lock, r.baseline))
    left_out = [name for name in measured if name in _ruled_out(found)]
    if left_out:
        yield (
            f"The speed of {listed(left_out)} is not compared: what loses money or gets stuck has"
            " no price."
        )


def compared(found: Found) -> list[Ratio]:
    """The ratios between strategies that may be used somewhere."""
    ruled_out = _ruled_out(found)
    return [r for r in found.ratios if not {r.lock, r.baseline} & ruled_out]


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
    over = f" (accounts {ratio.accounts})" if ratio.accounts else ""
    rounds = f", {ratio.rounds} rounds" if ratio.rounds > 1 else ""
    spread = f"({spread_words(ratio)}{rounds})"
    measure = ratio.measure.replace("_", " ")
    if within_noise(ratio):
        return (
            f"With {work} inside the lock{over}, {measure} of {ratio.lock} and {ratio.baseline}"
            f" cannot be told apart: {ratio.ratio:.2f} times {spread}, within noise."
        )
    return (
        f"With {work} inside the lock{over}, {measure} of {ratio.lock} is {ratio.ratio:.2f} times"
        f" that of {ratio.baseline} {spread}."
    )


def has_interval(ratio: Ratio) -> bool:
    """Whether there were rounds enough for a 95 % interval of the median."""
    return ratio.rounds >= ROUNDS_FOR_INTERVAL


def spread_words(ratio: Ratio) -> str:
    """How sure the ratio is: `low` to `high`, and what they are."""
    if ratio.rounds == 1:
        return "one run, no interval"
    name = "95% interval" if has_interval(ratio) else "range"
    return f"{name} {ratio.low:.2f} to {ratio.high:.2f}"


def within_noise(ratio: Ratio) -> bool:
    """Whether the interval holds "no difference"; a single run has none."""
    return ratio.rounds > 1 and ratio.low <= 1 <= ratio.high


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
    """The guide's claims, as measured: one sentence for each recommendation."""
    for recommended in in_order(claim.claim for claim in found.claims):
        changes = [
            f"{claim.measure} {claim.without:,.2f} → {claim.with_it:,.2f}"
            for claim in found.claims
            if claim.claim == recommended
        ]
        yield f"The guide's {recommended}: {'; '.join(changes)}."
