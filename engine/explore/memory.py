"""The model's database: SQLite's rules, in memory, one step at a time.

One writer at a time. A deferred transaction sees the snapshot of its first statement and is told
"busy" if it then writes while another one writes or has committed meanwhile. Statements outside a
transaction wait for the writer. Leases live in a table of their own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.errors import FenceLost, StoreBusy, UnknownWallet, VersionChanged, WalletExists
from engine.explore.stage import Lane
from engine.explore.steps import Step
from engine.history import Entry, LogRow, Receipt
from engine.operations import fingerprint
from engine.ports import Call, Change, Earlier, Row, Snapshot, outside_transactions


@dataclass(slots=True)
class Tables:
    """What a transaction sees and changes."""

    rows: dict[str, Row]
    log: list[LogRow] = field(default_factory=list)
    keys: dict[str, Earlier] = field(default_factory=dict)

    def copy(self) -> "Tables":
        return Tables(dict(self.rows), list(self.log), dict(self.keys))


@dataclass(slots=True)
class Transaction:
    """`view` is taken at the first statement; `generation` tells whether it is still current."""

    view: Tables | None = None
    generation: int = -1


@dataclass(slots=True)
class Lease:
    owner: str | None = None
    lane: Lane | None = None
    token: int = 0

    @property
    def free(self) -> bool:
        # Time passes a dead holder by: its lease runs out.
        return self.owner is None or (self.lane is not None and self.lane.dead)


class MemoryDatabase:
    """`ready` says whether a lane's step can go on now, `perform` takes it."""

    def __init__(self, openings: Mapping[str, int]) -> None:
        self.tables = Tables(
            {account: Row(cents, 1) for account, cents in openings.items()},
            [
                LogRow("opening", account, "open", cents, 0, cents, 1, "", 0)
                for account, cents in openings.items()
            ],
        )
        self._leases: dict[str, Lease] = {}
        self._decisions: dict[str, str] = {}
        self._open: dict[Lane, Transaction] = {}
        self._writer: Lane | None = None
        self._generation = 0
        self._verbs: dict[str, Callable[..., Any]] = {
            "read": self._read,
            "write": self._write,
            "take": self._take,
            "give": self._give,
            "decide": self._decide,
            "begin": self._begin,
            "commit": self._commit,
            "rollback": self._rollback,
        }

    def ready(self, lane: Lane, step: Step) -> bool:
        others_write = self._writer not in (None, lane)
        match step.kind:
            case "take":
                return not others_write and self._lease(step.args[0]).free
            case "begin":
                return step.args[0] == "deferred" or self._writer is None
            case "write" | "give" | "decide":
                return lane in self._open or not others_write
        return True

    def perform(self, lane: Lane, step: Step) -> Any:
        if lane in self._open and step.kind in ("take", "give", "decide"):
            raise outside_transactions(step.kind)
        return self._verbs[step.kind](lane, *step.args, **dict(step.options))

    def leaked(self) -> list[str]:
        """What was never given back."""
        leases = [f"lease on {key}" for key, lease in self._leases.items() if not lease.free]
        return leases + [f"transaction of {lane.name}" for lane in self._open]

    def bury(self, lane: Lane) -> None:
        """The lane's connection is gone: its transaction is rolled back."""
        self._rollback(lane)

    def _lease(self, key: str) -> Lease:
        return self._leases.setdefault(key, Lease())

    def _view(self, lane: Lane) -> Tables:
        transaction = self._open.get(lane)
        if transaction is None:
            return self.tables
        if transaction.view is None:
            transaction.view = self.tables.copy()
            transaction.generation = self._generation
        return transaction.view

    def _read(self, lane: Lane, accounts: tuple[str, ...], key: str | None) -> Snapshot:
        view = self._view(lane)
        rows = {account: view.rows[account] for account in accounts if account in view.rows}
        return Snapshot(rows, view.keys.get(key) if key is not None else None)

    def _write(
        self,
        lane: Lane,
        call: Call,
        changes: tuple[Change, ...],
        if_version: bool,
        fence: Mapping[str, int],
    ) -> Receipt:
        view = self._view(lane)
        if lane in self._open:
            if self._writer not in (None, lane):
                raise StoreBusy("another transaction is writing", "try again")
            if self._open[lane].generation != self._generation:
                raise StoreBusy("the snapshot is out of date", "try again")
            self._writer = lane
        earlier = view.keys.get(call.key) if call.key is not None else None
        if earlier is not None:
            return earlier.answer(call)
        self._check(view, changes, if_version, fence)
        entries = tuple(
            Entry(account, before, after, view.rows.get(account, Row(0, 0)).version + 1)
            for account, before, after, _ in changes
        )
        for account, before, after, version in entries:
            view.rows[account] = Row(after, version)
            view.log.append(
                LogRow(
                    call.id,
                    account,
                    call.operation.kind,
                    after - before,
                    before,
                    after,
                    version,
                    "",
                    0,
                )
            )
        receipt = Receipt(call.id, entries)
        if call.key is not None:
            view.keys[call.key] = Earlier(receipt, fingerprint(call.operation))
        if lane not in self._open:
            self._generation += 1
        return receipt

    def _check(
        self,
        view: Tables,
        changes: tuple[Change, ...],
        if_version: bool,
        fence: Mapping[str, int],
    ) -> None:
        for key, token in fence.items():
            if self._lease(key).token != token:
                raise FenceLost(f"the lease on {key!r} has passed to another owner", "try again")
        for account, _, _, version in changes:
            row = view.rows.get(account)
            if version == 0 and row is not None:
                raise WalletExists(f"wallet {account!r} is there already", "use another name")
            if version > 0 and row is None:
                raise UnknownWallet(f"wallet {account!r} went away", "create it first")
            if if_version and row is not None and row.version != version:
                raise VersionChanged(f"{account} is no longer at version {version}", "read again")

    def _take(self, lane: Lane, key: str, owner: str) -> int:
        lease = self._lease(key)
        lease.owner, lease.lane, lease.token = owner, lane, lease.token + 1
        self._generation += 1
        return lease.token

    def _give(self, lane: Lane, key: str, owner: str) -> None:
        lease = self._lease(key)
        if lease.owner == owner:
            lease.owner = lease.lane = None
            self._generation += 1

    def _decide(self, lane: Lane, key: str, value: str) -> str:
        if key not in self._decisions:
            self._decisions[key] = value
            self._generation += 1
        return self._decisions[key]

    def _begin(self, lane: Lane, level: str) -> None:
        self._open[lane] = Transaction()
        if level == "immediate":
            self._writer = lane
            self._view(lane)

    def _commit(self, lane: Lane) -> None:
        transaction = self._open.pop(lane)
        if self._writer is lane:
            assert transaction.view is not None
            self.tables = transaction.view
            self._generation += 1
            self._writer = None

    def _rollback(self, lane: Lane) -> None:
        self._open.pop(lane, None)
        if self._writer is lane:
            self._writer = None
