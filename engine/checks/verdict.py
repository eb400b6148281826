"""What judges say about a history: the verdict, the layer that decided it, and the evidence.

A history in which nothing is wrong is `clean` at the layer named, never `safe`: other runs may go
wrong. A layer that crashes, or needs more time or memory than it was given, leaves `unknown`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from time import monotonic

from engine.resident import memory_mb
from engine.verdicts import Break, Verdict


class Level(IntEnum):
    """How strong a guarantee a history satisfies; each includes those below it."""

    NONE = 0
    READ_COMMITTED = 1
    SNAPSHOT_ISOLATION = 2
    SERIALIZABLE = 3
    STRICT_SERIALIZABLE = 4

    def __str__(self) -> str:
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, slots=True)
class Link:
    """One step of a cycle: `earlier` must come before `later`, because of `why` (in words)."""

    earlier: int
    later: int
    why: str


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong. Calls are places in the history that was judged.

    `anomaly` in the field's words ("lost update", "G-single", "stale read", "arithmetic"), with
    `-realtime` where only the clock makes it one. `message` is a sentence that names the
    operations. `calls` are those involved (a lost update: whose write was lost, then who
    overwrote it). `account`: a place in the accounts, -1 where several. `amount`: money made
    (positive) or lost (negative), in the history's smallest unit. `links` is the cycle.
    """

    kind: Break
    anomaly: str
    message: str
    calls: tuple[int, ...] = ()
    account: int = -1
    amount: int = 0
    links: tuple[Link, ...] = ()

    def moment(self) -> int:
        """The place of the last call involved, by invocation: until then nothing was seen of it."""
        return max(self.calls, default=-1)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one history.

    `layer` is the name of the layer that decided: the one that found the violation, or the
    strongest that found none. `level` is the strongest guarantee the history satisfies, None where
    the layers that ran cannot tell. `violations` is at most VIOLATIONS_MAX long, `count` is exact.
    `passed` are the layers that found nothing, `notes` say what could not be checked, and why.
    `lost` is by how much the accounts hold less (positive) or more than they should, None unknown;
    `lost_on` the same for each account (by place) where it is not nothing. `consistent`: how many
    calls, in order of invocation, nothing is wrong with: the longest consistent prefix (None for
    an operation log by itself that is broken: its rows are no calls, and have no such order).
    """

    verdict: Verdict
    layer: str
    level: Level | None
    violations: tuple[Violation, ...]
    count: int
    passed: tuple[str, ...]
    notes: tuple[str, ...]
    lost: int | None = None
    operations: int = 0
    seconds: float = 0.0
    memory_mb: float = 0.0
    lost_on: Mapping[int, int] = field(default_factory=dict)
    consistent: int | None = 0


# A run that races breaks thousands of links; the count stays exact, the list stays readable.
VIOLATIONS_MAX = 100


class Exceeded(Exception):
    """A layer needed more than its budget; the message says of what."""


class CannotSay(Exception):
    """The history lacks what a layer needs; the message says what."""


@dataclass(slots=True)
class Budget:
    """Time and memory for one judgement; searches ask `check()` every thousand steps or so."""

    seconds_max: float = 60.0
    memory_mb_max: float = 4_096.0
    clock: Callable[[], float] = monotonic
    held_mb: Callable[[], float] = memory_mb
    started_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.started_s = self.clock()

    def late(self) -> bool:
        """Whether the time is used up."""
        return self.clock() - self.started_s > self.seconds_max

    def check(self) -> None:
        """Raise Exceeded if either is used up."""
        if self.late():
            raise Exceeded(f"more than {self.seconds_max:g} s were needed")
        held = self.held_mb()
        if held > self.memory_mb_max:
            raise Exceeded(f"more than {self.memory_mb_max:,.0f} MB of memory were needed")


@dataclass(frozen=True, slots=True)
class Found:
    """What one layer says: what is wrong, how much of it there is, and the level it proves."""

    violations: Sequence[Violation] = ()
    count: int = 0
    level: Level | None = None
    notes: tuple[str, ...] = ()


def together(*parts: Found) -> Found:
    """Several findings as one: violations in the order of their calls, the lowest level."""
    violations = [violation for part in parts for violation in part.violations]
    violations.sort(key=Violation.moment)
    levels = [part.level for part in parts if part.level is not None]
    return Found(
        violations[:VIOLATIONS_MAX],
        sum(part.count for part in parts),
        min(levels, default=None),
        tuple(note for part in parts for note in part.notes),
    )


def nothing_satisfied(found: Found) -> Found:
    """The same, where whatever is wrong is beyond every level."""
    return replace(found, level=Level.NONE if found.count else None)


# A layer judges a whole history. It raises Exceeded or CannotSay where it cannot decide.
Layer = Callable[..., Found]
