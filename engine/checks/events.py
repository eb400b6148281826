"""Before and after are known, versions are not: an order of each account's calls, event by event.

For calls that touch one account each this decides: linearizability is local (Herlihy and Wing,
1990). Where calls touch several accounts, an account without an order is still a violation; else
the order across accounts has to be found: `infer_versions` hands the history to the layers that
know versions, where the order on every account is forced.
"""

from engine.checks.events_accounts import Projection, projections
from engine.checks.events_order import first_stuck
from engine.checks.events_telling import contradiction, lost_update, no_order_left
from engine.checks.verdict import VIOLATIONS_MAX, Budget, CannotSay, Found, Level, Violation
from engine.histories.columns import FOREVER, History

# So many reasons why nothing can be said are said.
REASONS_MAX = 5


def check_events(history: History, budget: Budget) -> Found:
    """Judge each account by what its calls found and left.

    The violation names the earliest return at which no order of an account's calls is left, one
    violation an account. Calls of unknown outcome may have happened at any time after they were
    invoked, or never. Raises CannotSay where no account is broken and something was left open,
    Exceeded where the budget is.
    """
    return check_accounts(history, budget, answers_only=False)


def check_accounts(history: History, budget: Budget, *, answers_only: bool) -> Found:
    """What `check_events` and `check_blackbox` share."""
    violations: list[tuple[int, Violation]] = []
    reasons: dict[str, None] = {}
    for projection in projections(history, answers_only=answers_only):
        budget.check()
        broken = None if projection.unclear else _broken(history, projection, budget)
        if broken is not None:
            violations.append(broken)
        reasons |= dict.fromkeys(filter(None, (projection.unclear, *projection.doubts)))
    if violations:
        violations.sort(key=lambda each: each[0])
        worst = [violation for _, violation in violations[:VIOLATIONS_MAX]]
        return Found(worst, len(violations), notes=tuple(reasons)[:REASONS_MAX])
    if reasons:
        raise CannotSay("; ".join(list(reasons)[:REASONS_MAX]))
    return Found(level=Level.STRICT_SERIALIZABLE)


def _broken(
    history: History, projection: Projection, budget: Budget
) -> tuple[int, Violation] | None:
    """When and how the account breaks."""
    if projection.wrong is not None:
        call = projection.wrong
        return int(history.completed[call]), contradiction(history, projection, call)
    stuck = first_stuck(projection.actions, projection.events, projection.openings, budget)
    if stuck is None:
        return None
    call = projection.calls[stuck.action]
    at = FOREVER if call < 0 else int(history.completed[call])
    violation = lost_update(history, projection, stuck)
    if violation is None:
        changes = projection.without_questions(until=~stuck.action)
        left = first_stuck(changes.actions, changes.events, changes.openings, budget)
        stale = left is None and call >= 0
        violation = no_order_left(history, projection, stuck, stale=stale)
    return at, violation
