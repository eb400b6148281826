"""The table of docs/strategies.md: what is declared of lock strategies, and what cells prove it.

`python -m scenarios.strategies_table > docs/strategies.md` writes it anew. Marks come from the
declared expectations, which `walletrace compare` holds against every interleaving; what no
exploration can show (cost, needs) is told in words.
"""

from typing import NamedTuple

from engine.catalog import LOCK_STRATEGIES, NEGATIVE_CONTROLS, ONLY_ON
from engine.explore.faults import Faults
from engine.explore.scenario import TOPOLOGIES
from engine.verdicts import Verdict
from scenarios.catalogue import SCENARIOS
from scenarios.expectations import expected

RACE = "documented-race"


class Words(NamedTuple):
    """What one strategy leaves behind, costs and needs."""

    crash: str
    cancellation: str
    hot: str
    needs: str


class Proof(NamedTuple):
    """A cell of the verdict matrix."""

    scenario: str
    topology: str
    faults: str

    def __str__(self) -> str:
        return "/".join(filter(None, self))


_MEMORY = Words(
    "mutexes go with the process",
    "its mutex is freed after its statement has landed",
    "one FIFO queue",
    "one process",
)
_LEASED = Words(
    "its leases run out (`lease_s`)",
    "its leases are given back",
    "waiters ask again every 2 ms",
    "a lock table; two statements more an account",
)
_OWN_TRANSACTION = Words(
    "the database rolls it back", "it is rolled back", "", "a transaction over several statements"
)

WORDS: dict[str, Words] = {
    "none": Words("–", "–", "loses money", "nothing"),
    "global": _MEMORY._replace(hot="one FIFO queue, whatever the account"),
    "per-user": _MEMORY,
    "db-row": _OWN_TRANSACTION._replace(
        crash="the database rolls it back (SQLite: its leases run out)",
        hot="a convoy of row locks",
        needs="row locks; on SQLite as `fenced-lease`",
    ),
    "fenced-lease": _LEASED._replace(needs=_LEASED.needs + "; a token checked with each write"),
    "guarded-update": Words(
        "one statement: all or nothing",
        "one statement: all or nothing",
        "the shortest lock there is",
        "rules that fit into one statement",
    ),
    "version-cas": Words(
        "nothing is held",
        "nothing is held",
        "retries, then Conflict after 10",
        "a version in every row",
    ),
    "repeatable-read": _OWN_TRANSACTION._replace(
        hot="retries, then Conflict after 10", needs="PostgreSQL's snapshot isolation"
    ),
    "serializable": _OWN_TRANSACTION._replace(
        hot="retries, then Conflict after 10", needs="SERIALIZABLE; any transaction on SQLite"
    ),
    "advisory": _OWN_TRANSACTION._replace(
        hot="a convoy of advisory locks", needs="everybody to ask for them"
    ),
    "db-write": _OWN_TRANSACTION._replace(
        hot="one writer, whatever the account; unfair across processes", needs="SQLite"
    ),
    "nowait": _OWN_TRANSACTION._replace(
        hot="LockTaken at once; callers decide", needs="callers that ask again"
    ),
    "single-writer": Words(
        "the group is committed or rolled back whole",
        "leaves the queue, or waits until its group has landed",
        "fewer commits a call, the busier it is",
        "a queue in each process",
    ),
    "per-user-unsorted": _MEMORY,
    "lease": _LEASED,
}


def holds(lock: str) -> tuple[str, ...]:
    """The topologies in which the strategy is declared to keep the race right; else all."""
    found = [
        topology
        for topology in TOPOLOGIES
        if expected(SCENARIOS[RACE], lock, topology, Faults()) is Verdict.SAFE
    ]
    return tuple(found or TOPOLOGIES)


def proofs(lock: str) -> dict[str, tuple[Proof, ...]]:
    """For each column of the table the cells that prove it."""
    many = tuple(topology for topology in TOPOLOGIES if topology != "one-service")
    here = holds(lock)

    def struck(faults: str) -> tuple[Proof, ...]:
        return tuple(Proof(RACE, topology, faults) for topology in here)

    return {
        "in one process": (Proof(RACE, "one-service", ""),),
        "in several": tuple(Proof(RACE, topology, "") for topology in many),
        "at a crash": struck("crash=1"),
        "at a cancellation": struck("cancel=1"),
        "paused past a lease": struck("expire=1"),
        "several accounts": tuple(
            Proof(scenario, topology, "")
            for scenario in ("crossing-transfers", "batch-beside-transfer")
            for topology in here
        ),
    }


def declared(lock: str, proof: Proof) -> Verdict | None:
    """The verdict declared for such a cell."""
    faults = Faults.parse(proof.faults)
    return expected(SCENARIOS[proof.scenario], lock, proof.topology, faults)


def table() -> str:
    """All of docs/strategies.md."""
    columns = list(proofs("none"))
    head = ["strategy", *columns, "a hot account", "needs"]
    lines = [_INTRODUCTION, _line(head), _line(["---"] * len(head))]
    for lock in (*LOCK_STRATEGIES, *NEGATIVE_CONTROLS):
        lines.append(_line(_row(lock)))
    lines += ["", _LEGEND]
    return "\n".join(lines)


def _row(lock: str) -> list[str]:
    words = WORDS[lock]
    marks = {
        column: "✓" if all(declared(lock, cell) is Verdict.SAFE for cell in cells) else "✗"
        for column, cells in proofs(lock).items()
    }
    told = {"at a crash": words.crash, "at a cancellation": words.cancellation}
    cells = [
        f"{mark} {told[column]}" if mark == "✓" and column in told else mark
        for column, mark in marks.items()
    ]
    only = f" ({ONLY_ON[lock]})" if lock in ONLY_ON else ""
    control = " (a control)" if lock in NEGATIVE_CONTROLS else ""
    return [f"`{lock}`{only}{control}", *cells, words.hot or "–", words.needs]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


_INTRODUCTION = """\
# Lock strategies

What each strategy guarantees, and at what price. Written by `python -m scenarios.strategies_table`
from the declared expectations; a test keeps the two equal.
"""

_LEGEND = """\
✓ nothing breaks in any interleaving of the cells below; ✗ something does. Each mark is proven by
cells of the verdict matrix (`walletrace compare --faults each`), named scenario/topology/faults:

| column | cells |
| --- | --- |
| in one process | documented-race/one-service |
| in several | documented-race/service-per-request, documented-race/two-processes |
| at a crash | documented-race/…/crash=1, in the topologies where the strategy holds |
| at a cancellation | documented-race/…/cancel=1, there too |
| paused past a lease | documented-race/…/expire=1, there too |
| several accounts | crossing-transfers/… and batch-beside-transfer/…, there too |

A call that is refused with a conflict (`LockTaken`, `Conflict`, `FenceLost`, `StoreBusy`) has
changed nothing and may be asked again: that is a cost, not a break. What a hot account costs is
measured, not proven: `walletrace bench --accounts hot`. A strategy with a database behind its name
runs there only, and is proven where that one is explored; the others run on SQLite and PostgreSQL,
`db-row`, `nowait` and `serializable` by that database's own means.
"""

if __name__ == "__main__":
    print(table(), end="")
