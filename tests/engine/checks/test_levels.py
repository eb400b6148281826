"""The level named is the strongest one whose definition, tried in every order, fits the history."""

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.checks import judge
from engine.checks.verdict import Level
from engine.histories.by_hand import OneCall, OneEntry, from_calls
from engine.histories.columns import History
from engine.recording import Kind

ACCOUNTS = "uv"
OPENING = 10_000
CALLS_MAX = 4


class Access(NamedTuple):
    """What one transaction did to one account: it saw `saw`, and wrote `wrote` unless that is 0."""

    account: str
    saw: int
    wrote: int = 0


class Transaction(NamedTuple):
    accesses: tuple[Access, ...]
    invoked: int
    completed: int


@st.composite
def transactions(draw: st.DrawFn) -> tuple[Transaction, ...]:
    """A few transactions over two accounts, who see whatever version and write in any order."""
    count = draw(st.integers(2, CALLS_MAX))
    does = [[draw(st.sampled_from(("", "r", "w"))) for _ in ACCOUNTS] for _ in range(count)]
    accesses: list[list[Access]] = [[] for _ in range(count)]
    for number, account in enumerate(ACCOUNTS):
        writers = draw(st.permutations([i for i in range(count) if does[i][number] == "w"]))
        for version, writer in enumerate(writers, start=2):
            stale = draw(st.sampled_from((0, 0, 0, 1, 2)))
            accesses[writer].append(Access(account, max(1, version - 1 - stale), version))
        for reader in (i for i in range(count) if does[i][number] == "r"):
            accesses[reader].append(Access(account, draw(st.integers(1, len(writers) + 1))))
    moments = st.integers(0, 6)
    times = [sorted((draw(moments), draw(moments))) for _ in range(count)]
    return tuple(
        Transaction(tuple(own), *time) for own, time in zip(accesses, times, strict=True) if own
    )


def recorded(given: Sequence[Transaction]) -> History:
    """The history that these transactions leave; every amount is another, so are all balances."""
    balances: dict[tuple[str, int], int] = {(account, 1): OPENING for account in ACCOUNTS}
    amounts: dict[tuple[str, int], int] = {}
    written = [access for each in given for access in each.accesses if access.wrote]
    for number, access in enumerate(sorted(written, key=lambda access: access.wrote)):
        place = (access.account, access.wrote)
        amounts[place] = 2**number
        balances[place] = balances[access.account, access.saw] + amounts[place]
    calls = [
        OneCall(
            f"t{number}",
            f"c{number}",
            Kind.CHANGE,
            each.invoked,
            each.completed,
            entries=tuple(
                OneEntry(
                    access.account,
                    amounts.get((access.account, access.wrote), 0),
                    balances[access.account, access.saw],
                    balances[access.account, access.wrote or access.saw],
                    access.wrote or access.saw,
                )
                for access in each.accesses
            ),
        )
        for number, each in enumerate(given)
    ]
    return from_calls(calls, openings=dict.fromkeys(ACCOUNTS, OPENING))


def carried_out(order: Sequence[Transaction]) -> bool:
    """Whether the transactions, one after the other, see and write what they say."""
    versions = dict.fromkeys(ACCOUNTS, 1)
    for each in order:
        for account, saw, wrote in each.accesses:
            if versions[account] != saw or (wrote and wrote != saw + 1):
                return False
        versions |= {access.account: access.wrote for access in each.accesses if access.wrote}
    return True


def in_real_time(order: Sequence[Transaction]) -> bool:
    return not any(
        later.completed < earlier.invoked
        for place, earlier in enumerate(order)
        for later in order[place + 1 :]
    )


def schedules(count: int) -> Iterator[tuple[int, ...]]:
    """Every order of so many starts (i) and commits (~i), each start before its commit."""
    for order in permutations([*range(count), *(~i for i in range(count))]):
        if all(order.index(i) < order.index(~i) for i in range(count)):
            yield order


def in_snapshots(given: Sequence[Transaction], schedule: Sequence[int]) -> bool:
    """Berenson et al., 1995: reads as of the start; of concurrent writers only one commits."""
    versions = dict.fromkeys(ACCOUNTS, 1)
    snapshots: dict[int, dict[str, int]] = {}
    for event in schedule:
        if event >= 0:
            snapshots[event] = dict(versions)
            continue
        for account, saw, wrote in given[~event].accesses:
            if snapshots[~event][account] != saw:
                return False
            if wrote and (versions[account] != saw or wrote != saw + 1):
                return False
        versions |= {each.account: each.wrote for each in given[~event].accesses if each.wrote}
    return True


def committed_reads(order: Sequence[Transaction]) -> bool:
    """Whether everybody, in this order of commits, saw what was committed, and wrote in order."""
    versions = dict.fromkeys(ACCOUNTS, 1)
    for each in order:
        for account, saw, wrote in each.accesses:
            if saw > versions[account] or (wrote and wrote != versions[account] + 1):
                return False
        versions |= {access.account: access.wrote for access in each.accesses if access.wrote}
    return True


def strongest(given: Sequence[Transaction]) -> Level:
    """By definition: every order, every schedule."""
    serial = [order for order in permutations(given) if carried_out(order)]
    if any(in_real_time(order) for order in serial):
        return Level.STRICT_SERIALIZABLE
    if serial:
        return Level.SERIALIZABLE
    if any(in_snapshots(given, schedule) for schedule in schedules(len(given))):
        return Level.SNAPSHOT_ISOLATION
    if any(committed_reads(order) for order in permutations(given)):
        return Level.READ_COMMITTED
    return Level.NONE


WRITE_SKEW = (
    Transaction((Access("u", 1, 2), Access("v", 1)), 0, 5),
    Transaction((Access("u", 1), Access("v", 1, 2)), 0, 5),
)
LOST_UPDATE = (
    Transaction((Access("u", 1, 2),), 0, 5),
    Transaction((Access("u", 1, 3),), 0, 5),
)


@example(given=WRITE_SKEW)
@example(given=LOST_UPDATE)
@settings(max_examples=max(200, settings().max_examples))
@given(given=transactions())
def test_the_level_is_the_strongest_whose_definition_fits(given: tuple[Transaction, ...]) -> None:
    assert judge(recorded(given)).level is strongest(given)


def test_write_skew_is_snapshot_isolation_and_no_more() -> None:
    assert strongest(WRITE_SKEW) is Level.SNAPSHOT_ISOLATION
    assert judge(recorded(WRITE_SKEW)).level is Level.SNAPSHOT_ISOLATION


def test_a_lost_update_is_read_committed_and_no_more() -> None:
    assert strongest(LOST_UPDATE) is Level.READ_COMMITTED
    assert judge(recorded(LOST_UPDATE)).level is Level.READ_COMMITTED
