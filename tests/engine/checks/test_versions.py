"""The version sweep: what was seen at each version, and real time on each account."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.checks.chain import chains
from engine.checks.settle import settle
from engine.checks.verdict import Budget, Level
from engine.checks.versions import check_versions
from engine.histories.by_hand import OneCall, from_calls
from engine.histories.columns import MISSING
from engine.recording import Ended, Kind
from engine.verdicts import Break, Verdict
from tests.engine.checks.calls import add, call, judged, messages, read, withdraw

WRITE = withdraw("a", (0, 10), 1000, 500, 2)


def test_a_stale_read_names_who_had_overwritten_what_it_saw() -> None:
    judgement = judged(WRITE, add("b", (11, 12), 500, 1, 3), read("r", (15, 20), 1000, 1))
    assert (judgement.layer, judgement.level) == ("version sweep", Level.SERIALIZABLE)
    assert messages(judgement) == [
        "u: r (balance) saw version 1, but a (withdraw 5.00) wrote version 2 and had returned"
        " before r was invoked"
    ]
    (violation,) = judgement.violations
    assert (violation.kind, violation.anomaly) == (Break.READS, "stale read")
    assert violation.calls == (2, 0)
    assert [link.why for link in violation.links] == [
        "r (balance) saw version 1 of u, a (withdraw 5.00) wrote version 2",
        "the one returned before the other was invoked",
    ]


def test_a_read_of_what_was_written_later_is_an_order_violation() -> None:
    judgement = judged(read("r", (0, 3), 500, 2), withdraw("a", (5, 10), 1000, 500, 2))
    assert messages(judgement) == [
        "u: a (withdraw 5.00) wrote version 2, but r (balance) saw version 2 and had returned"
        " before a was invoked"
    ]
    assert judgement.violations[0].kind is Break.ORDER


def test_calls_that_overlap_or_touch_may_stand_in_either_order() -> None:
    assert judged(WRITE, read("r", (10, 20), 1000, 1)).verdict is Verdict.CLEAN
    assert judged(WRITE, read("r", (11, 20), 1000, 1)).verdict is Verdict.BROKEN


def test_calls_of_different_clocks_have_no_order_in_real_time() -> None:
    elsewhere = read("r", (15, 20), 1000, 1, clock="another machine")
    assert judged(WRITE, elsewhere).verdict is Verdict.CLEAN


def test_a_balance_that_no_write_left_at_that_version_was_invented() -> None:
    assert messages(judged(WRITE, read("r", (5, 8), 700, 2))) == [
        "u: r (balance) saw version 2 with 7.00, which held 5.00"
    ]
    assert messages(judged(WRITE, read("r", (5, 8), 700, 7))) == [
        "u: r (balance) saw version 7 with 7.00, which nobody wrote"
    ]


def test_a_read_of_what_a_refused_call_would_have_left_is_g1a() -> None:
    refused = call(
        "a", Kind.WITHDRAW, (0, 10), ("u", -300), ended=Ended.REFUSED, code="deadlock_victim"
    )
    judgement = judged(refused, read("r", (5, 8), 700, 1))
    assert messages(judgement) == [
        "u: r (balance) saw version 1 with 7.00, which held 10.00: so it would be after"
        " a (withdraw 3.00), which never happened"
    ]
    (violation,) = judgement.violations
    assert (violation.anomaly, violation.calls, judgement.level) == ("G1a", (0, 1), Level.NONE)


@st.composite
def sequences(draw: st.DrawFn) -> list[OneCall]:
    """Reads and adds on two accounts and two clocks, right but for their times."""
    version, balance = {"u": 1, "v": 1}, {"u": 1000, "v": 1000}
    calls = []
    for number in range(draw(st.integers(0, 12))):
        account = draw(st.sampled_from("uv"))
        begin, end = sorted((draw(st.integers(0, 20)), draw(st.integers(0, 20))))
        amount, before = draw(st.sampled_from((0, 7))), balance[account]
        balance[account] += amount
        version[account] += amount > 0
        calls.append(
            call(
                f"c{number}",
                Kind.ADD if amount else Kind.BALANCE,
                (begin, draw(st.sampled_from((end, end, None)))),
                (account, amount, before, balance[account], version[account]),
                clock=draw(st.sampled_from(("", "", "other"))),
            )
        )
    return calls


@settings(max_examples=max(200, settings().max_examples))
@given(calls=sequences())
def test_the_sweep_finds_those_who_began_after_a_later_one_had_returned(
    calls: list[OneCall],
) -> None:
    settled = settle(from_calls(calls, openings={"u": 1000, "v": 1000}))
    made = chains(settled)
    history, place = settled.history, 2 * made.version + ~made.writes
    late = {
        int(made.call[one])
        for one in range(len(made))
        for other in range(len(made))
        if made.account[one] == made.account[other]
        and place[one] < place[other]
        and history.clock[made.call[one]] == history.clock[made.call[other]]
        and history.completed[made.call[other]] < history.invoked[made.call[one]]
    }
    found = check_versions(settled, made, Budget())
    assert {violation.calls[0] for violation in found.violations} == late
    assert found.count == len(late)


def test_times_too_far_apart_for_the_quick_way_are_ranked() -> None:
    far = 2**61
    accounts = dict.fromkeys("stuv", 1000)
    calls = [
        call("a", Kind.ADD, (0, 1), ("t", 1, 1000, 1001, 2)),
        call("b", Kind.ADD, (far, far + 1), ("v", 1, 1000, 1001, 2)),
        call("r", Kind.BALANCE, (far + 5, far + 6), ("v", 0, 1000, 1000, 1)),
        call("q", Kind.BALANCE, (2, None), ("t", 0, 1000, 1000, 1)),
        call("p", Kind.BALANCE, (far + 7, far + 8), ("u", 0, 1000, 1000, 1)),
    ]
    judgement = judged(*calls, openings=accounts)
    assert sorted(violation.calls for violation in judgement.violations) == [(1, 0), (3, 2)]


def test_nothing_at_all_is_clean() -> None:
    judgement = judged()
    assert (judgement.verdict, judgement.level) == (Verdict.CLEAN, Level.STRICT_SERIALIZABLE)


def test_versions_of_any_size_sort() -> None:
    huge = 2**60
    calls = [
        call("a", Kind.ADD, (0, 1), ("u", 1, 1000, 1001, huge + 1)),
        call("b", Kind.ADD, (2, 3), ("v", 1, 1000, 1001, 2)),
        call("c", Kind.ADD, (2, 3), ("u", 1, 1001, 1002, huge + 2)),
    ]
    history = from_calls(calls, openings={"u": 1000, "v": 1000})
    history.opening_versions[:] = MISSING
    assert chains(settle(history)).version.tolist() == [huge + 1, huge + 2, 2]


def test_an_answer_that_names_a_version_alone_saw_what_that_version_held() -> None:
    yes = call("c", Kind.CHECK, (11, 12), ("u", 0, MISSING, MISSING, 2, 501))
    assert messages(judged(WRITE, yes)) == [
        "u: c (check 5.01) was answered yes, though 5.00 are less than 5.01"
    ]
    enough = call("c", Kind.CHECK, (11, 12), ("u", 0, MISSING, MISSING, 2, 500))
    assert judged(WRITE, enough).verdict is Verdict.CLEAN
