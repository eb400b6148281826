"""The ledger check: the operation log alone must explain every balance, link by link.

Each account's rows form a chain: an `open` from nothing, then rows that each begin at the balance
and version the row before them left, up to what the wallet holds. Where two operations read the
same balance, the chain breaks at the second, and the gap is the money lost or made there. Gaps add
up: over all accounts their sum is exactly the difference between the wallets and the log.

>>> rows = [LogRow("a", "u", "open", 1000, 0, 1000, 1, "", 0),
...         LogRow("b", "u", "withdraw", -500, 1000, 500, 2, "", 0),
...         LogRow("c", "u", "add", 300, 1000, 1300, 3, "", 0)]
>>> [finding.message for finding in audit({"u": Row(1300, 3)}, rows)]
['u: b (withdraw 5.00) left 5.00, but c (add 3.00) began from 10.00: 5.00 made']
>>> money_lost({"u": Row(1300, 3)}, rows), rebuild(rows)
(-500, {'u': 800})
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from operator import attrgetter

from engine.history import LogRow
from engine.money import show_cents
from engine.ports import Row
from engine.verdicts import Break, Finding

# A run that races breaks thousands of links; the sum stays exact, the list stays readable.
FINDINGS_MAX = 100


def audit(balances: Mapping[str, Row], log: Sequence[LogRow]) -> tuple[Finding, ...]:
    """What is wrong with these wallets and their operation log (in any order), chains first.

    At most FINDINGS_MAX findings; `money_lost` is exact however many there are.
    """
    return tuple(islice(findings(balances, log), FINDINGS_MAX))


def findings(balances: Mapping[str, Row], log: Sequence[LogRow]) -> Iterator[Finding]:
    """Every finding, found as it is asked for. Their cents sum to minus `money_lost`."""
    chains = _chains(log)
    for account in sorted(chains.keys() | balances.keys()):
        rows = chains.get(account, [])
        yield from _broken_links(rows)
        yield from _against_wallet(account, rows, balances.get(account))
    yield from _not_conserved(log)
    yield from _applied_twice(log)


def rebuild(log: Sequence[LogRow]) -> dict[str, int]:
    """Every balance in cents, from the amounts of the operation log and nothing else."""
    rebuilt: dict[str, int] = {}
    for row in log:
        rebuilt[row.account] = rebuilt.get(row.account, 0) + row.amount
    return rebuilt


def money_lost(balances: Mapping[str, Row], log: Sequence[LogRow]) -> int:
    """By how many cents the wallets hold less (positive) or more (negative) than they should.

    What they should hold are the amounts in the log, of which transfers must come to nothing.
    """
    due = sum(row.amount for row in log if row.kind != "transfer")
    return due - sum(row.balance for row in balances.values())


def _chains(log: Sequence[LogRow]) -> dict[str, list[LogRow]]:
    chains: dict[str, list[LogRow]] = {}
    for row in sorted(log, key=attrgetter("version")):
        chains.setdefault(row.account, []).append(row)
    return chains


def _named(row: LogRow) -> str:
    return f"{row.operation_id} ({row.kind} {show_cents(abs(row.amount))})"


def _money(message: str, cents: int = 0) -> Finding:
    told = f": {show_cents(abs(cents))} {'made' if cents > 0 else 'lost'}" if cents else ""
    return Finding(Break.MONEY, message + told, cents)


def _broken_links(rows: Sequence[LogRow]) -> Iterator[Finding]:
    for number, row in enumerate(rows):
        if number:
            yield from _between(rows[number - 1], row)
        elif row.kind != "open" or row.before != 0 or row.version != 1:
            yield _money(
                f"{row.account}: the log begins with {_named(row)} at version {row.version}"
                f" from {show_cents(row.before)}, not with the opening",
                row.before,
            )
        yield from _within(row)


def _between(previous: LogRow, row: LogRow) -> Iterator[Finding]:
    if row.before != previous.after:
        yield _money(
            f"{row.account}: {_named(previous)} left {show_cents(previous.after)},"
            f" but {_named(row)} began from {show_cents(row.before)}",
            row.before - previous.after,
        )
    if row.version != previous.version + 1:
        yield _money(
            f"{row.account}: version {previous.version} by {_named(previous)} is followed by"
            f" version {row.version} by {_named(row)}"
        )


def _within(row: LogRow) -> Iterator[Finding]:
    if row.after != row.before + row.amount:
        yield _money(
            f"{row.account}: {_named(row)} went from {show_cents(row.before)}"
            f" to {show_cents(row.after)}",
            row.after - row.before - row.amount,
        )
    if row.after < 0:
        yield _money(f"{row.account}: {_named(row)} left {show_cents(row.after)}, below zero")
    if (row.kind == "withdraw" and row.amount >= 0) or (row.kind == "add" and row.amount <= 0):
        yield _money(f"{row.account}: {_named(row)} moved {show_cents(row.amount)}")


def _against_wallet(account: str, rows: Sequence[LogRow], wallet: Row | None) -> Iterator[Finding]:
    if wallet is None:
        yield _money(
            f"{account}: the log ends with {_named(rows[-1])}, but there is no such wallet",
            -rows[-1].after,
        )
        return
    if not rows:
        yield _money(
            f"{account}: the wallet holds {show_cents(wallet.balance)} without any log row",
            wallet.balance,
        )
        return
    last = rows[-1]
    if wallet.balance != last.after:
        yield _money(
            f"{account}: {_named(last)} left {show_cents(last.after)},"
            f" but the wallet holds {show_cents(wallet.balance)}",
            wallet.balance - last.after,
        )
    if wallet.version != last.version:
        yield _money(
            f"{account}: {_named(last)} wrote version {last.version},"
            f" but the wallet is at version {wallet.version}"
        )


def _not_conserved(log: Sequence[LogRow]) -> Iterator[Finding]:
    sums: dict[str, int] = {}
    sides: Counter[str] = Counter()
    for row in log:
        if row.kind == "transfer":
            sums[row.operation_id] = sums.get(row.operation_id, 0) + row.amount
            sides[row.operation_id] += 1
    for operation_id, cents in sums.items():
        if cents != 0 or sides[operation_id] != 2:
            yield _money(
                f"transfer {operation_id} has {sides[operation_id]} log rows"
                f" that come to {show_cents(cents)}, not to nothing",
                cents,
            )


def _applied_twice(log: Sequence[LogRow]) -> Iterator[Finding]:
    seen: set[tuple[str, str]] = set()
    for row in log:
        touched = (row.operation_id, row.account)
        if touched in seen:
            yield _money(f"{row.account}: {_named(row)} was applied more than once")
        seen.add(touched)
