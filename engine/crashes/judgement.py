"""The verdict on a crash test: money, the log's chain, and each acknowledged call exactly once.

Every call carries its idempotency key as its description, so the operation log itself says how
often the call was applied, whatever the table of keys says.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from engine.checks.ledger import FINDINGS_MAX
from engine.history import Entry, LogRow, Receipt
from engine.load import judgement
from engine.load.judgement import Judgement
from engine.ports import Row
from engine.verdicts import Break, Finding, Verdict

# Broken as soon as there are several processes, whatever befalls them: mutexes end at the process.
BROKEN_IN_SEVERAL_PROCESSES = ("none", "global", "per-user", "per-user-unsorted")
# Broken where a process is paused for longer than its lease, and goes on: nothing fences it off.
BROKEN_BY_PAUSES = ("lease",)


def expected(lock: str, *, pauses: int) -> Verdict | None:
    """What a strategy's description promises of it here; of a user's own: clean.

    None where luck decides: a busy machine, too, may pause a process for longer than its lease.
    """
    if lock in BROKEN_IN_SEVERAL_PROCESSES:
        return Verdict.BROKEN
    if lock in BROKEN_BY_PAUSES:
        return Verdict.BROKEN if pauses else None
    return Verdict.CLEAN


def judge(
    balances: Mapping[str, Row],
    log: Sequence[LogRow],
    *,
    openings: Mapping[str, int],
    acknowledged: Mapping[str, Receipt],
    refused: AbstractSet[str],
    unanswered: AbstractSet[str],
) -> Judgement:
    """`acknowledged`, `refused`, `unanswered`: keys of calls, by what their clients know."""
    sums: Counter[str] = Counter()
    for receipt in acknowledged.values():
        for entry in receipt.entries:
            sums[entry.account] += entry.after - entry.before
    unsettled = {row.operation_id for row in log if row.description in unanswered}
    money = judgement.judge(
        balances, log, openings=openings, acknowledged=sums, unsettled=unsettled
    )
    calls = tuple(_calls(log, acknowledged, refused))[:FINDINGS_MAX]
    if not calls:
        return money
    return Judgement(Verdict.BROKEN, (*calls, *money.findings), money.lost_cents)


def _calls(
    log: Sequence[LogRow], acknowledged: Mapping[str, Receipt], refused: AbstractSet[str]
) -> Iterator[Finding]:
    applied: dict[str, dict[str, list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for row in log:
        if row.description:
            entry = Entry(row.account, row.before, row.after, row.version)
            applied[row.description][row.operation_id].append(entry)
    for key in sorted(acknowledged.keys() - applied.keys()):
        yield Finding(Break.MONEY, f"{key} was acknowledged, and the log does not have it")
    for key, calls in applied.items():
        if len(calls) > 1:
            yield Finding(
                Break.MONEY, f"{key} was applied {len(calls)} times, by {', '.join(calls)}"
            )
        if key in refused:
            yield Finding(Break.MONEY, f"{key} was refused, and the log has it")
        receipt = acknowledged.get(key)
        if receipt and sorted(calls.get(receipt.call_id, ())) != sorted(receipt.entries):
            yield Finding(Break.MONEY, f"{key} was acknowledged, and the log says otherwise")
