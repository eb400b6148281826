"""What a single statement does to the tables it sees, whatever the isolation around it.

Each function gives the tables afterwards and the answer. A refusal is an answer too, and leaves
the very same tables.
"""

from collections.abc import Mapping

from engine.errors import FenceLost, UnknownWallet, VersionChanged, WalletExists, WalletraceError
from engine.explore.tables import Lease, Pairs, Rows, Tables, lookup, stored
from engine.history import Entry, LogRow, Receipt
from engine.locks.body import changes
from engine.operations import fingerprint
from engine.ports import Call, Change, Earlier, Row, Snapshot

Answer = Receipt | WalletraceError
_NO_ROW = Row(0, 0)


def looked_up(view: Tables, accounts: tuple[str, ...], key: str | None) -> Snapshot:
    """The rows, and what the key stands for."""
    rows = Rows([pair for pair in view.rows if pair[0] in accounts])
    return Snapshot(rows, lookup(view.keys, key) if key is not None else None)


def written(
    view: Tables,
    leases: Pairs[Lease],
    call: Call,
    wanted: tuple[Change, ...],
    if_version: bool,
    fence: Mapping[str, int],
) -> tuple[Tables, Answer]:
    """Absolute balances, log rows and key."""
    answer = _answered(view, call)
    if answer is None:
        rows = dict(view.rows)
        answer = _refused(rows, leases, wanted, if_version, fence)
        if answer is None:
            return _applied(view, rows, call, wanted)
    return view, answer


def guarded(view: Tables, call: Call) -> tuple[Tables, Answer]:
    """Guards let through exactly what `apply` does, so the balances are computed by it."""
    answer = _answered(view, call)
    if answer is not None:
        return view, answer
    rows = dict(view.rows)
    try:
        return _applied(view, rows, call, changes(call, rows))
    except WalletraceError as refusal:
        return view, refusal


def grouped(view: Tables, calls: tuple[Call, ...]) -> tuple[Tables, tuple[Answer, ...]]:
    """All the calls, one after the other."""
    answers: list[Answer] = []
    for call in calls:
        view, answer = guarded(view, call)
        answers.append(answer)
    return view, tuple(answers)


def _answered(view: Tables, call: Call) -> Answer | None:
    """What the call's key already stands for, if anything."""
    if call.key is None or (earlier := lookup(view.keys, call.key)) is None:
        return None
    try:
        return earlier.answer(call)
    except WalletraceError as error:
        return error


def _refused(
    rows: Mapping[str, Row],
    leases: Pairs[Lease],
    wanted: tuple[Change, ...],
    if_version: bool,
    fence: Mapping[str, int],
) -> WalletraceError | None:
    for key, token in fence.items():
        if (lookup(leases, key) or Lease()).token != token:
            return FenceLost(f"the lease on {key!r} has passed to another owner", "try again")
    for account, _, _, version in wanted:
        row = rows.get(account)
        if version == 0:
            if row is not None:
                return WalletExists(f"wallet {account!r} is there already", "use another name")
        elif if_version and (row is None or row.version != version):
            return VersionChanged(f"{account} is no longer at version {version}", "read again")
        elif row is None:
            return UnknownWallet(f"wallet {account!r} went away", "create it first")
    return None


def _applied(
    view: Tables, rows: dict[str, Row], call: Call, wanted: tuple[Change, ...]
) -> tuple[Tables, Receipt]:
    """`rows` are the view's own, to be changed."""
    _, keys, gap, log = view
    entries = []
    for account, before, after, _ in wanted:
        balance, version = rows.get(account, _NO_ROW)
        gap = gap or balance != before
        version += 1
        rows[account] = Row(after, version)
        entries.append(Entry(account, before, after, version))
        if log is not None:
            kind = call.operation.kind
            logged = LogRow(call.id, account, kind, after - before, before, after, version, "", 0)
            log = (*log, logged)
    receipt = Receipt(call.id, tuple(entries))
    if call.key is not None:
        keys = stored(keys, call.key, Earlier(receipt, fingerprint(call.operation)))
    # What was changed has kept its place: only what was added has to find one.
    pairs = sorted(rows.items()) if len(rows) > len(view.rows) else rows.items()
    return Tables(tuple(pairs), keys, gap, log), receipt
