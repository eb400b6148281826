"""Every layer and the whole judge agree with brute force on small histories, right and wrong ones.

2,000 small histories by default; a hunt (`--hypothesis-profile=hunt`) judges 20,000. They begin at
the seed in WALLETRACE_SEED, 0 without it, so that a night can look where none has looked before.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import settings

from engine.checks import judge
from engine.checks.blackbox import check_blackbox
from engine.checks.events import check_events
from engine.checks.verdict import Budget, CannotSay, Found, Level
from engine.histories.columns import MISSING, History
from engine.histories.generate import Known, hide
from engine.recording import Ended
from engine.verdicts import Verdict
from tests.engine.checks.brute_force import explained
from tests.engine.checks.small_histories import cut_at, small_draft
from tests.engine.checks.written_out import Draft

HISTORIES = 2_000
STRETCH = 500
FIRST_SEED = int(os.environ.get("WALLETRACE_SEED", "0"))
LAYERS: dict[str, tuple[Known, Callable[[History, Budget], Found]]] = {
    "events": (Known.VALUES, check_events),
    "black box": (Known.ANSWERS, check_blackbox),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each stretch of seeds, so that several cores share them."""
    if "seeds" in metafunc.fixturenames:
        metafunc.parametrize("seeds", list(_stretches()), ids=lambda seeds: f"{seeds[0]}+")


def _stretches() -> Iterator[range]:
    hunting = settings.get_current_profile_name() == "hunt"
    count = settings().max_examples if hunting else HISTORIES
    for first in range(FIRST_SEED, FIRST_SEED + count, STRETCH):
        yield range(first, min(first + STRETCH, FIRST_SEED + count))


def _told(seed: int, draft: Draft, known: Known, said: object) -> str:
    return (
        f"{said} of hide(history, {known}) with history = {draft.code()}\n"
        f"again: WALLETRACE_SEED={seed} pytest {os.path.relpath(__file__)} -x"
    )


def _several(history: History) -> bool:
    """Whether some call touches several accounts, so that no account can be judged by itself."""
    return bool((np.diff(history.first) > 1).any())


def _unanswered(history: History) -> bool:
    return bool((history.ended == Ended.UNKNOWN).any())


def _keyed(history: History) -> bool:
    return bool((history.key >= 0).any())


def _found(check: Callable[[History, Budget], Found], history: History) -> Found | None:
    try:
        return check(history, Budget())
    except CannotSay:
        return None


@pytest.mark.slow
def test_the_judge_agrees_with_brute_force(seeds: range) -> None:
    decided: Counter[tuple[Known, Verdict]] = Counter()
    for seed in seeds:
        draft = small_draft(seed)
        for known in Known:
            history = hide(draft.history(), known)
            right = explained(history)
            said = judge(history)
            decided[known, said.verdict] += 1
            if said.verdict is Verdict.UNKNOWN:
                hard = known is not Known.VERSIONS and (_several(history) or _unanswered(history))
                assert hard, _told(seed, draft, known, said)
            else:
                expected = Verdict.CLEAN if right else Verdict.BROKEN
                assert said.verdict is expected, _told(seed, draft, known, said)
            if known is Known.VERSIONS:
                assert said.level in _levels(history, right), _told(seed, draft, known, said)
    for known in Known:
        for verdict in (Verdict.CLEAN, Verdict.BROKEN):
            assert decided[known, verdict] > len(seeds) / 10, decided


def _levels(history: History, right: bool) -> tuple[Level | None, ...]:
    """The strongest level that some order satisfies, as far as brute force tells them apart."""
    if right:
        return (Level.STRICT_SERIALIZABLE,)
    if explained(history, real_time=False):
        return (Level.SERIALIZABLE,)
    return (None, Level.NONE, Level.READ_COMMITTED, Level.SNAPSHOT_ISOLATION)


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_alone_agrees_with_brute_force(layer: str, seeds: range) -> None:
    known, check = LAYERS[layer]
    for seed in seeds:
        draft = small_draft(seed)
        history = hide(draft.history(), known)
        right = explained(history)
        found = _found(check, history)
        if found is None:
            open_ = _several(history) or _keyed(history)
            assert open_, _told(seed, draft, known, "cannot say")
        else:
            assert bool(found.violations) == bool(found.count) != right, _told(
                seed, draft, known, found
            )


@pytest.mark.slow
def test_a_run_that_was_cut_off_is_broken_only_if_no_order_is_left(seeds: range) -> None:
    for seed in seeds:
        draft = small_draft(seed)
        whole = draft.history()
        for known in Known:
            history = hide(cut_at(whole, int(np.median(whole.completed))), known)
            verdict = judge(history).verdict
            assert verdict is not Verdict.CLEAN, _told(seed, draft, known, "clean, cut off")
            if verdict is Verdict.BROKEN:
                assert not explained(history), _told(seed, draft, known, "broken, cut off")


def _with_holes(history: History, luck: np.random.Generator) -> History:
    """The same, of which some answers tell less than others."""
    gone = [
        np.where(luck.random(history.entries) < luck.choice((0, 0.3, 0.7, 1)), MISSING, column)
        for column in (history.before, history.after, history.version)
    ]
    before, after, version = gone
    log = history.log if luck.random() < 0.5 else None
    holed = replace(history, before=before, after=after, version=version, log=log)
    return cut_at(holed, int(np.median(history.completed))) if luck.random() < 0.2 else holed


@pytest.mark.slow
def test_what_is_known_in_part_is_broken_only_if_no_order_is_left(seeds: range) -> None:
    for seed in seeds:
        draft = small_draft(seed)
        history = _with_holes(draft.history(), np.random.default_rng(seed))
        said = judge(history)
        if said.verdict is Verdict.BROKEN:
            told = (seed, said, draft.code(), history.before, history.after, history.version)
            assert not explained(history), told
