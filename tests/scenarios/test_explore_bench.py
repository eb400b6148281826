"""The comparison with other explorers: figures are paired, gaps are said, programs are alike."""

import asyncio
import io
from collections.abc import Iterator, Mapping, Sequence

import pytest
from rich.console import Console

from scenarios.explore_bench.asyncio_programs import program
from scenarios.explore_bench.cases import CASES, Answer
from scenarios.explore_bench.ours import ours
from scenarios.explore_bench.rounds import Row, compare
from scenarios.explore_bench.table import as_json, notes, table
from scenarios.explore_bench.workers import OURS, Worker, one_round

RACE = CASES["race"]


class Told:
    """A tool that gives answers prepared for it, and notes when it was asked."""

    def __init__(self, name: str, answers: Sequence[Answer], asked: list[str]) -> None:
        self._name = name
        self._answers: Iterator[Answer] = iter(answers)
        self._asked = asked

    def ask(self, case: str, limit_s: float, *, once: bool = False) -> Answer:
        self._asked.append(self._name)
        return next(self._answers)


def took(*seconds: float) -> list[Answer]:
    return [Answer(each, True, "broken", 2) for each in seconds]


def shown(rows: list[Row], versions: Mapping[str, str | None]) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(table(rows, versions, 20.0))
    for note in notes(rows, versions, rounds=3, limit_s=20.0):
        console.print(note, markup=False, soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_tools_take_turns_and_a_ratio_is_the_median_of_neighbours_in_time() -> None:
    asked: list[str] = []
    mine = Told(OURS, took(9.0e-9, 0.001, 0.002, 0.004), asked)
    theirs = Told("frontrun", took(9.0e-9, 0.010, 0.012, 0.010), asked)
    [row] = compare([RACE], {OURS: mine, "frontrun": theirs}, rounds=3, limit_s=20.0)
    assert asked == [OURS, "frontrun"] * 4
    assert row.seconds(OURS) == 0.002
    times = row.times("frontrun")
    assert times is not None
    # Round by round 10, 6 and 2.5. The ratio of the medians, 5, is of no two runs side by side.
    assert (times.ratio, times.low, times.high) == pytest.approx((6.0, 2.5, 10.0))
    assert times.rounds == 3


def test_a_first_run_is_warming_up_unless_it_was_long_enough_to_count() -> None:
    long = Told(OURS, took(2.0, 3.0), [])
    short = Told("frontrun", took(0.5, 3.0, 3.0), [])
    [row] = compare([RACE], {OURS: long, "frontrun": short}, rounds=2, limit_s=20.0)
    assert [answer.seconds for answer in row.answers[OURS]] == [2.0, 3.0]
    assert [answer.seconds for answer in row.answers["frontrun"]] == [3.0, 3.0]


def test_who_did_not_finish_is_not_asked_again_and_has_no_ratio() -> None:
    asked: list[str] = []
    mine = Told(OURS, took(0.1, 0.1, 0.1), asked)
    lost = Told("detangle", [Answer(20.1, False, "not all explored", 4711)], asked)
    [row] = compare([RACE], {OURS: mine, "detangle": lost}, rounds=2, limit_s=20.0)
    assert asked.count("detangle") == 1
    assert row.times("detangle") is None
    told = shown([row], {OURS: "1", "detangle": "0.1.0", "frontrun": None})
    assert "did not finish: > 20 s" in told
    assert "× > 201" in told  # 20.1 s of its time against 0.1 s of ours
    assert "4,711 runs" in told


def test_a_peer_that_is_not_installed_is_said_with_the_way_out() -> None:
    row = Row(RACE, {OURS: took(0.0002)})
    told = shown([row], {OURS: "1", "frontrun": None, "detangle": None})
    assert "not installed" in told
    assert 'frontrun and detangle not installed; pip install "walletrace[bench]"' in told


@pytest.mark.parametrize(
    ("name", "answer", "met"),
    [
        ("race", Answer(0.0005, True, "broken"), True),
        ("race", Answer(0.0006, True, "broken"), False),
        ("race", Answer(0.0001, False, "not found"), False),
        ("own-locks-4", Answer(1.0, True, "proven", 1), True),
        ("own-locks-4", Answer(1.0, True, "proven", 24), False),
        ("one-lock-2", Answer(1.0, True, "proven", 1), None),
    ],
)
def test_a_target_is_met_by_an_answer_that_is_in_time(
    name: str, answer: Answer, met: bool | None
) -> None:
    row = Row(CASES[name], {OURS: [answer]})
    assert row.met is met
    document = as_json([row], {OURS: "1"}, rounds=1, limit_s=20.0)
    assert document["cases"][0]["met"] is met


@pytest.mark.parametrize("name", CASES)
def test_the_peers_programs_end_right_if_their_clients_come_one_by_one(name: str) -> None:
    async def one_by_one() -> bool:
        story = program(name)
        bank = story.setup()
        for worker in story.workers:
            await worker(bank)
        return story.is_right(bank) and len(story.workers) == CASES[name].clients

    assert asyncio.run(one_by_one())


def test_our_explorer_loses_the_race_and_counts_what_brute_force_counts() -> None:
    both = one_round(ours, "two-keys-2", 20.0)
    for name in ("race", "race-wallet"):  # no more is asked than that it loses
        race = ours(name, 20.0)
        assert (race.done, race.said, race.runs, race.interleavings) == (True, "broken", 1, None)
    # 8! / (4! 4!) orders; on each key 4 of 6 lose, and 14 of 70 lose on neither.
    assert (both.done, both.interleavings, both.losing) == (True, 70, 56)


def test_a_tool_that_fails_in_its_process_has_answered_why() -> None:
    worker = Worker("detangle")
    try:
        answer = worker.ask("no-such-case", 1.0)
    finally:
        worker.close()
    assert not answer.done
    assert "Error" in answer.said
