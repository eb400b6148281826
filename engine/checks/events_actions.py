"""What the event-ordered search knows of one account's calls, and of where it got stuck."""

from typing import NamedTuple


class Pinned(NamedTuple):
    """A change whose balances before and after are known."""

    before: int
    after: int


class Free(NamedTuple):
    """A change of which only the amount is known. `completed` FOREVER: it may never happen."""

    amount: int
    completed: int


class Seen(NamedTuple):
    """An answer that changes nothing: the balance was at least `low` and less than `high`."""

    low: int
    high: int


Action = Pinned | Free | Seen
# Which pending calls have happened, one bit each; and the balance.
Configuration = tuple[int, int]


class Stuck(NamedTuple):
    """When `action` returned, no order was left. Until then these were possible.

    `pending`: the actions that were pending, each with its bit in the configurations.
    """

    action: int
    live: tuple[Configuration, ...]
    pending: dict[int, int]
