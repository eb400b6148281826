"""What each of PostgreSQL's statements locks, in which order, and what it does once it may.

As `engine.stores.postgres_sql` has it: rows in sorted order, then leases, then what is inserted. A
statement that finds its idempotency key locks nothing; one that is refused locks what it looked
at to know. (In what order it looks is the planner's choice: EXPLAIN tells.)
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from engine.explore.statements import grouped, guarded, looked_up, written
from engine.explore.steps import Step
from engine.explore.tables import Lease, Pairs, Tables, lookup
from engine.operations import Open
from engine.ports import Call, Change

STATEMENTS = frozenset({"read", "write", "guarded", "group", "advisory"})


class Statement(NamedTuple):
    """What it locks, in this order, the tables afterwards, and its answer.

    Locks are named as people would: "row alice", "key k", "advisory alice", "lease alice". What is
    inserted is locked too: whoever inserts the same waits. Leases are shared with other writes.
    """

    locks: tuple[str, ...]
    after: Tables
    answer: Any


def statement(view: Tables, leases: Pairs[Lease], step: Step) -> Statement:
    """The statement on the tables that it sees."""
    match step.kind:
        case "read":
            locks = _rows(view, step.args[0]) if step.options else ()
            return Statement(locks, view, looked_up(view, *step.args))
        case "advisory":
            return Statement(tuple(f"advisory {name}" for name in step.args[0]), view, None)
        case "write":
            return _write(view, leases, *step.args, **dict(step.options))
        case "guarded":
            return _guarded(view, leases, *step.args)
        case "group":
            after, answers = grouped(view, *step.args)
            accounts = {account for call in step.args[0] for account in call.accounts}
            return Statement(_rows(view, accounts) + _inserted(view, after), after, answers)
    raise AssertionError(f"no statement {step}")


def _write(
    view: Tables,
    leases: Pairs[Lease],
    call: Call,
    wanted: tuple[Change, ...],
    if_version: bool,
    fence: Mapping[str, int],
) -> Statement:
    after, answer = written(view, leases, call, wanted, if_version, fence)
    if _is_known(view, call):
        return Statement((), view, answer)
    # One wallet that is there is found by its version too. Of several, the rows are locked first,
    # then the leases, if the rows are as they should be.
    fits = written(view, leases, call, wanted, if_version, {})[0] is not view
    at_once = len(wanted) == 1 and wanted[0].version > 0 and not fence
    locks = () if at_once and not fits else _rows(view, [change.account for change in wanted])
    if fits:
        locks += tuple(
            f"lease {key}"
            for key, token in sorted(fence.items())
            if (lookup(leases, key) or Lease()).token == token
        )
    return Statement(locks + _inserted(view, after), after, answer)


def _guarded(view: Tables, leases: Pairs[Lease], call: Call) -> Statement:
    operation = call.operation
    if isinstance(operation, Open):
        opened = (Change(operation.account, 0, operation.opening, 0),)
        return _write(view, leases, call, opened, False, {})
    after, answer = guarded(view, call)
    refused = len(call.accounts) == 1 and after is view
    if refused or _is_known(view, call):
        return Statement((), after, answer)
    return Statement(_rows(view, call.accounts) + _inserted(view, after), after, answer)


def _is_known(view: Tables, call: Call) -> bool:
    return call.key is not None and lookup(view.keys, call.key) is not None


def _rows(view: Tables, accounts: Iterable[str]) -> tuple[str, ...]:
    """Those that are there, sorted."""
    return tuple(f"row {account}" for account, _ in view.rows if account in accounts)


def _inserted(view: Tables, after: Tables) -> tuple[str, ...]:
    rows, keys = dict(view.rows), dict(view.keys)
    new_rows = tuple(f"row {account}" for account, _ in after.rows if account not in rows)
    return new_rows + tuple(f"key {key}" for key, _ in after.keys if key not in keys)
