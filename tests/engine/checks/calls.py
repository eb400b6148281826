"""Short ways to write histories down for tests of judges."""

from collections.abc import Mapping
from typing import Any

from engine.checks import judge
from engine.checks.verdict import Judgement
from engine.histories.by_hand import OneCall, OneEntry, OneRow, from_calls
from engine.histories.columns import INSUFFICIENT
from engine.recording import Ended, Kind

ONE: Mapping[str, int] = {"u": 1000}
TWO: Mapping[str, int] = {"u": 1000, "v": 1000}


def call(
    name: str,
    kind: Kind,
    interval: tuple[int, int | None],
    *entries: tuple[Any, ...],
    **more: Any,
) -> OneCall:
    """`entries` as (account, amount, before, after, version)."""
    told = tuple(OneEntry(*entry) for entry in entries)
    return OneCall(name, f"{name}'s client", kind, *interval, entries=told, **more)


def withdraw(
    name: str, interval: tuple[int, int], before: int, amount: int, version: int, **more: Any
) -> OneCall:
    entry = ("u", -amount, before, before - amount, version)
    return call(name, Kind.WITHDRAW, interval, entry, **more)


def add(
    name: str, interval: tuple[int, int], before: int, amount: int, version: int, **more: Any
) -> OneCall:
    return call(name, Kind.ADD, interval, ("u", amount, before, before + amount, version), **more)


def read(name: str, interval: tuple[int, int], balance: int, version: int, **more: Any) -> OneCall:
    return call(name, Kind.BALANCE, interval, ("u", 0, balance, balance, version), **more)


def refused(
    name: str, interval: tuple[int, int], before: int, amount: int, version: int, **more: Any
) -> OneCall:
    entry = ("u", -amount, before, before, version)
    return call(
        name, Kind.WITHDRAW, interval, entry, ended=Ended.REFUSED, code=INSUFFICIENT, **more
    )


def unanswered(name: str, invoked: int, amount: int, **more: Any) -> OneCall:
    kind = Kind.ADD if amount > 0 else Kind.WITHDRAW
    return call(name, kind, (invoked, None), ("u", amount), ended=Ended.UNKNOWN, **more)


def row(name: str, before: int, amount: int, version: int, account: str = "u") -> OneRow:
    kind = Kind.ADD if amount > 0 else Kind.WITHDRAW
    return OneRow(name, account, kind, amount, before, before + amount, version)


def judged(*calls: OneCall, openings: Mapping[str, int] = ONE, **more: Any) -> Judgement:
    return judge(from_calls(calls, openings=openings, **more))


def messages(judgement: Judgement) -> list[str]:
    return [violation.message for violation in judgement.violations]
