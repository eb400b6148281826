"""What is said of a history of which rows are missing: never clean, never broken without need."""

import ast
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine.checks
from engine.checks import judge
from engine.checks.cut_short import EXPLAINED, STANDS, of_a_part
from engine.histories.by_hand import OneCall, OneEntry, OneRow, from_calls
from engine.histories.columns import INSUFFICIENT, MISSING, History
from engine.histories.generate import Known, generate, hide
from engine.recording import Ended, Kind
from engine.verdicts import Verdict
from tests.engine.checks.calls import call as one_call
from tests.engine.checks.calls import read, refused, row, withdraw
from tests.engine.checks.small_histories import retried, small_shape
from tests.engine.checks.written_out import Draft, written_out

PARTS = 300


def call(name: str, amount: int, before: int, version: int, *, at: int = 0) -> OneCall:
    kind = Kind.WITHDRAW if amount < 0 else Kind.ADD
    entry = OneEntry("u", amount, before, before + amount, version)
    return OneCall(name, name, kind, at, at + 10, entries=(entry,))


def partly(*calls: OneCall, log: list[OneRow] | None = None, complete: bool = False) -> History:
    return from_calls(calls, openings={}, log=log, complete=complete)


def test_what_looks_right_is_not_called_clean() -> None:
    history = partly(call("a", 5, 0, 2))
    assert of_a_part(history, judge(history)).verdict is Verdict.UNKNOWN


def test_a_lost_update_between_neighbouring_versions_stands() -> None:
    history = partly(call("a", -5, 9, 2), call("b", 3, 9, 3))
    judgement = of_a_part(history, judge(history))
    assert judgement.verdict is Verdict.BROKEN
    assert [violation.anomaly for violation in judgement.violations] == ["lost update"]


def test_a_write_that_is_missing_explains_a_gap_and_what_was_found_behind_it() -> None:
    history = partly(call("a", -5, 9, 2), call("b", 3, 9, 4), complete=True)
    assert judge(history).verdict is Verdict.BROKEN
    judgement = of_a_part(history, judge(history))
    assert judgement.verdict is Verdict.UNKNOWN
    assert "missing rows may explain what else looks wrong (1 in all)" in judgement.notes


def test_without_versions_a_missing_write_explains_every_balance() -> None:
    history = partly(call("a", -5, 9, MISSING), call("b", 3, 9, MISSING))
    assert judge(history).verdict is Verdict.BROKEN
    assert of_a_part(history, judge(history)).verdict is Verdict.UNKNOWN


def test_a_call_that_contradicts_itself_stands() -> None:
    entry = OneEntry("u", 5, 1, 7, MISSING)
    history = partly(OneCall("a", "a", Kind.ADD, 0, 10, entries=(entry,)))
    judgement = of_a_part(history, judge(history))
    assert [violation.anomaly for violation in judgement.violations] == ["arithmetic"]


def test_a_broken_link_in_the_rows_of_a_log_stands() -> None:
    rows = [OneRow("a", "u", Kind.WITHDRAW, -5, 9, 4), OneRow("b", "u", Kind.ADD, 3, 9, 12)]
    history = partly(log=rows)
    assert of_a_part(history, judge(history)).verdict is Verdict.BROKEN


@settings(max_examples=100)
@given(data=st.data(), versions=st.booleans())
def test_no_part_of_a_right_history_is_broken(data: st.DataObject, versions: bool) -> None:
    amounts = data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=8))
    held, calls = 0, []
    for place, amount in enumerate(amounts):
        # Each takes effect at 10 * place, somewhere inside of its interval.
        early, late = data.draw(st.tuples(st.integers(0, 30), st.integers(0, 30)))
        entry = OneEntry("u", amount, held, held + amount, place + 2 if versions else MISSING)
        at = 10 * place
        calls.append(OneCall(f"o{place}", "c", Kind.ADD, at - early, at + late, entries=(entry,)))
        held += amount
    whole = from_calls(calls, openings={"u": 0})
    assert judge(whole).verdict is Verdict.CLEAN
    kept = data.draw(st.lists(st.sampled_from(calls), unique=True, min_size=1))
    part = partly(*kept)
    assert of_a_part(part, judge(part)).verdict is Verdict.UNKNOWN


STANDING = {
    "overdraft": partly(one_call("a", Kind.WITHDRAW, (0, 1), ("u", -5, 3, -2, 2))),
    "wrong answer": partly(
        OneCall("a", "c", Kind.CHECK, 0, 1, entries=(OneEntry("u", 0, 3, 3, 2, need=5),))
    ),
    "told otherwise": partly(withdraw("a", (0, 1), 9, 5, 2), log=[row("a", 8, -5, 2)]),
    "wrong refusal": partly(refused("a", (0, 1), 9, 5, 2)),
    "forgotten key": partly(
        withdraw("a", (0, 3), 9, 5, 2, key="k"), refused("b", (2, 4), 4, 5, 2, key="k")
    ),
    "forgotten key-realtime": partly(
        withdraw("a", (0, 1), 9, 5, MISSING, key="k"), refused("b", (2, 4), 4, 5, MISSING, key="k")
    ),
    "applied twice": partly(
        withdraw("a", (0, 1), 9, 5, 2, key="k"), withdraw("b", (2, 4), 8, 5, 4, key="k")
    ),
    "torn transfer": partly(
        one_call("a", Kind.TRANSFER, (0, 1), ("u", -5, 9, 4, 2), ("v", 4, 0, 4, 2))
    ),
    "invented read": partly(withdraw("a", (0, 1), 9, 5, 2), read("b", (2, 3), 5, 2)),
    "broken chain": partly(withdraw("a", (0, 1), 9, 5, 2), withdraw("b", (2, 3), 8, 5, 3)),
}


