"""Transactions written down: statements, sessions, and what makes their end an anomaly.

A statement's parameters may be computed from what its session has read, as applications do it:

>>> double = Statement("w(1=2v)", "UPDATE test SET value = $1 WHERE id = 1", from_own_reads(
...     lambda read: (2 * read[0][1],)))
>>> double.parameters((Answer(rows=((1, 10),)),))
(20,)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Parameters = tuple[int, ...]
Rows = tuple[tuple[Any, ...], ...]
Opening = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the database said: rows read, or how many were written, or why it undid all of it."""

    rows: Rows | None = None
    changed: int | None = None
    error: str = ""

    def __str__(self) -> str:
        if self.error or self.changed is not None:
            return self.error or f"{self.changed} row{'' if self.changed == 1 else 's'}"
        if self.rows is None:
            return "done"
        return ", ".join(f"{key}={value}" for key, value in self.rows) or "no row"


def no_parameters(answers: Sequence[Answer]) -> Parameters:
    return ()


def from_own_reads(
    compute: Callable[[Rows], Parameters | None],
) -> Callable[[Sequence[Answer]], Parameters | None]:
    """Parameters computed from the rows of the session's latest read."""
    return lambda answers: compute(answers[-1].rows or ())


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `short` is its place in a history: r(1), w(1=11), r(v%3=0).

    `parameters` are computed from the session's answers so far; None: it is not sent at all.
    `outside`: sent before the transaction begins.
    """

    short: str
    sql: str
    parameters: Callable[[Sequence[Answer]], Parameters | None] = no_parameters
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """One transaction on a connection of its own. It begins together with its first statement."""

    name: str
    statements: tuple[Statement, ...]
    ending: Literal["COMMIT", "ROLLBACK"] = "COMMIT"


@dataclass(frozen=True, slots=True)
class Ended:
    """How one interleaving ended: what each session was answered, who committed, and the table."""

    answers: Mapping[str, tuple[Answer, ...]]
    committed: frozenset[str]
    final: Mapping[int, int]

    def read(self, session: str, number: int) -> dict[int, int]:
        """Values by id, as statement `number` of `session` saw them. Its session committed."""
        return dict(self.answers[session][number].rows or ())

    def changed(self, session: str, number: int) -> int | None:
        """How many rows statement `number` of `session` wrote."""
        return self.answers[session][number].changed


@dataclass(frozen=True, slots=True)
class Script:
    """The sessions that may meet in one anomaly, when it has happened, and that in words.

    `opening` is the table `test` (id to value) before. `happened` is asked of interleavings in
    which all of `committing` (by default everybody) committed: what a transaction reads counts
    only once it has committed.
    """

    name: str
    sessions: tuple[Session, ...]
    happened: Callable[[Ended], bool]
    meaning: str
    committing: frozenset[str] | None = None
    opening: Opening = ((1, 10), (2, 20))

    def shows(self, ended: Ended) -> bool:
        """Whether this interleaving shows the anomaly."""
        names = self.committing
        if names is None:
            names = frozenset(session.name for session in self.sessions)
        return names <= ended.committed and self.happened(ended)


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A phenomenon in one or several forms. It is prevented where none of them can happen."""

    name: str
    title: str
    scripts: tuple[Script, ...]
