"""The transaction graph: cycles over several accounts, their names and sentences."""

import pytest

from engine.checks.anomalies import check_graph, name_of
from engine.checks.chain import chains
from engine.checks.cycles import Hop
from engine.checks.graph import Edge, edges
from engine.checks.settle import settle
from engine.checks.verdict import Budget, Found, Level
from engine.histories.by_hand import OneCall, from_calls
from engine.recording import Kind
from engine.verdicts import Break, Verdict
from tests.engine.checks.calls import TWO, call, judged, messages

SKEW = (
    call("t1", Kind.CHANGE, (0, 10), ("u", -500, 1000, 500, 2), ("v", 0, 1000, 1000, 1)),
    call("t2", Kind.CHANGE, (0, 10), ("v", -500, 1000, 500, 2), ("u", 0, 1000, 1000, 1)),
)


def graph_of(*calls: OneCall) -> Found:
    settled = settle(from_calls(calls, openings=TWO))
    return check_graph(settled, chains(settled), Budget())


def test_write_skew_is_named_and_told_as_a_contradiction() -> None:
    judgement = judged(*SKEW, openings=TWO)
    assert judgement.layer == "transaction graph"
    assert judgement.level is Level.SNAPSHOT_ISOLATION
    assert messages(judgement) == [
        "t1 read version 1 of v before t2 wrote 2, and t2 read version 1 of u before t1 wrote 2:"
        " a contradiction"
    ]
    assert judgement.violations[0].anomaly == "write skew"


def test_a_torn_read_of_a_transfer_is_g_single() -> None:
    judgement = judged(
        call("t", Kind.TRANSFER, (0, 10), ("u", -500, 1000, 500, 2), ("v", 500, 1000, 1500, 2)),
        call("r", Kind.BALANCE, (0, 10), ("u", 0, 500, 500, 2), ("v", 0, 1000, 1000, 1)),
        openings=TWO,
    )
    (violation,) = judgement.violations
    assert (violation.anomaly, violation.kind, violation.calls) == (
        "G-single",
        Break.READS,
        (0, 1),
    )
    assert judgement.level is Level.READ_COMMITTED
    assert [(link.earlier, link.later) for link in violation.links] == [(0, 1), (1, 0)]


def test_a_cycle_that_only_the_clock_closes_is_a_realtime_anomaly() -> None:
    judgement = judged(
        call("w1", Kind.ADD, (0, 1), ("u", 1, 1000, 1001, 2)),
        call("w2", Kind.ADD, (2, 3), ("v", 1, 1000, 1001, 2)),
        call("r", Kind.BALANCE, (0, 9), ("v", 0, 1001, 1001, 2), ("u", 0, 1000, 1000, 1)),
        openings=TWO,
    )
    assert messages(judgement) == [
        "w2 wrote what r read of v, r read version 1 of u before w1 wrote 2, and w1 returned"
        " before w2 was invoked: a contradiction"
    ]
    assert judgement.violations[0].anomaly == "G-single-realtime"
    assert judgement.level is Level.SERIALIZABLE


def test_transfers_that_wrote_two_accounts_in_opposite_order_are_g0() -> None:
    found = graph_of(
        call("t1", Kind.TRANSFER, (0, 9), ("u", -1, 1000, 999, 2), ("v", 1, 1002, 1003, 3)),
        call("t2", Kind.TRANSFER, (0, 9), ("u", -2, 999, 997, 3), ("v", 2, 1000, 1002, 2)),
    )
    assert (found.violations[0].anomaly, found.level) == ("G0", Level.NONE)


def test_transfers_that_fit_are_strictly_serializable() -> None:
    judgement = judged(
        call("t1", Kind.TRANSFER, (0, 9), ("u", -1, 1000, 999, 2), ("v", 1, 1000, 1001, 2)),
        call("t2", Kind.TRANSFER, (0, 9), ("u", -2, 999, 997, 3), ("v", 2, 1001, 1003, 3)),
        openings=TWO,
    )
    assert (judgement.verdict, judgement.layer) == (Verdict.CLEAN, "transaction graph")
    assert judgement.level is Level.STRICT_SERIALIZABLE


def test_two_clocks_that_contradict_each_other_over_two_accounts_are_found() -> None:
    # Each account alone is linearizable, and so is each clock alone.
    calls = (
        call("a", Kind.BALANCE, (0, 1), ("v", 0, 1001, 1001, 2), clock="one"),
        call("b", Kind.ADD, (2, 3), ("u", 1, 1000, 1001, 2), clock="one"),
        call("c", Kind.BALANCE, (0, 1), ("u", 0, 1001, 1001, 2), clock="two"),
        call("d", Kind.ADD, (2, 3), ("v", 1, 1000, 1001, 2), clock="two"),
    )
    judgement = judged(*calls, openings=TWO)
    assert (judgement.verdict, judgement.layer) == (Verdict.BROKEN, "transaction graph")
    assert judgement.violations[0].anomaly == "G1c-realtime"


def test_the_graph_grows_with_the_history_and_no_faster() -> None:
    def size(count: int) -> int:
        calls = [
            call(f"a{n}", Kind.ADD, (3 * n, 3 * n + 4), ("u", 1, 1000 + n, 1001 + n, n + 2))
            for n in range(count)
        ]
        settled = settle(from_calls(calls, openings=TWO))
        return len(edges(settled, chains(settled)).earlier)

    assert size(200) < 2.1 * size(100)


@pytest.mark.parametrize(
    ("whys", "accounts", "name"),
    [
        ((Edge.WW, Edge.WW), 2, "G0"),
        ((Edge.WW, Edge.WR), 2, "G1c"),
        ((Edge.RW, Edge.WW), 1, "lost update"),
        ((Edge.RW, Edge.WW), 2, "G-single"),
        ((Edge.RW, Edge.WR, Edge.RW, Edge.WR), 2, "G-nonadjacent"),
        ((Edge.RW, Edge.RW), 2, "write skew"),
        ((Edge.RW, Edge.WR, Edge.RW), 3, "G2-item"),
        ((Edge.RW, Edge.TIME), 1, "G-single-realtime"),
        ((Edge.WW, Edge.TIME), 1, "G0-realtime"),
    ],
)
def test_cycles_have_the_names_of_the_literature(
    whys: tuple[Edge, ...], accounts: int, name: str
) -> None:
    hops = [Hop(at, (at + 1) % len(whys), why, 0) for at, why in enumerate(whys)]
    assert name_of(hops, accounts) == name


def test_the_cycle_told_is_a_shortest_one() -> None:
    # A ring of three reads and writes, and beside it a pair: both are told, the ring as three.
    accounts = dict.fromkeys("abcuv", 1000)
    ring = [
        call(
            f"r{n}",
            Kind.CHANGE,
            (0, 9),
            (here, 5, 1000, 1005, 2),
            (there, 0, 1000, 1000, 1),
        )
        for n, (here, there) in enumerate(("ab", "bc", "ca"))
    ]
    found = judged(*ring, *SKEW, openings=accounts).violations
    assert sorted((violation.anomaly, len(violation.calls)) for violation in found) == [
        ("G2-item", 3),
        ("write skew", 2),
    ]