@pytest.mark.parametrize("anomaly", STANDING)
def test_what_no_missing_row_can_explain_stands(anomaly: str) -> None:
    judgement = of_a_part(STANDING[anomaly], judge(STANDING[anomaly]))
    assert judgement.verdict is Verdict.BROKEN
    assert anomaly in {violation.anomaly for violation in judgement.violations}


EXPLICABLE = {
    "missing version": partly(
        withdraw("a", (0, 1), 9, 1, 2), withdraw("b", (2, 3), 8, 1, 4), complete=True
    ),
    "wrong balance": from_calls([], openings={"u": 1}, finals={"u": 2}),
    "forgotten": partly(withdraw("a", (0, 1), 9, 5, 2), log=[], complete=True),
    "never asked": partly(
        withdraw("a", (0, 1), 9, 5, 2),
        log=[row("a", 9, -5, 2), row("b", 4, -1, 3)],
        complete=True,
    ),
    "refused yet applied": partly(refused("a", (0, 1), 3, 5, 1), log=[row("a", 6, -5, 4)]),
    "order violation": partly(withdraw("b", (0, 1), 8, 1, 3), withdraw("a", (2, 3), 9, 1, 2)),
    "torn transfer": partly(
        one_call("a", Kind.TRANSFER, (0, 1), ("u", -5, 9, 4, 2)),
        one_call("b", Kind.ADD, (0, 1), ("v", 1, 0, 1, 2)),
    ),
    "wrong refusal": partly(
        one_call(
            *("a", Kind.BATCH, (0, 1), ("u", -5, 9, 9, 2)),
            ended=Ended.REFUSED,
            code=INSUFFICIENT,
        )
    ),
    "invented read": partly(withdraw("a", (0, 1), 9, 5, 2), read("b", (2, 3), 5, 3), complete=True),
}


@pytest.mark.parametrize("anomaly", EXPLICABLE)
def test_what_a_missing_row_may_explain_is_unknown(anomaly: str) -> None:
    said = judge(EXPLICABLE[anomaly])
    assert anomaly in {violation.anomaly for violation in said.violations}
    assert of_a_part(EXPLICABLE[anomaly], said).verdict is Verdict.UNKNOWN


def test_of_everything_that_judges_say_it_is_known_whether_it_stands() -> None:
    files = Path(engine.checks.__file__).parent.glob("*.py")
    said = {name for file in files for name in _anomalies(ast.parse(file.read_text()))}
    # Those of cycles, and of boundaries, are put together.
    cycles = {"lost update-realtime"}
    boundaries = {name for name in EXPLAINED if name.startswith("boundary: ")}
    assert {name.removeprefix("boundary: ") for name in boundaries} <= said
    said -= {name.removeprefix("boundary: ") for name in boundaries}
    assert said <= {*STANDS, *EXPLAINED}
    assert {*STANDS, *EXPLAINED} <= {*said, *boundaries, *_realtime(said), *cycles}


def _realtime(names: set[str]) -> set[str]:
    return {f"{name}-realtime" for name in names}


def _anomalies(tree: ast.AST) -> Iterator[str]:
    """The texts that are given to `Violation` and its like as anomalies, or are called so."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Name("Violation"), [_, anomaly, *_]):
                yield from _texts(anomaly)
            case ast.Call(ast.Name("_Broken"), [anomaly, *_]):
                yield from _texts(anomaly)
            case ast.Assign([ast.Tuple([ast.Name("anomaly"), *_])], ast.Tuple([anomaly, *_])):
                yield from _texts(anomaly)
            case ast.Assign([ast.Name("anomaly")], anomaly):
                yield from _texts(anomaly)
            case ast.FunctionDef("name_of"):
                for inner in ast.walk(node):
                    match inner:
                        case ast.Assign([ast.Name("name")], anomaly):
                            yield from _texts(anomaly)


def _texts(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(str(text)):
            yield text
        case ast.IfExp(_, one, other):
            yield from _texts(one)
            yield from _texts(other)
        case _:
            pass


def some_of(draft: Draft, luck: random.Random) -> History:
    """Of a history any rows are missing: of calls, their accounts, the log, openings."""
    share = luck.choice((0.1, 0.3, 0.5))

    def kept(share: float) -> bool:
        return luck.random() > share

    calls = tuple(
        call._replace(entries=tuple(entry for entry in call.entries if kept(share / 2)))
        for call in draft.calls
        if kept(share)
    )
    rows = tuple(row for row in draft.log or () if kept(share))
    part = replace(
        draft,
        calls=calls,
        log=luck.choice((None, rows, draft.log)),
        complete=luck.random() < 0.5,
        openings={name: held for name, held in draft.openings.items() if kept(0.3)},
        finals={name: held for name, held in draft.finals.items() if kept(0.3)},
    ).history()
    if kept(0.3):
        return part
    return replace(part, opening_versions=np.full(len(part.accounts), MISSING))


@pytest.mark.slow
def test_no_part_of_a_right_history_is_broken_whatever_is_missing() -> None:
    hunting = settings.get_current_profile_name() == "hunt"
    for seed in range(settings().max_examples if hunting else PARTS):
        luck = random.Random(seed)
        draft = written_out(generate(replace(small_shape(luck), racing=0.0), seed=seed))
        part = some_of(retried(draft, luck) if luck.random() < 0.5 else draft, luck)
        for known in Known:
            history = hide(part, known)
            said = of_a_part(history, judge(history))
            assert said.verdict is Verdict.UNKNOWN, (seed, known, said)
