"""What the model's database holds, as a value: hashable, kept and gone back to by a search."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from engine.history import LogRow
from engine.ports import Earlier, Row

T = TypeVar("T")

# A table as a value: pairs sorted by name, each name once.
Pairs = tuple[tuple[str, T], ...]


class Rows(dict[str, Row]):
    """The rows a snapshot answers with, hashable as long as nobody changes them."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


class Tables(NamedTuple):
    """What a transaction sees and changes.

    `gap`: some write's `before` was not what the account held, so the log's chain is broken. The
    log itself is kept only where somebody reads it: states that differ in it alone never meet.
    """

    rows: Pairs[Row]
    keys: Pairs[Earlier] = ()
    gap: bool = False
    log: tuple[LogRow, ...] | None = None


class Transaction(NamedTuple):
    """An open transaction: its view from its first statement on, and whether it is out of date."""

    view: Tables | None = None
    stale: bool = False


class Lease(NamedTuple):
    """A row of the lease table. `expired`: its holder is dead, or outlived it."""

    owner: str | None = None
    lane: str = ""
    token: int = 0
    expired: bool = False

    @property
    def free(self) -> bool:
        return self.owner is None or self.expired


class Database(NamedTuple):
    """Everything the database holds; `open` are transactions by lane, as its rules have them.

    `writer` is the lane with the write lock, which only SQLite has.
    """

    tables: Tables
    leases: Pairs[Lease] = ()
    decisions: Pairs[str] = ()
    open: Pairs[Any] = ()
    writer: str | None = None


def opened(openings: Mapping[str, int], *, keep_log: bool) -> Database:
    """A database with these wallets, in cents."""
    log = tuple(
        LogRow("opening", account, "open", cents, 0, cents, 1, "", 0)
        for account, cents in openings.items()
    )
    rows = tuple(sorted((account, Row(cents, 1)) for account, cents in openings.items()))
    return Database(Tables(rows, log=log if keep_log else None))


def lookup(pairs: Pairs[T], name: str) -> T | None:
    for known, value in pairs:
        if known == name:
            return value
    return None


def stored(pairs: Pairs[T], name: str, value: T) -> Pairs[T]:
    """`pairs` with `name` set to `value`."""
    return tuple(sorted([*dropped(pairs, name), (name, value)], key=lambda pair: pair[0]))


def dropped(pairs: Pairs[T], name: str) -> Pairs[T]:
    """`pairs` without `name`."""
    return tuple(pair for pair in pairs if pair[0] != name)
