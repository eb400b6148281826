"""What happened, as far as it can be told: the calls that judges must explain, and how they ended.

- Calls without an answer are looked up in the operation log by their id. In it: they happened, at
  any time after they were invoked (their interval is never narrowed). Not in it, and the log is
  complete: they never happened. Else they stay undecided.
- Refusals say nothing but that too little was held; all others leave no trace to be explained.
- Calls with one idempotency key are one effect (`keys`).
- Rows of the log that no call explains are operations too, at an unknown time (`logged`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.checks.keys import Attempts, check_keys, check_log_keys, one_effect_per_key
from engine.checks.logged import Rows, append_rows, match_rows
from engine.checks.verdict import Found
from engine.errors import SystemFault
from engine.histories.columns import FOREVER, INSUFFICIENT, MISSING, History, Ints
from engine.recording import Ended, Kind

Mask = NDArray[np.bool_]


def _may_have_happened(faults: Iterable[type[SystemFault]]) -> frozenset[str]:
    return frozenset(fault.code for fault in faults if fault.may_have_happened)


# Refusals that are none: the system failed, and the operation may yet have happened.
NO_REFUSAL = _may_have_happened(SystemFault.__subclasses__())


@dataclass(frozen=True, slots=True)
class Settled:
    """The calls to be explained, and what could not be settled.

    `history`: those calls alone, with what the log adds; OK if they changed anything. `calls`: for
    each its place in `source`, the history asked about, -1 for operations that only the log knows.
    `extra`: calls whose effect should not be (of a key that has one, or that nobody asked for).

    `writes`: for each entry, whether it wrote a version (else it only saw one); `row`: its row in
    the log, -1 for none; `torn`: the log has the call, but not on this account.

    `undecided`: places in `source` of calls that may still happen; `undecided_on`: how many of them
    touch each account. `aborted`: for each call of `source`, whether it wanted to change something
    and never did. `keys`: what is wrong with idempotency keys; `contested`: places in `source` of
    refusals that must come before the effect of their key, if an order is to explain them.
    """

    history: History
    calls: Ints
    writes: Mask
    row: Ints
    extra: Mask
    torn: Mask
    undecided: Ints
    undecided_on: Ints
    source: History
    aborted: Mask
    keys: Found
    contested: Ints
    strays: Rows

    @property
    def open_on(self) -> Mask:
        """Accounts to which something may have happened of which nothing is known."""
        return np.asarray((self.undecided_on > 0) | (not self.source.complete))

    def asked(self, *calls: int) -> tuple[int, ...]:
        """The places of these calls in the history asked about, of those that have one."""
        places = (int(self.calls[call]) for call in calls)
        return tuple(place for place in places if place >= 0)


def settle(history: History) -> Settled:
    """Settle every call of `history`."""
    history = _as_far_as_final(_numbered(history))
    asks = history.kind <= Kind.CHECK
    ended = _endings(history)
    logged = np.zeros(len(history.operations) + 1, np.bool_)
    if history.log is not None:
        logged[history.log.operation] = True
    attempted = ~asks & (ended != Ended.REFUSED) & ~_opened_before(history)
    attempts = one_effect_per_key(history, attempted, ended, logged)
    effect = attempted & attempts.kept
    unknown = effect & (ended == Ended.UNKNOWN)
    happened = effect & (~unknown | logged[attempts.operation])
    open_ended = unknown & ~happened
    if history.log is not None and history.complete:
        open_ended[:] = False
    short = _says_too_little(history, ended)
    kept = happened | short | (asks & (ended == Ended.OK))
    settled, calls = _kept(_regrouped(history, attempts), kept)
    row, strays = match_rows(settled, history, happened[calls])
    settled, calls, row, extra = append_rows(settled, history, calls, row, strays)
    extra |= np.append(attempts.again, False)[calls]
    effects = np.append(happened, True)[calls] | extra
    # What only the log tells of happened, whichever attempt it says that it was.
    effects[np.count_nonzero(kept) :] = True
    settled = _opened(_filled(settled, row, effects), effects)
    settled = replace(settled, ended=np.where(effects, int(Ended.OK), settled.ended))
    writes = _writes(settled, effects, row)
    torn = np.repeat(np.append(unknown, False)[calls] & ~extra, np.diff(settled.first))
    torn &= writes & (row < 0)
    undecided = np.flatnonzero(open_ended)
    told = _told(history, kept, settled)
    keys, contested = check_keys(told, short & ~asks, happened | open_ended, attempts)
    if not history.calls:
        keys, too_many = check_log_keys(settled, extra)
        extra |= too_many
    return Settled(
        history=settled,
        calls=calls,
        writes=writes & ~torn,
        row=row,
        extra=extra,
        torn=torn,
        undecided=undecided,
        undecided_on=_undecided_on(history, open_ended),
        source=history,
        aborted=~asks & ~happened & ~open_ended & attempts.kept,
        keys=keys,
        contested=contested,
        strays=strays,
    )


def _undecided_on(history: History, open_ended: Mask) -> Ints:
    on = np.repeat(open_ended, np.diff(history.first))
    return np.bincount(history.account[on], minlength=len(history.accounts))


def _numbered(history: History) -> History:
    """A log by itself that names no versions stands in the order of its own rows."""
    log = history.log
    if history.calls or log is None or not len(log) or (log.version != MISSING).any():
        return history
    order = np.argsort(log.account, kind="stable")
    account = log.account[order]
    first = np.flatnonzero(np.concatenate(([True], account[1:] != account[:-1])))
    version = np.empty(len(log), np.int64)
    version[order] = np.arange(len(log)) - np.repeat(first, np.diff([*first, len(log)])) + 1
    versions = np.full(len(history.accounts), MISSING)
    return replace(history, log=replace(log, version=version), opening_versions=versions)


def _as_far_as_final(history: History) -> History:
    """Without the balances in the end, where more may have happened before or after them."""
    if history.complete:
        return history
    nowhere = np.full(len(history.accounts), MISSING)
    return replace(history, finals=nowhere, final_versions=nowhere)


def _endings(history: History) -> Ints:
    """How each call ended, refusals that are none put right."""
    lost = np.array([code in NO_REFUSAL for code in history.codes] or [False])
    if not lost.any():
        return history.ended
    wrong = (history.ended == Ended.REFUSED) & lost[history.code]
    return np.where(wrong, int(Ended.UNKNOWN), history.ended)


def _says_too_little(history: History, ended: Ints) -> Mask:
    too_little = np.array([code == INSUFFICIENT for code in history.codes] or [False])
    answered_no = (history.kind == Kind.CHECK) & (history.code == 0)
    return np.asarray((ended == Ended.REFUSED) & (too_little[history.code] | answered_no))


def _opened_before(history: History) -> Mask:
    """Calls that opened an account whose opening is known: the history begins after them."""
    opens = np.asarray(history.kind == Kind.OPEN)
    if not opens.any():
        return opens
    opening, version = (
        column[history.account] for column in (history.openings, history.opening_versions)
    )
    left = np.where(history.after == MISSING, history.amount, history.after)
    # An opening balance without a version is the one that was opened with.
    behind = np.where(version == MISSING, left == opening, history.version <= version)
    behind &= opening != MISSING
    calls = np.bincount(history.call_of_entry()[behind], minlength=history.calls)
    return np.asarray(opens & (calls > 0))


def _regrouped(history: History, attempts: Attempts) -> History:
    if attempts.invoked is history.invoked:
        return history
    return replace(
        history,
        operation=attempts.operation,
        invoked=attempts.invoked,
        completed=attempts.completed,
    )


def _kept(history: History, kept: Mask) -> tuple[History, Ints]:
    if kept.all():
        return history, np.arange(history.calls)
    return history.keep(kept), np.flatnonzero(kept)


def _told(history: History, kept: Mask, settled: History) -> History:
    """The history asked about, with the versions that the log knows of what was kept."""
    mine = np.repeat(kept, np.diff(history.first))
    version = history.version.copy()
    version[mine] = settled.version[: np.count_nonzero(mine)]
    return replace(history, version=version)


def _filled(history: History, row: Ints, effects: Mask) -> History:
    """What an answer left out and the log tells, or arithmetic does; ends that are unknown."""
    columns = {name: getattr(history, name) for name in ("amount", "before", "after", "version")}
    log = history.log
    if log is not None:
        for name, column in columns.items():
            gaps = np.flatnonzero((column == MISSING) & (row >= 0))
            if len(gaps):
                columns[name] = column.copy()
                columns[name][gaps] = getattr(log, name)[row[gaps]]
    amount, before, after = columns["amount"], columns["before"], columns["after"]
    changed = np.repeat(effects, np.diff(history.first))
    # A refusal, like a question, left what it found, whatever it had asked for.
    moved = np.where(changed, amount, 0)
    before = _derive(before, after, moved, -1)
    after = _derive(after, before, moved, 1)
    gaps = changed & (amount == MISSING) & (before != MISSING) & (after != MISSING)
    if gaps.any():
        amount = np.where(gaps, after - before, amount)
    completed = history.completed
    if (completed == MISSING).any():
        completed = np.where(completed == MISSING, FOREVER, completed)
    return replace(
        history,
        amount=amount,
        before=before,
        after=after,
        version=columns["version"],
        completed=completed,
    )


def _derive(missing: Ints, known: Ints, amount: Ints, sign: int) -> Ints:
    gaps = (missing == MISSING) & (known != MISSING) & (amount != MISSING)
    return np.where(gaps, known + sign * amount, missing) if gaps.any() else missing


def _opened(history: History, happened: Mask) -> History:
    """Accounts without a known opening begin with nothing if the history itself opens them."""
    opens = np.repeat(happened & (history.kind == Kind.OPEN), np.diff(history.first))
    opens &= (history.openings == MISSING)[history.account]
    if not opens.any():
        return history
    openings, versions = history.openings.copy(), history.opening_versions.copy()
    accounts, version = history.account[opens], history.version[opens]
    openings[accounts] = 0
    versions[accounts] = np.where(version == MISSING, MISSING, version - 1)
    return replace(history, openings=openings, opening_versions=versions)


def _writes(history: History, happened: Mask, row: Ints) -> Mask:
    """Which entries wrote a version: of calls that happened, all but those that only looked.

    A batch, or a change from elsewhere, whose entry moved nothing may have looked or have written
    what was there. It wrote if the log says so, or if nobody else wrote the version it names.
    """
    writes = np.repeat(happened, np.diff(history.first))
    unsure = (history.amount == 0) & writes & (row < 0)
    if not unsure.any():
        return writes
    kinds = np.repeat(history.kind, np.diff(history.first))
    unsure &= ((kinds == Kind.BATCH) | (kinds == Kind.CHANGE)) & (history.before == history.after)
    sure = np.flatnonzero(writes & ~unsure)
    written = set(zip(history.account[sure].tolist(), history.version[sure].tolist(), strict=True))
    for entry in np.flatnonzero(unsure).tolist():
        account, version = int(history.account[entry]), int(history.version[entry])
        opening = int(history.opening_versions[account])
        writes[entry] = (account, version) not in written and version not in (opening, MISSING)
        written.add((account, version))
    return writes
